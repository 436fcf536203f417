"""Writes folders with IEMOCAP's layout and all its quirks: a tiny one for tests, a whole one for benchmarks.

Only file names and counts are IEMOCAP's. Audio and text are synthetic, and both depend on the emotion, so that a model
can learn from them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import soundfile

RATE_HZ = 16_000

# Pitch in Hz, amplitude and share of noise of the synthetic voices; what they say.
VOICES = {
    "neu": (150, 0.10, 0.2),
    "hap": (260, 0.20, 0.2),
    "exc": (300, 0.25, 0.3),
    "sad": (110, 0.04, 0.1),
    "ang": (220, 0.50, 0.6),
}
OTHER_VOICE = (180, 0.15, 0.4)
WORDS = {
    "neu": ("I am leaving at noon.", "The form is on the table: the blue one."),
    "hap": ("[LAUGHTER] What a lovely day.", "I am so glad that you came."),
    "exc": ("This is great, we won! [laughter]", "[BREATHING] I can't wait!"),
    "sad": ("[BREATHING] I miss her so much.", "There is nothing left for me."),
    "ang": ("I have had enough of you!", "Get out. Don't you touch that [LIPSMACK] again!"),
}
OTHER_WORDS = ("Well, I don't know.", "[GARBAGE] Fine, as you say [like this]: or not.")
CATEGORIES = {
    "neu": "Neutral",
    "hap": "Happiness",
    "exc": "Excited",
    "sad": "Sadness",
    "ang": "Anger",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "dis": "Disgust",
    "oth": "Other",
}


@dataclass(frozen=True)
class PlannedTurn:
    """A turn that has no number yet."""

    dialog: str  # such as Ses03M_impro05a
    sex: str  # of the speaker, F or M
    code: str  # of the emotion, three letters


def tiny_plan() -> list[PlannedTurn]:
    """156 turns with all eleven codes, in two regular dialogs of each of five sessions and three irregular dialogs."""
    dialogs = [f"Ses0{n}{name}" for n in range(1, 6) for name in ("F_impro01", "M_script01_1")]
    dialogs += ["Ses03M_impro05a", "Ses03M_impro08b", "Ses05M_script01_1b"]
    rare = ("fru", "sur", "fea", "dis", "oth")
    plan = []
    for place, dialog in enumerate(dialogs):
        plan += [PlannedTurn(dialog, sex, code) for code in ("neu", "hap", "exc", "sad", "ang") for sex in "FM"]
        plan += [PlannedTurn(dialog, "F", "xxx"), PlannedTurn(dialog, "M", rare[place % len(rare)])]
    return plan


def write_tree(
    root: Path,
    plan: Iterable[PlannedTurn],
    *,
    seconds: Callable[[Random], float] = lambda random: 0.3,
    n_unlabelled: int = 4,
    n_empty_dominance: int = 3,
    sound: bool = True,
    motion: bool = False,
) -> None:
    """Write a release: Session1 to Session5 below `root`.

    Args:
        root: the folder, created if it does not exist.
        plan: the labelled turns; those of one dialog are numbered per speaker in this order.
        seconds: draws the length of a turn.
        n_unlabelled: transcription lines with an XX id; one of them is a repetition, two if there are more than 4.
        n_empty_dominance: raters' lines without a dominance.
        sound: False writes no recordings.
        motion: True writes the motion capture, with frames during turns only.
    """
    dialogs: dict[str, list[PlannedTurn]] = defaultdict(list)
    for turn in plan:
        dialogs[turn.dialog].append(turn)
    random = Random(0)
    blanks = count()
    strays = _unlabelled_ids(sorted(dialogs), n_unlabelled)
    for place, (dialog, turns) in enumerate(sorted(dialogs.items())):
        named = _number(dialog, turns)
        times = _times(random, seconds, len(turns), after=600.0 if dialog.endswith("1b") else 1.0)
        session = root / f"Session{dialog[4]}"
        _write_evaluation(session, dialog, _blocks(random, named, times, blanks, n_empty_dominance), place)
        _write_transcription(session, dialog, _lines(random, named, times, strays[dialog], place), place, len(dialogs))
        if motion:
            _write_motion(session, dialog, named, times)
        if sound:
            _write_sounds(session / "sentences" / "wav" / dialog, named, times)


def _number(dialog: str, turns: list[PlannedTurn]) -> list[tuple[str, str]]:
    """(id, code) of each turn; ids end in F000, F001, ... and M000, M001, ..."""
    numbers = {"F": count(), "M": count()}
    return [(f"{dialog}_{turn.sex}{next(numbers[turn.sex]):03d}", turn.code) for turn in turns]


def _times(random: Random, seconds: Callable[[Random], float], n: int, *, after: float) -> list[tuple[float, float]]:
    now, times = after, []
    for _ in range(n):
        start = now + random.uniform(0.2, 2.0)
        now = start + seconds(random)
        times.append((start, now))
    return times


def _blocks(
    random: Random, named: list[tuple[str, str]], times: list[tuple[float, float]], blanks: Iterator[int], n_blank: int
) -> Iterator[str]:
    """The blocks of an evaluation file: a turn, then four to eight raters' lines."""
    for place, ((id_, code), (start, end)) in enumerate(zip(named, times, strict=True)):
        yield f"[{start:.4f} - {end:.4f}]\t{id_}\t{code}\t[{random.uniform(1, 5):.4f}, 2.5000, 3.0000]"
        names = [CATEGORIES.get(code, word) for word in ("Neutral", "Sadness", "Anger")]  # xxx: all differ
        yield f"C-E2:\t{names[0]};\t()"
        yield f"C-E3:\t{names[1]};{' Surprise;' if place % 7 == 3 else ''}\t()"
        if place % 2:
            yield f"C-E4:\t{names[2]};\t(tired, and bored)"
        yield f"C-F1:\t{names[0]};\t(curious)"
        for rater in ("E3", "E4", "F1", "M1")[: 1 + place % 4]:
            blank = next(blanks) < n_blank
            yield f"A-{rater}:\tval {random.randint(1, 5)}; act 2; dom  {'' if blank else 3};\t()"
        yield ""


def _lines(
    random: Random, named: list[tuple[str, str]], times: list[tuple[float, float]], strays: list[str], place: int
) -> Iterator[str]:
    """The lines of a transcription; every second file pads its times with zeros, every third has a line without id."""
    width = 8 if place % 2 else 1
    for (id_, code), (start, end) in zip(named, times, strict=True):
        yield f"{id_} [{start:0{width}.4f}-{end:0{width}.4f}]: {random.choice(WORDS.get(code, OTHER_WORDS))}"
    for id_ in strays:
        yield f"{id_} [{times[-1][1]:.4f}-{times[-1][1] + 0.5:.4f}]: [BREATHING]"
    if place % 3 == 0:
        yield "M: Hold on [GARBAGE]"


def _unlabelled_ids(dialogs: list[str], n: int) -> dict[str, list[str]]:
    """`n` ids with XX for each dialog; the first one or two are repeated."""
    strays: dict[str, list[str]] = {dialog: [] for dialog in dialogs}
    twice = 0 if n < 2 else 1 if n <= 4 else 2
    for place in range(n - twice):
        dialog = dialogs[place % len(dialogs)]
        id_ = f"{dialog}_{'FM'[place % 2]}XX{place // len(dialogs)}"
        strays[dialog] += [id_, id_] if place < twice else [id_]
    return strays


def _write_evaluation(session: Path, dialog: str, blocks: Iterable[str], place: int) -> None:
    folder = session / "dialog" / "EmoEvaluation"
    text = "\n".join(["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", "", *blocks])
    _write(folder / f"{dialog}.txt", text.replace("\n", "\r\n" if place % 5 == 4 else "\n").encode())
    _write(folder / f"._{dialog}.txt", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    decoy = f"[1.0000 - 2.0000]\t{dialog}_F999\tdis\t[1.0000, 1.0000, 1.0000]\n"
    _write(folder / "Categorical" / f"{dialog}_e2_cat.txt", decoy.encode())
    _write(folder / "Attribute" / f"{dialog}_e3_atr.txt", decoy.encode())
    _write(folder / "Self-evaluation" / f"{dialog}.txt", decoy.encode())
    _write(session / "dialog" / "MOCAP_head" / f"{dialog.removesuffix('b')}.txt", b"Frame# Time pitch roll yaw\n")


def motion_of(code: str, kind: str, width: int) -> list[float]:
    """The numbers of each frame of a turn in one file; NaN for the first marker of the hands, which is never seen."""
    level = VOICES.get(code, OTHER_VOICE)[0] / 100
    first = {"rotated": level, "head": -level, "hand": 0.5}[kind]
    return [float("nan") if kind == "hand" and n < 3 else first + n / 1000 for n in range(width)]


def _write_motion(session: Path, dialog: str, named: list[tuple[str, str]], times: list[tuple[float, float]]) -> None:
    """Frames at 120 a second; every tenth lacks the last number of the face."""
    for kind, width in {"rotated": 165, "head": 6, "hand": 18}.items():
        lines = [
            "Frame# Time " + " ".join(f"CH{n}" for n in range(width)),
            " ".join("XYZ"[n % 3] for n in range(width)),
        ]
        for (_, code), (start, end) in zip(named, times, strict=True):
            cells = [str(number).replace("nan", "NaN") for number in motion_of(code, kind, width)]
            for frame in range(round(start * 120), round(end * 120) + 1):
                gap = kind == "rotated" and frame % 10 == 0
                lines.append(
                    " ".join([str(frame), f"{frame / 120:.5f}", *cells[: -1 if gap else None], *["NaN"] * gap])
                )
        name = "Ses05M_script01_1" if dialog == "Ses05M_script01_1b" else dialog
        path = session / "dialog" / f"MOCAP_{kind}" / f"{name}.txt"
        if dialog.endswith("1b"):  # later in the files of script01_1, which it is a part of
            lines = [*path.read_text().splitlines(), *lines[2:]]
        _write(path, ("\n".join(lines) + "\n").encode())


def _write_transcription(session: Path, dialog: str, lines: Iterable[str], place: int, n_dialogs: int) -> None:
    folder = session / "dialog" / "transcriptions"
    text = "\n".join(lines) + "\n"
    if place == n_dialogs - 1:  # one file in Latin-1
        text = text.replace("the table", "the café table").replace("much.", "much, fiancée.").replace("know.", "café.")
    _write(folder / f"{dialog}.txt", text.encode("latin-1"))
    _write(folder / f"._{dialog}.txt", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")


def _write_sounds(folder: Path, named: list[tuple[str, str]], times: list[tuple[float, float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(named[0][0].encode()))  # no two sounds of the release are the same
    for place, ((id_, code), (start, end)) in enumerate(zip(named, times, strict=True)):
        pitch, level, share = VOICES.get(code, OTHER_VOICE)
        n = round((end - start) * RATE_HZ)
        tone = np.sin(2 * np.pi * (pitch * (1 + place % 9 / 40)) * np.arange(n) / RATE_HZ)
        signal = level * ((1 - share) * tone + share * 0.3 * rng.standard_normal(n))
        soundfile.write(folder / f"{id_}.wav", signal, RATE_HZ, subtype="PCM_16")
    _write(folder / f"._{named[0][0]}.wav", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
