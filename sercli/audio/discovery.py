"""Finding recordings by name, in folders, by pattern or on stdin, and the list of their suffixes."""

import difflib
import os
import re
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sercli._system.files import is_visible, walk
from sercli.errors import AudioError

SUFFIXES = (
    *(".wav", ".flac", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64", ".wave", ".sph", ".voc"),
    *(".nist", ".tta", ".ape", ".wv", ".ogg", ".oga", ".ogx", ".opus", ".mp3", ".mpga", ".m4a", ".m4b", ".mka"),
    *(".weba", ".aac", ".adts", ".ac3", ".dts", ".mp2", ".wma", ".ra", ".amr", ".gsm", ".spx", ".mp4", ".m4v", ".f4v"),
    *(".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".vob", ".mts", ".m2ts", ".wmv", ".asf", ".flv", ".ogv", ".rm"),
    *(".3gp", ".3g2"),
)
"""Suffixes of the recordings that are found in folders, best first: lossless, lossy, video.

A file that is named directly may have any suffix.
"""

_RANKS = {suffix: rank for rank, suffix in enumerate(SUFFIXES)}
_COPY_BYTES = 1 << 20


def suffix(path: str) -> str:
    """Return the suffix of a path with its dot; "" if the name has no dot or only a leading one.

    `PurePosixPath.suffix` gives the same and takes five times as long.

    >>> suffix("DC.1/a01.WAV"), suffix("DC.1/a01"), suffix(".wav")
    ('.WAV', '', '')
    """
    dot = path.rfind(".")
    return path[dot:] if path.rfind("/") + 1 < dot < len(path) - 1 else ""


def is_audio(path: str) -> bool:
    """Return whether a path has the suffix of a recording.

    >>> is_audio("DC/a01.WAV"), is_audio("a01.mp4"), is_audio("notes.txt")
    (True, True, False)
    """
    return suffix(path).lower() in _RANKS


def rank(path: str) -> int:
    """Return the index of a recording's suffix in `SUFFIXES`; of several files of one clip, the lowest is used."""
    return _RANKS[suffix(path).lower()]


def find(paths: list[Path], others: list[str] | None = None) -> list[Path]:
    """Return the recordings at the given paths, each a file, a folder (all audio in it) or a pattern (all matches).

    Shells that do not expand patterns such as `*.wav` and `**/*.m4a` pass them on, as do quotes. Hidden files are
    left out of folders; links to folders are followed, each folder once. A link to a recording that is not there is
    returned as well, so that reading it fails.

    Args:
        paths: as given.
        others: gets the names of the files in folders that do not have the suffix of a recording.

    Returns:
        in the order of the paths, sorted within each, each recording once.

    Raises:
        SerError: a folder cannot be read.
        AudioError: a path does not exist, a folder holds no audio, or a pattern matches no audio.
    """
    found: dict[Path, Path] = {}
    others = [] if others is None else others
    for path in paths:
        for recording in _named_by(path, others):
            # Resolve only the folder: a link to a file is a separate recording, a link to a folder holds the same ones.
            found.setdefault(recording.parent.resolve() / recording.name, recording)
    return list(found.values())


@contextmanager
def stdin(stream: BinaryIO | None = None) -> Iterator[Path]:
    """Yield the path of a temporary file with the content of stdin, because decoders need to seek.

    Args:
        stream: what is read; None: stdin.

    Raises:
        AudioError: stdin is closed, a terminal or empty, or the disk is full.
    """
    stream = piped(stream)
    with tempfile.TemporaryDirectory(prefix="ser-") as folder:
        path = Path(folder) / "stdin"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, _COPY_BYTES)
        except OSError as error:
            raise AudioError(
                f"stdin cannot be saved in {folder}: {error.strerror or error}; free some space."
            ) from None
        if not path.stat().st_size:
            raise nothing_on_stdin()
        yield path


def piped(stream: BinaryIO | None = None) -> BinaryIO:
    """Return the bytes of stdin, or the stream that is given instead.

    Raises:
        AudioError: it is closed or a terminal.
    """
    stream = stream or getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise AudioError("stdin is closed; pipe a recording in.")
    if stream.isatty():
        raise AudioError("stdin is a terminal, not a recording; add < recording.m4a, or pipe one in.")
    return stream


def nothing_on_stdin() -> AudioError:
    """Return the error for an empty stdin."""
    return AudioError("Nothing came in on stdin (0 bytes); check the command before the pipe.")


def _named_by(path: Path, others: list[str]) -> list[Path]:
    if path.is_dir():
        if not (found := sorted(_below(path, set(), others))):
            raise AudioError(
                f"{path} holds no audio files (.wav, .mp3, .mp4 and the like); give files with other endings by name."
            )
        return found
    if as_url := re.match(r"([a-z][a-z0-9+.-]+):/+(?=[^/])", str(path), re.IGNORECASE):
        raise AudioError(f"{as_url[1]}://{str(path)[as_url.end() :]} is a URL; download it first, then give the file.")
    if (same := equivalent(path)) is not None:
        return _named_by(same, others) if same.is_dir() else [same]
    if is_pattern(path):
        if not (found := sorted(_matches(path, others))):
            raise AudioError(f"{path} matches no audio files; check the pattern.")
        return found
    raise AudioError(f"{path} does not exist{_nearest(path)}; check the path.")


def is_pattern(path: Path) -> bool:
    """Return whether the part of a path that does not exist has a `*` or `?`; brackets alone are part of a name.

    >>> is_pattern(Path("none/*.wav")), is_pattern(Path("none/x [1].wav"))
    (True, False)
    """
    rest = path.parts[len(fixed_part(path).parts) :]
    return any("*" in part or "?" in part for part in rest)


def fixed_part(path: Path) -> Path:
    """Return the folder that a pattern starts from: its first parts that exist by these names or have no `*` or `?`."""
    fixed = Path()
    for part in path.parts:
        if any(c in part for c in "*?[") and not os.path.lexists(fixed / part):
            break
        fixed /= part
    return equivalent(fixed) or fixed


def equivalent(path: Path) -> Path | None:
    """Return the path as it is on disk, where Unicode may write the same name in another way; None: it does not exist.

    A name with an accent has two spellings, one (NFC) or two (NFD) characters, which look alike; macOS and archives
    made there use the second. If several names on disk are equivalent to one that is not there, none is taken.
    """
    found = Path()
    for part in path.parts:
        if not os.path.lexists(found / part):
            same = [name for name in _names(found) if _composed(name) == _composed(part)]
            if len(same) != 1:
                return None
            part = same[0]
        found /= part
    return found


def _nearest(path: Path) -> str:
    """Return the end of a sentence that names the most similar name in a folder; "" if there is none."""
    names = _names(path.parent)
    alike = [name for name in names if _composed(name).casefold() == _composed(path.name).casefold()]
    near = alike or difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f" (there is {ascii(near[0]) if _composed(near[0]) == _composed(path.name) else near[0]})" if near else ""


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _matches(pattern: Path, others: list[str]) -> Iterator[Path]:
    """Yield the recordings that match or are in matching folders, and any match whose suffix the pattern spells out."""
    base = fixed_part(pattern)
    try:
        matches = sorted(base.glob(str(Path(*pattern.parts[len(base.parts) :]))))
    except RecursionError:
        raise AudioError(f"{base} holds folders too deep for a pattern; give a folder further down.") from None
    except ValueError as error:
        raise AudioError(f"{pattern} is not a valid pattern ({error}); correct it.") from None
    spelt = pattern.suffix if pattern.suffix and not any(c in pattern.suffix for c in "*?[") else None
    seen = set[str]()
    for match in matches:
        if not all(map(is_visible, match.relative_to(base).parts)):
            continue
        if match.is_dir():
            yield from _below(match, seen, others)
        elif _is_file(match) and (is_audio(match.name) or match.suffix == spelt):
            yield match


def _below(folder: Path, seen: set[str], others: list[str]) -> Iterator[Path]:
    for entry in walk(folder, seen=seen):
        if not is_audio(entry.name):
            others.append(entry.name)
        elif _is_file(path := Path(entry.path)):
            yield path


def _is_file(path: Path) -> bool:
    """Return whether a path is a file, or a link that leads nowhere."""
    return path.is_file() or (path.is_symlink() and not path.exists())
