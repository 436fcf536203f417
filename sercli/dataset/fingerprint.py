"""Whether a prepared dataset is what the same command would make again, and what was said of it.

The last that `prepare` writes is `.prepared.json`: digests over all that the dataset stands on and over all that it is,
by sizes and times, and the summary that a person was shown. Where both are still the same there is nothing to do.

What it stands on is looked at before any of it is read, and what changes meanwhile is therefore seen the next time.
Where that cannot be told for sure, nothing is remembered; that costs time and no more.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sercli import __version__
from sercli._system.files import write_atomic
from sercli.dataset.audio_index import Seen, seen_before
from sercli.types import NonNegative, NonNegativeInt, PositiveInt, Remark

_NAME = ".prepared.json"
_PACKAGE = Path(__file__).parents[1]
_MOST_FILES = 200_000  # a folder with more is not gone through: a corpus may lie somewhere in it
_MOST_BYTES = 64 << 20
_RECENT_NS = 2_000_000_000  # FAT's clock ticks every 2 s, the coarsest: what changes twice meanwhile looks the same

State = tuple[int, int, int]
"""Of a file: its size, and when its content and anything else about it changed last."""


@dataclass(frozen=True)
class Summary:
    """What a person is told of a dataset and of how it came to be."""

    corpus: str
    licence: str
    split: str  # what the corpus suggests
    n_utterances: NonNegativeInt
    n_speakers: NonNegativeInt
    n_sessions: NonNegativeInt
    hours: NonNegative
    before: dict[str, PositiveInt]  # class counts as the corpus has them
    after: dict[str, PositiveInt]  # class counts of the manifest
    mapping: dict[str, str | None]  # native label -> label of the dataset; None: left out
    remarks: tuple[Remark, ...]  # what was skipped or odd, and why
    duplicates: tuple[tuple[str, ...], ...]  # ids whose recordings are the same to the byte
    features: dict[str, bool] = field(default_factory=dict)  # those wanted, and whether any utterance has their input


@dataclass(frozen=True)
class Basis:
    """What a dataset is made from, as it was before any of it was read."""

    digest: str
    folder: str  # what audio paths lie below
    files: frozenset[str]  # those below it that the digest covers


@dataclass(frozen=True)
class _Note:
    """What .prepared.json says."""

    basis: str
    made: str  # digest of what lies in the folder
    n_elsewhere: NonNegativeInt  # recordings that the basis' digest does not cover
    summary: Summary


@dataclass
class _Tree:
    """What lies below a folder, hidden files and folders aside, by path."""

    files: dict[str, State] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)  # each with where it really lies, for a link can be moved

    def listed(self) -> tuple[object, object]:
        """All of it in one order."""
        return sorted(self.files.items()), sorted(self.folders.items())


def basis(corpus: str, root: Path, out: Path, *, label_set: str, features: Sequence[str]) -> Basis | None:
    """Look at all that a command makes a dataset from; None where it can change without being seen.

    Args:
        corpus: name of a corpus plugin.
        root: where its release lies; of a file only itself is looked at, not what lies around it.
        out: the prepared dataset's folder; where it lies below `root`, it is no part of the corpus.
        label_set: "four" or "native".
        features: names, with a key over all settings, of the features wanted.
    """
    place, made = os.path.realpath(os.path.expanduser(root)), os.path.realpath(out)  # noqa: PTH111 - never raises
    try:
        if place == made:
            return None
        if stat.S_ISDIR(os.stat(place).st_mode):  # noqa: PTH116
            folder, corpus_tree = place, _look(place, but=made)
        else:
            folder, name = os.path.split(place)
            corpus_tree = _Tree({name: _state(os.stat(place))})  # noqa: PTH116
        code = sorted(item for item in _look(str(_PACKAGE)).files.items() if item[0].endswith(".py"))
    except OSError:
        return None
    now = time.time_ns()
    if any(abs(now - changed) < _RECENT_NS for _, changed, _ in (*corpus_tree.files.values(), *dict(code).values())):
        return None
    command = (__version__, corpus, place, label_set, tuple(features))
    return Basis(_digest(command, code, corpus_tree.listed()), folder, frozenset(corpus_tree.files))


def recall(out: Path, now: Basis) -> Summary | None:
    """What was said of a dataset when it was made from this basis; None where it, or what it is made from, differs."""
    note = _read(out / _NAME)
    if note is None or note.basis != now.digest:
        return None
    try:
        if note.made != _digest(_look(str(out)).listed()):
            return None
        n_same = note.n_elsewhere and sum(_same(now.folder, seen) for seen in _elsewhere(out, now))
        return note.summary if n_same == note.n_elsewhere else None
    except OSError:
        return None


def remember(out: Path, made_from: Basis, summary: Summary) -> None:
    """Keep what is said of a dataset that is finished; nobody may be writing to it.

    Args:
        out: its folder.
        made_from: as it was before.
        summary: what is said.
    """
    n_elsewhere = sum(1 for _ in _elsewhere(out, made_from))
    # Without the note the next run is slower, which is no reason to call this one failed; odd file names, of which
    # remarks may tell, cannot be written down.
    with suppress(OSError, UnicodeEncodeError):
        note = _Note(made_from.digest, _digest(_look(str(out)).listed()), n_elsewhere, summary)
        write_atomic(out / _NAME, msgspec.json.encode(note))


def _look(root: str, *, but: str | None = None) -> _Tree:
    """Go through a folder; links to folders are followed, each real folder once.

    Raises:
        OSError: a folder cannot be listed, or there is far too much.
    """
    tree = _Tree()
    seen: set[str] = set()
    pending = [""]
    while pending:
        below = pending.pop()
        real = os.path.realpath(f"{root}/{below}")
        if real == but:
            continue
        tree.folders[below] = real
        if real in seen:
            continue
        seen.add(real)
        folders = []
        with os.scandir(real) as entries:
            for entry in entries:
                if entry.name[0] == ".":
                    continue
                found = _stat(entry)
                if found and stat.S_ISDIR(found.st_mode):
                    folders.append(f"{below}{entry.name}/")
                else:
                    tree.files[below + entry.name] = _state(found)
        pending += sorted(folders)
        if len(tree.files) > _MOST_FILES:
            raise OSError(f"more than {_MOST_FILES} files in {root}")
    return tree


def _stat(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """None of a link that leads nowhere, or to itself."""
    try:
        return entry.stat()
    except OSError:
        return None


def _state(found: os.stat_result | None) -> State:
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns) if found else (-1, 0, 0)


def _elsewhere(out: Path, basis: Basis) -> Iterator[Seen]:
    """The recordings that a basis' digest does not cover, as they were before they were read."""
    return (seen for seen in seen_before(out) if seen.path not in basis.files)


def _same(folder: str, seen: Seen) -> bool:
    try:
        found = os.stat(os.path.join(folder, seen.path))  # noqa: PTH116, PTH118 - thousands of them
    except ValueError:  # a name that no file can have
        return False
    return (found.st_size, found.st_mtime_ns) == (seen.size, seen.mtime_ns)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()  # repr: odd file names cannot be encoded


def _read(path: Path) -> _Note | None:
    """None where there is none, or it is damaged: it may be anybody's."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
