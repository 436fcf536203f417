"""Finding and reading the files of a corpus, shared by all corpus readers."""

import codecs
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from sercli._system.files import visible_names, walk
from sercli.audio.discovery import rank, suffix
from sercli.errors import SerError
from sercli.types import FOUR, Remark

Key = TypeVar("Key", str, tuple[str, int, int])


def of_four(*labels: str) -> dict[str, str | None]:
    """Return a corpus' LABELS: each native label maps to itself if it is one of the four, else to None.

    >>> of_four("anger", "fear")
    {'anger': 'anger', 'fear': None}
    """
    return {label: label if label in FOUR else None for label in labels}


def corpus_files(root: Path, corpus: str, holds: str) -> list[str]:
    """Return the visible files below the folder of a corpus, as `files_below`.

    Args:
        root: the path that the user gave.
        corpus: the corpus' name as people write it, such as "RAVDESS".
        holds: what the folder of the corpus holds, to complete the sentence "For ..., give the folder that holds ...".

    Raises:
        SerError: there is no such folder, it is a file, or it is empty.
    """
    advice = f"For {corpus}, give the folder that holds {holds}."
    if not root.exists():
        raise SerError(f"{root}: no such folder. {advice}")
    if not root.is_dir():
        raise SerError(f"{root} is a file, not a folder. {advice}")
    if not (paths := list(files_below(root))):
        raise SerError(f"{root} is empty. {advice}")
    return paths


def not_this_corpus(root: Path, corpus: str, looked_for: str) -> SerError:
    """Return the error for a folder that holds something else."""
    return SerError(f"{root} does not look like {corpus}: no {looked_for} in it. Give the folder that holds them.")


def find_files(paths: Iterable[str], name: str) -> list[str]:
    """Return the paths with this file name, whatever its case, those in the fewest folders first.

    >>> find_files(["x/y/data.tsv", "z/Data.tsv", "mydata.tsv"], "data.tsv")
    ['z/Data.tsv', 'x/y/data.tsv']
    """
    found = [path for path in paths if PurePosixPath(path).name.lower() == name.lower()]
    return sorted(found, key=lambda path: (path.count("/"), path))


def files_below(root: Path) -> Iterator[str]:
    """Yield every visible file below a folder as a path relative to it, "/" between folders.

    Raises:
        SerError: a folder cannot be listed.
    """
    n_root = len(str(root / "x")) - 1
    return (entry.path[n_root:] for entry in walk(root))


def list_folder(folder: Path) -> list[str]:
    """Return the visible file names of one folder, sorted; none where the folder is missing."""
    return sorted(name for name in visible_names(folder) if (folder / name).is_file())


def without_suffix(path: str) -> str:
    """Return a path without its suffix.

    >>> without_suffix("Actor_01/03-01.wav")
    'Actor_01/03-01'
    """
    return path[: len(path) - len(suffix(path))]


def one_each(paths: Iterable[str], key: Callable[[str], Key]) -> Generator[Remark, None, dict[Key, str]]:
    """Return one recording for each key: the best format of `discovery.SUFFIXES`, then the first path.

    Yields:
        A remark on each other path.

    Returns:
        The chosen path for each key, sorted by key.
    """
    chosen: dict[Key, str] = {}
    ranked = sorted(paths, key=lambda path: (rank(path), path))
    for path in ranked:
        chosen.setdefault(key(path), path)
    kept = set(chosen.values())
    reason = "second copy of a recording (lossless formats are preferred to lossy ones, and those to video)"
    yield from (Remark("skipped", path, reason) for path in ranked if path not in kept)
    return dict(sorted(chosen.items()))


def read_text(path: Path) -> Generator[Remark, None, str]:
    """Return a text file's content with its line ends, after yielding a warning if it is not UTF-8.

    Lines that are not UTF-8 are decoded as Windows-1252 one by one, so that one wrong byte does not affect the others.

    Raises:
        SerError: the file cannot be read.
    """
    try:
        raw = path.read_bytes()
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return raw.decode("utf-16")
    except OSError as error:
        raise SerError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SerError(f"{path} starts like UTF-16 text but is not; save it as UTF-8.") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        yield Remark("warning", str(path), "not UTF-8; the affected lines are read as Windows-1252")
        return "\n".join(map(_decode_line, raw.removeprefix(codecs.BOM_UTF8).split(b"\n")))


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the content of each line. Unicode's other separators do not end a line."""
    return enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1)


def _decode_line(raw: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("latin-1")  # Windows-1252 leaves five bytes undefined, Latin-1 none
