"""IEMOCAP's text formats, evaluation files and transcriptions, and the numbers of the complete release."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sercli.corpora._files import lines_of
from sercli.types import FOUR, Remark

CODES = {
    "neu": "neutral",
    "hap": "happiness",
    "exc": "excitement",
    "sad": "sadness",
    "ang": "anger",
    "fru": "frustration",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "oth": "other",
}
NO_MAJORITY = "xxx"
DIMENSIONS = ("valence", "activation", "dominance")

# Fixed positions would give a wrong speaker for longer names: Ses03M_impro05a, Ses05M_script01_1b.
TURN = re.compile(
    r"(?P<dialog>Ses(?P<session>0[1-5])[FM]_(?P<scene>impro0\d[ab]?|script0\d_\db?))_(?P<sex>[FM])(?P<number>\d{3}|XX\d)",
    re.ASCII,
)
DIALOG = re.compile(r"Ses0[1-5][FM]_(?:impro0\d[ab]?|script0\d_\db?)", re.ASCII)

_N = r"\d{1,6}(?:\.\d+)?"
_HEADER = re.compile(rf"\[\s*({_N})\s*-\s*({_N})\s*\]\s+(\S+)\s+(\S+)\s+\[([^\]]*)\]\s*", re.ASCII)
_CATEGORIES = re.compile(r"C-(\w+):\s*([^()]*?)\s*(?:\((.*)\))?\s*")
_DIMENSIONS = re.compile(r"A-(\w+):\s*val\s*(\d?);\s*act\s*(\d?);\s*dom\s*(\d?);?\s*(?:\((.*)\))?\s*", re.ASCII)
_ALIGNED = re.compile(r"\s*(\d{1,6})\s+(\d{1,6})\s+-?\d+\s+(\S+)\s*", re.ASCII)  # frames of 10 ms
_NUMBER = re.compile(rf"\s*{_N}\s*", re.ASCII)
_VOTES = {"excited": "excitement", "neutral state": "neutral"}  # the others are the same


Vote = dict[str, object]
"""What one rater wrote of a turn."""


@dataclass(frozen=True)
class Turn:
    """One block of an evaluation file."""

    id: str
    code: str  # three letters
    start_s: float  # in the dialog's recording
    end_s: float
    dimensions: tuple[float | None, ...]  # by DIMENSIONS, each 1 to 5
    votes: list[Vote] = field(default_factory=list)


def parse_evaluation(text: str, source: str) -> Iterator[Turn | Remark]:
    """Yield the turns of one file of EmoEvaluation, with any number of raters."""
    current: Turn | None = None
    for number, line in lines_of(text):
        if line.startswith("[") or not line.strip():
            if current:
                yield current
            current = _header(line)
            if line.strip() and not current:
                yield Remark("skipped", f"{source}:{number}", "line that cannot be read as a turn")
        elif line[:2] in ("C-", "A-"):
            vote = _vote(line)
            if current and vote:
                current.votes.append(vote)
            else:
                yield Remark("skipped", f"{source}:{number}", "rater's line that cannot be read or has no turn")
        elif not line.startswith("%"):
            yield Remark("skipped", f"{source}:{number}", "line that is neither a turn nor a rater's labels")
    if current:
        yield current


def parse_transcription(text: str, source: str) -> Iterator[tuple[str, str] | Remark]:
    """Yield turn and text of each line of a transcription, with markers such as [LAUGHTER]."""
    for number, line in lines_of(text):
        head, colon, words = line.partition("]:")  # the text may contain colons
        match = TURN.fullmatch(head.partition("[")[0].strip())
        if not line.strip():
            continue
        if not colon or not match:
            yield Remark("skipped", f"{source}:{number}", "transcript without a turn's id")
        elif match["number"].startswith("XX"):
            yield Remark("skipped", f"{source}:{number}", "transcript of a turn that was never labelled (XX)")
        else:
            yield match.group(), words.strip()


def parse_alignment(text: str) -> list[tuple[float, float, str]]:
    """Return start and end in seconds and the letters of each word of one file of ForcedAlignment (.wdseg)."""
    found = (match for _, line in lines_of(text) if (match := _ALIGNED.fullmatch(line)))
    return [(int(m[1]) / 100, (int(m[2]) + 1) / 100, letters) for m in found if (letters := _letters(m[3]))]


def word_times(text: str, aligned: Sequence[tuple[float, float, str]]) -> list[list[float]] | None:
    """Return [start_s, end_s] of each word of `text.split()`; None: the aligned words are others.

    A marker such as [LAUGHTER] has no time of its own: it begins and ends where the word before it ends.
    """
    words = [_letters(word) for word in text.split()]
    if list(filter(None, words)) != [word for *_, word in aligned]:
        return None
    left, times, now = iter(aligned), [], 0.0
    for word in words:
        start, now = next(left)[:2] if word else (now, now)
        times.append([start, now])
    return times


def _letters(word: str) -> str:
    """Return the letters of a word in upper case; none for a marker, silence, or a pronunciation's number."""
    return "" if word[:1] in "[<+" else re.sub(r"\(\d+\)$|[^A-Z']", "", word.upper())


def _header(line: str) -> Turn | None:
    match = _HEADER.fullmatch(line)
    if not match:
        return None
    numbers = [float(cell) if _NUMBER.fullmatch(cell) else None for cell in match[5].split(",")]
    return Turn(match[3], match[4], float(match[1]), float(match[2]), (*numbers, None, None, None)[:3])


@lru_cache(maxsize=4096)  # raters choose among few words: most lines occur hundreds of times
def _vote(line: str) -> Vote | None:
    """Return one rater's labels, or valence, activation and dominance, None where the rater left it out.

    Equal lines share one result, which must not be changed.
    """
    if match := _CATEGORIES.fullmatch(line):
        words = [word.strip().lower() for word in match[2].split(";") if word.strip()]
        vote: Vote = {"rater": match[1], "labels": [_VOTES.get(word, word) for word in words]}
    elif match := _DIMENSIONS.fullmatch(line):
        values = [int(digit) if digit else None for digit in match.group(2, 3, 4)]
        vote = {"rater": match[1], **dict(zip(DIMENSIONS, values, strict=True))}
    else:
        return None
    comment = match[match.re.groups]
    return {**vote, "comment": comment} if comment else vote


# The numbers of the complete release, per session in the order of COUNTED; happiness includes excited.
COUNTED = ("dialogs", "turns", "women's turns", "men's turns", *FOUR)
EXPECTED = {
    1: (28, 1819, 873, 946, 384, 278, 194, 229),
    2: (30, 1811, 859, 952, 362, 327, 197, 137),
    3: (32, 2136, 1048, 1088, 320, 286, 305, 240),
    4: (30, 2103, 987, 1116, 258, 303, 143, 327),
    5: (31, 2170, 1033, 1137, 384, 442, 245, 170),
}
EXPECTED_CODES = (1708, 595, 1041, 1084, 1103, 1849, 107, 40, 2, 3, 2507)  # in the order of CODES, then xxx


def check_counts(turns: Iterable[Turn], n_dialogs: dict[int, int]) -> Iterator[Remark]:
    """Yield warnings if sessions are missing or counts differ from the complete release.

    Args:
        turns: all turns, including those without a majority label.
        n_dialogs: number of evaluation files of each session found.
    """
    turns = list(turns)
    missing = [f"Session{number}" for number in EXPECTED if number not in n_dialogs]
    if missing:
        yield Remark("warning", ", ".join(missing), f"missing: only {len(n_dialogs)} of 5 sessions are read")
    for number in n_dialogs:
        mine = [turn for turn in turns if turn.id.startswith(f"Ses0{number}")]
        yield from _compare(f"Session{number}", COUNTED, EXPECTED[number], _counts(n_dialogs[number], mine))
    if not missing:
        counts, codes = Counter(turn.code for turn in turns), (*CODES, NO_MAJORITY)
        yield from _compare("all sessions", codes, EXPECTED_CODES, tuple(counts[code] for code in codes))


def _counts(n_dialogs: int, turns: list[Turn]) -> tuple[int, ...]:
    sexes = Counter(turn.id.rpartition("_")[2][:1] for turn in turns)
    words = Counter("happiness" if turn.code == "exc" else CODES.get(turn.code) for turn in turns)
    return (n_dialogs, len(turns), sexes["F"], sexes["M"], *(words[label] for label in FOUR))


def _compare(source: str, names: Iterable[str], expected: Iterable[int], found: Iterable[int]) -> Iterator[Remark]:
    wrong = [f"{n} {name} instead of {e}" for name, e, n in zip(names, expected, found, strict=True) if e != n]
    if wrong:
        yield Remark("warning", source, "differs from the complete release: " + ", ".join(wrong))
