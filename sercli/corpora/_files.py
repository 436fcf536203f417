"""Finding and reading the files of a corpus, for all corpus readers: clips by their names, text, and tables."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from sercli._system.files import visible_names, walk
from sercli.audio.discovery import is_audio, rank, suffix
from sercli.errors import SerError, no_such
from sercli.types import FOUR, Remark, Utterance

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


Make = Callable[[str, str, re.Match[str]], Utterance | Remark]
"""Makes an utterance from the id of a clip, its path below the root, and the match of its path with the pattern; or a
remark for a clip that is left out."""


def own_name(match: re.Match[str]) -> str:
    """Return an id made from the part of the path that matches: `AudioData/DC/a01` -> `DC_a01`."""
    return match.group().strip("/").replace("/", "_")


def find_clips(
    root: Path,
    pattern: re.Pattern[str],
    make: Make,
    *,
    corpus: str,
    example: str,
    identify: Callable[[re.Match[str]], str] = own_name,
) -> Iterator[Utterance | Remark]:
    """Yield the utterances of the recordings below a folder whose path, without suffix, fits a pattern; sorted by id.

    Args:
        root: the corpus' folder.
        pattern: searched in the path without suffix; begins with `(?:^|/)` and ends with `$`.
        make: see `Make`.
        corpus: the corpus' name, for errors.
        example: one or two names that fit, for errors.
        identify: makes the id from the match; if several clips have the same id, the best format is used.

    Yields:
        Utterances, and remarks on recordings that do not fit or are copies.

    Raises:
        SerError: there is no such folder, or no recording in it matches.
    """
    fits: dict[str, re.Match[str]] = {}
    for path in filter(is_audio, corpus_files(root, corpus, f"files like {example}")):
        if match := pattern.search(without_suffix(path)):
            fits[path] = match
        else:
            yield Remark("skipped", path, f"its name does not match the clips of {corpus}")
    if not fits:
        raise not_this_corpus(root, corpus, f"clips with names like {example}")
    chosen = yield from one_each(fits, key=lambda path: identify(fits[path]))
    for id_, path in chosen.items():
        yield make(id_, path, fits[path])


def read_rows(
    text: str, source: str, *, delimiter: str = ",", columns: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV or TSV text as dictionaries keyed by column name, without blanks around cells.

    Args:
        text: the content with its line ends, which a quoted cell may contain.
        source: the file's name, for errors.
        delimiter: between cells.
        columns: those that the table must have.

    Yields:
        The line that the row begins on, from 1, and its cells. Blank lines are skipped.

    Raises:
        SerError: no header, two columns of one name, a missing column, quotes that do not close, or more or fewer
            cells than columns.
    """
    rows = _rows(text, source, delimiter)
    line, header = next(rows, (1, []))
    if not header:
        raise SerError(f"{source} is empty; its first line must name the columns.")
    twice = [name for name, n in Counter(name.lower() for name in header).items() if n > 1]
    if twice:
        raise SerError(f"{source}:{line}: there are two columns '{shown(twice[0])}'; name each column once.")
    need_columns(header, columns, f"{source}:{line}")
    for line, cells in rows:
        if len(cells) != len(header):
            raise SerError(
                f"{source}:{line}: {len(cells)} cells, but there are {len(header)} columns (the row begins with "
                f"'{shown(cells[0])}'); put cells that contain the delimiter into double quotes."
            )
        yield line, dict(zip(header, cells, strict=True))


def need_columns(names: Collection[str], columns: Iterable[str], source: str) -> None:
    """Raise if a table lacks a column.

    Raises:
        SerError: naming the first missing column, and the first 20 that there are.
    """
    for column in columns:
        if column not in names:
            raise SerError(f"{source}: {no_such('column', column, map(shown, list(names)[:20]))}")


def _rows(text: str, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # strict: otherwise a quote that never closes would silently swallow the rest of the file
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise SerError(f"{source}:{line}: {error}; inside quotes, write a quote twice.") from None


def shown(text: str, limit: int = 60) -> str:
    r"""Return a user's value as one short line, for messages.

    >>> shown("two\nlines"), shown("a" * 70, limit=8)
    ('two lines', 'aaaaa...')
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
