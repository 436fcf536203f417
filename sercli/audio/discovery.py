"""Finding recordings: by name, below folders, by pattern, on stdin."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import BinaryIO

from sercli.errors import AudioError

SUFFIXES = frozenset(
    {
        *(".wav", ".wave", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
        *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".voc"),
        *(".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".webm", ".weba", ".mkv", ".mka"),
        *(".aac", ".ac3", ".mp2", ".wma", ".wmv", ".asf", ".amr", ".avi", ".flv", ".mpg", ".mpeg", ".spx", ".wv"),
    }
)
"""Files of these names are the recordings of a folder. A file that is named itself may be called anything."""

_COPY_BYTES = 1 << 20


def find(paths: list[Path]) -> list[Path]:
    """The recordings that paths name: a file is itself, a folder all audio below it, a pattern what it matches.

    Patterns are for shells that leave them as they are, and for quotes: `*.wav`, `**/*.m4a`. Links to folders are
    followed, each folder once.

    Returns:
        in the order of the paths, sorted within each, none twice.

    Raises:
        AudioError: a path does not exist, a folder holds no audio or cannot be read, or a pattern matches no audio.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        for recording in _named_by(path):
            # By its folder: a link to a file is a recording of another name, a link to a folder leads to the same ones.
            found.setdefault(recording.parent.resolve() / recording.name, recording)
    return list(found.values())


@contextmanager
def stdin(stream: BinaryIO | None = None) -> Iterator[Path]:
    """What comes in on stdin as a file, for as long as the context lasts: decoders need to go back and forth.

    Args:
        stream: where it comes in; None: stdin.

    Raises:
        AudioError: nothing comes in, or there is no room for it.
    """
    stream = stream or getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise AudioError("Nothing comes in on stdin, it is closed; pipe a recording in.")
    if stream.isatty():
        raise AudioError("No recording comes in on stdin, it is a terminal; add < recording.m4a, or pipe one in.")
    with tempfile.TemporaryDirectory(prefix="ser-") as folder:
        path = Path(folder) / "stdin"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, _COPY_BYTES)
        except OSError as error:
            raise AudioError(f"stdin cannot be kept in {folder}: {error.strerror or error}; make room.") from None
        if not path.stat().st_size:
            raise AudioError("Nothing came in on stdin (0 bytes); check the command before the pipe.")
        yield path


def _named_by(path: Path) -> list[Path]:
    if path.is_dir():
        below = _below(path, set())
        if not below:
            raise AudioError(f"{path} holds no audio files ({', '.join(sorted(SUFFIXES))}).")
        return sorted(below)
    if path.exists():
        return [path]
    if has_magic(str(path)):
        matched = _matched(path)
        if not matched:
            raise AudioError(f"{path} matches no audio files; check the pattern.")
        return sorted(matched)
    raise AudioError(f"{path} does not exist; check the path.")


def _matched(pattern: Path) -> list[Path]:
    """What a pattern matches: recordings, those below folders, and any file whose suffix the pattern spells out."""
    n_plain = next(n for n, part in enumerate(pattern.parts) if has_magic(part))
    base = Path(*pattern.parts[:n_plain])
    try:
        matches = sorted(base.glob(str(Path(*pattern.parts[n_plain:]))))
    except ValueError as error:
        raise AudioError(f"{pattern} is no pattern ({error}); correct it.") from None
    spelt = pattern.suffix if pattern.suffix and not has_magic(pattern.suffix) else None
    found, seen = [], set[tuple[int, int]]()
    for match in matches:
        if match.is_dir():
            found += _below(match, seen)
        elif _is_recording(match) or (match.suffix == spelt and match.is_file() and not _is_twin(match)):
            found.append(match)
    return found


def _below(folder: Path, seen: set[tuple[int, int]]) -> list[Path]:
    """All recordings below a folder; `seen` keeps the folders looked into, for links that lead round in circles."""
    try:
        stat = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise AudioError(f"{folder} cannot be read: {error.strerror or error}; change its permissions.") from None
    if (stat.st_dev, stat.st_ino) in seen:
        return []
    seen.add((stat.st_dev, stat.st_ino))
    found = [path for path in entries if _is_recording(path)]
    for path in entries:
        if path.is_dir():
            found += _below(path, seen)
    return found


def _is_recording(path: Path) -> bool:
    """By its name alone."""
    return path.suffix.lower() in SUFFIXES and not _is_twin(path) and path.is_file()


def _is_twin(path: Path) -> bool:
    """Whether it is one of the files that macOS leaves beside others in archives."""
    return path.name.startswith("._")
