"""IEMOCAP: ten actors in five sessions of dialogues, improvised and scripted (Busso et al. 2008)."""

import re
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

from sercli.audio.discovery import is_audio
from sercli.corpora import _files
from sercli.corpora import _iemocap as formats
from sercli.corpora._iemocap import CODES, DIALOG, DIMENSIONS, NO_MAJORITY, TURN, Turn
from sercli.types import HUMAN, MOCAP, MOTION, WORD_TIMES, Remark, Utterance

HOMEPAGE = "https://sail.usc.edu/iemocap/"
LICENCE = "for research, on application to USC"
LANGUAGE = "en"
LABELS = _files.of_four(*CODES.values()) | {"excitement": "happiness"}
SPLIT = "loso"
FOLDS: int | None = None  # the five sessions

MARKERS = "markers"
"""The attribute that says whether the speaker or the listener of a turn wears the markers of its motion capture."""

HAS_MOTION = True

_HOLDS = "Session1 to Session5 (IEMOCAP_full_release), or one of them"
_SESSION = re.compile(r"Session([1-5])", re.ASCII)
_EVALUATION = "dialog/EmoEvaluation"  # its subfolders, with single raters' files, are not read


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the turns with a majority label, sorted by session and id.

    Args:
        root: the release's folder, the one above it, or one session.

    Raises:
        SerError: there is no such folder, or no session with evaluation files in it.
    """
    _files.corpus_files(root, "IEMOCAP", _HOLDS)
    sessions = _find_sessions(root)
    if not sessions:
        raise _files.not_this_corpus(root, "IEMOCAP", f"Session1/{_EVALUATION} with files like Ses01F_impro01.txt")
    turns: dict[str, Turn] = {}
    n_dialogs = {}
    shows: Counter[str] = Counter()  # whom the motion capture of turns shows
    for number, folder in sessions.items():
        dialogs, strange = _dialogs(folder / _EVALUATION)
        yield from (Remark("skipped", f"{name}.txt", "its name is not that of a dialog") for name in strange)
        n_dialogs[number] = len(dialogs)
        new: dict[str, Turn] = {}
        for dialog in dialogs:
            yield from _read_evaluation(folder / _EVALUATION / f"{dialog}.txt", turns, new)
        for item in _read_session(root, folder, dialogs, new):
            if isinstance(item, Utterance) and MOTION in item.attributes:
                shows[item.attributes[MARKERS]] += 1
            yield item
        turns |= new
    if shows:
        about = f"{shows['speaker']} of {shows.total()} turns"
        yield Remark(
            "warning", about, f"the speaker wears the markers; elsewhere motion shows the listener ({MARKERS})"
        )
    yield from formats.check_counts(turns.values(), n_dialogs)


def _find_sessions(root: Path) -> dict[int, Path]:
    """Return the folders Session1 to Session5 that have evaluation files, by number."""
    places = [root, *sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")]
    is_session = _SESSION.fullmatch(root.resolve().name)
    for place in places:
        folders = [root] if place is root and is_session else sorted(place.glob("Session?"))
        found = {}
        for folder in folders:
            match = _SESSION.fullmatch(folder.resolve().name if folder is root else folder.name)
            if match and _dialogs(folder / _EVALUATION)[0]:
                found[int(match[1])] = folder
        if found:
            return found
    return {}


def _dialogs(folder: Path) -> tuple[list[str], list[str]]:
    """Return the dialogs that have an evaluation file, and other text files beside them, without suffix."""
    names = [name.removesuffix(".txt") for name in _files.list_folder(folder) if name.endswith(".txt")]
    return list(filter(DIALOG.fullmatch, names)), [name for name in names if not DIALOG.fullmatch(name)]


def _read_evaluation(path: Path, before: dict[str, Turn], turns: dict[str, Turn]) -> Iterator[Remark]:
    """Yield remarks on one evaluation file, and add its turns to `turns`."""
    text = yield from _files.read_text(path)
    for item in formats.parse_evaluation(text, path.name):
        if isinstance(item, Remark):
            yield item
        elif not TURN.fullmatch(item.id):
            yield Remark("skipped", item.id, "not the name of a turn")
        elif item.id in turns or item.id in before:
            yield Remark("skipped", item.id, "turn is labelled a second time")
        else:
            turns[item.id] = item


def _read_session(root: Path, folder: Path, dialogs: list[str], turns: dict[str, Turn]) -> Iterator[Utterance | Remark]:
    words: dict[str, str] = {}
    recordings: dict[str, str] = {}
    for dialog in dialogs:
        yield from _read_transcription(folder / "dialog" / "transcriptions" / f"{dialog}.txt", words)
        sounds = folder / "sentences" / "wav" / dialog
        chosen = yield from _files.one_each(filter(is_audio, _files.list_folder(sounds)), key=_files.without_suffix)
        below = sounds.relative_to(root).as_posix()
        recordings |= {turn: f"{below}/{name}" for turn, name in chosen.items()}
    motions = {dialog: _motion_files(root, folder, dialog) for dialog in dialogs}
    for id_, turn in sorted(turns.items()):
        recording = recordings.get(id_)
        if turn.code == NO_MAJORITY:
            yield Remark("skipped", id_, "raters without a majority (xxx)")
        elif turn.code not in CODES:
            yield Remark("skipped", id_, f"unknown emotion code '{turn.code}'")
        elif not recording:
            yield Remark("skipped", id_, "its recording is missing")
        else:
            if id_ not in words:
                yield Remark("warning", id_, "turn without a transcript")
            more = yield from _read_word_times(folder, id_, words.get(id_))
            if files := motions.get(id_.rpartition("_")[0]):
                more[MOTION] = {"files": files, "start_s": turn.start_s, "end_s": turn.end_s}
                # The actor whom the dialog is named after wears them, in all of its turns.
                more[MARKERS] = "speaker" if id_[5] == id_.rpartition("_")[2][0] else "listener"
            yield _utterance(turn, recording, words.get(id_), more)


def _motion_files(root: Path, folder: Path, dialog: str) -> dict[str, int]:
    """Return the sizes of a dialog's motion capture by path below the root; none unless all three files are there."""
    names = (f"{dialog}.txt", f"{dialog.removesuffix('b')}.txt")  # script01_1b of session 5 is in those of script01_1
    places = [[folder / "dialog" / f"MOCAP_{kind}" / name for name in names] for kind in MOCAP]
    found = [next((path for path in either if path.is_file()), None) for either in places]
    files = {path.relative_to(root).as_posix(): path.stat().st_size for path in found if path}
    return files if len(files) == len(MOCAP) else {}


def _read_transcription(path: Path, words: dict[str, str]) -> Iterator[Remark]:
    """Yield remarks on one transcription, and add its texts to `words` by turn."""
    if not path.is_file():
        yield Remark("warning", path.name, "transcription is missing")
        return
    text = yield from _files.read_text(path)
    for item in formats.parse_transcription(text, path.name):
        if isinstance(item, Remark):
            yield item
        else:
            words.setdefault(*item)


def _read_word_times(folder: Path, turn: str, words: str | None) -> Generator[Remark, None, dict[str, object]]:
    """Yield a remark if its alignment cannot be read; return the attribute with the times of a turn's words."""
    path = folder / "sentences" / "ForcedAlignment" / turn.rpartition("_")[0] / f"{turn}.wdseg"
    if words is None or not path.is_file():
        return {}
    text = yield from _files.read_text(path)
    times = formats.word_times(words, formats.parse_alignment(text))
    return {} if times is None else {WORD_TIMES: times}


def _utterance(turn: Turn, audio: str, words: str | None, more: dict[str, object]) -> Utterance:
    match = TURN.fullmatch(turn.id)
    assert match, turn.id
    sex = match["sex"]  # of the speaker; the F or M before the scene is the actor with the markers
    scripted = match["scene"].startswith("script")
    attributes: dict[str, object] = {
        "sex": {"F": "female", "M": "male"}[sex],
        "style": "scripted" if scripted else "improvised",
        "dialog": match["dialog"],
        "dialog_start_s": turn.start_s,
        "dialog_end_s": turn.end_s,
        **dict(zip(DIMENSIONS, turn.dimensions, strict=True)),
        "votes": turn.votes,
        **more,
    }
    return Utterance(
        id=turn.id,
        corpus="iemocap",
        label=CODES[turn.code],
        speaker=f"Ses{match['session']}{sex}",
        session=f"Ses{match['session']}",
        # Both dialogs of a pair of actors and all sessions share a script; script01_1b is a part of script01_1.
        prompt=match["scene"].rstrip("b") if scripted else None,
        audio=audio,
        transcripts={} if words is None else {HUMAN: words},
        attributes=attributes,
    )
