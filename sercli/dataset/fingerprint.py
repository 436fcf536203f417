"""Whether a prepared dataset is what the same command would make again, and the summary that belongs to it.

The last file that `prepare` writes is `.prepared.json`: a digest over everything that the dataset is made from, one
over everything in its folder, both by sizes and times, and the summary. Where both are still the same there is nothing
to do.

The fingerprint is taken before anything is read, so a change during the work is noticed the next time. Where a change
could go unnoticed, nothing is saved; that only costs time.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sercli import __version__
from sercli._system.files import walk, write_atomic
from sercli.dataset import audio_index
from sercli.dataset.audio_index import IndexedAudio
from sercli.dataset.manifest import DatasetInfo
from sercli.errors import SerError
from sercli.types import NonNegativeInt, PositiveInt, Remark

_NAME = ".prepared.json"
_PACKAGE = Path(__file__).parents[1]
_MOST_FILES = 200_000  # a folder with more files may be a home directory with a corpus somewhere in it
_MOST_BYTES = 64 << 20
_RECENT_NS = 2_000_000_000  # FAT, with the coarsest clock, ticks every 2 s: two changes between ticks look like one

State = tuple[int, int, int]
"""Of a file: size, time of the last change of its content, and of anything else about it."""


@dataclass(frozen=True)
class Summary:
    """What `prepare` reports about a dataset and how it was made."""

    info: DatasetInfo  # without the features
    n_speakers: NonNegativeInt
    n_sessions: NonNegativeInt
    before: dict[str, PositiveInt]  # class counts in the corpus
    after: dict[str, PositiveInt]  # class counts in the manifest
    mapping: dict[str, str | None]  # native label -> label of the dataset; None: left out
    remarks: tuple[Remark, ...]  # what was skipped or odd, and why
    similar_speakers: tuple[tuple[str, ...], ...] = ()  # names that differ in case, blanks or zeros alone
    features: dict[str, bool] = field(default_factory=dict)  # requested ones; whether any utterance has their input


@dataclass(frozen=True)
class Fingerprint:
    """What a dataset is made from, before any of it is read."""

    digest: str
    folder: str  # audio paths are relative to it
    files: frozenset[str]  # those below it that the digest covers


@dataclass(frozen=True)
class _Saved:
    """The content of .prepared.json."""

    made_from: str  # digest of the fingerprint
    made: str  # digest of the dataset's folder
    n_elsewhere: NonNegativeInt  # recordings that the fingerprint does not cover
    summary: Summary


def take(
    corpus: str, root: Path, out: Path, *, label_set: str, settings: object = None, features: Sequence[str]
) -> Fingerprint | None:
    """Return the fingerprint of all that a command makes a dataset from; None if it can change unnoticed.

    Args:
        corpus: name of a corpus plug-in.
        root: the corpus. A file is covered alone, without the folder around it.
        out: the prepared dataset's folder, which is not part of the corpus even if it is below `root`.
        label_set: see label_sets.py.
        settings: of the corpus.
        features: for each feature a key over its name and all its settings.
    """
    place, made = os.path.realpath(os.path.expanduser(root)), os.path.realpath(out)  # noqa: PTH111 - never raises
    if place == made or not os.path.exists(place):  # noqa: PTH110
        return None
    try:
        if os.path.isdir(place):  # noqa: PTH112
            folder, files = place, _files_below(place, leave_out=made)
        else:
            folder, name = os.path.split(place)
            files = {name: _state(place)}
        code = {path: state for path, state in _files_below(str(_PACKAGE)).items() if path.endswith(".py")}
    except SerError:
        return None
    now = time.time_ns()
    if any(abs(now - changed) < _RECENT_NS for _, changed, _ in (*files.values(), *code.values())):
        return None
    command = (__version__, corpus, place, label_set, settings, tuple(features))
    return Fingerprint(_digest(command, sorted(code.items()), sorted(files.items())), folder, frozenset(files))


def load_summary(out: Path, now: Fingerprint) -> Summary | None:
    """Return the summary of a dataset that is unchanged and made from the same; else None."""
    path = out / _NAME
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
        if saved.made_from != now.digest or saved.made != _digest_of(out):
            return None
        n_same = saved.n_elsewhere and sum(one.is_unchanged(now.folder) for one in _elsewhere(out, now))
        return saved.summary if n_same == saved.n_elsewhere else None
    except (OSError, SerError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # damaged, or anybody's file
        return None


def save_summary(out: Path, made_from: Fingerprint, summary: Summary) -> None:
    """Save the summary of a finished dataset; nobody may be writing to its folder."""
    n_elsewhere = sum(1 for _ in _elsewhere(out, made_from))
    # Without the file the next run is slower, which does not make this one fail. File names in remarks that are not
    # UTF-8 cannot be encoded.
    with suppress(OSError, SerError, UnicodeEncodeError):
        saved = _Saved(made_from.digest, _digest_of(out), n_elsewhere, summary)
        write_atomic(out / _NAME, msgspec.json.encode(saved))


def _files_below(root: str, *, leave_out: str = "") -> dict[str, State]:
    """Return all visible files below a folder.

    Raises:
        SerError: a folder cannot be listed, or there are too many files.
    """
    files: dict[str, State] = {}
    for entry in walk(root, leave_out=leave_out):
        files[entry.path[len(root) :].lstrip("/")] = _state(entry.path)
        if len(files) > _MOST_FILES:
            raise SerError(f"{root} holds more than {_MOST_FILES} files.")
    return files


def _state(path: str) -> State:
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands of them
    except OSError:  # a link that leads nowhere, or to itself
        return -1, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _elsewhere(out: Path, fingerprint: Fingerprint) -> Iterator[IndexedAudio]:
    """Yield the recordings that a fingerprint does not cover, as they were before they were read."""
    return (one for one in audio_index.load(out) if one.path not in fingerprint.files)


def _digest_of(out: Path) -> str:
    return _digest(sorted(_files_below(str(out)).items()))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()  # repr, because odd file names cannot be encoded
