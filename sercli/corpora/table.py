"""The user's own corpus: a CSV, TSV or JSONL file with the columns `path` and `label`, and optional others.

Columns, in upper or lower case: path (relative to the table's folder, or absolute), label, speaker, session, prompt,
text, start_s and end_s (a stretch of the recording, in seconds), sex, part (train, valid or test), id. A row needs a
label and a path or a text. Other usual names of these columns are understood (see _columns.py); all other columns are
kept as attributes.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sercli._system.text import plain_name
from sercli.audio.discovery import equivalent
from sercli.corpora._columns import LABELS_AS_WRITTEN, NAMES, missing, own_names, resembled
from sercli.corpora._files import lines_of, list_folder, need_columns, read_rows, read_text, shown
from sercli.errors import SerError, no_such
from sercli.types import HUMAN, Recording, Remark, Utterance

HOMEPAGE = ""
LICENCE = "that of the recordings"

LABELS = LABELS_AS_WRITTEN
SPLIT = "speakers"
FOLDS: int | None = None

_LENGTHS = ("duration", "duration_s", "dur", "length", "length_s")
ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson")
_DAYS = re.compile(r"(\d+) days (\d+):(\d+):(\d+(?:\.\d+)?)")  # how pandas and audformat write times
_PARTS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}


@dataclass(frozen=True)
class _Row:
    """A row of a table."""

    line: int
    source: str  # file and line, for errors
    given: Mapping[str, object]  # its cells by column
    cells: dict[str, str]  # the filled ones of known columns, as text
    others: dict[str, object]  # the filled ones of other columns, as they are


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the rows of a table, in their order.

    Args:
        root: the table, or a folder with exactly one. Each `audio` is relative to the table's folder, or absolute.

    Raises:
        SerError: no table, or a row that cannot be used; the message names file, line, value and reason.
    """
    path = _find_table(root)
    rows = yield from _rows(path)
    lines: dict[str, int] = {}
    spellings: dict[str, str] = {}  # plain label -> as it was first written, or as ser knows it
    for row in _divided(rows, path):
        if isinstance(row, Remark):
            yield row
            continue
        absent = {name: row.cells.pop(name) for name in missing(row.cells)}
        if "label" in absent:
            yield Remark("skipped", row.source, f"its label is missing ({absent['label']})")
            continue
        yield from (Remark("warning", row.source, f"its {name} is missing ({word})") for name, word in absent.items())
        given = row.cells.get("label", "")
        word = plain_name(given) or given
        row.cells["label"] = spellings.setdefault(word, word if word in LABELS and given not in LABELS else given)
        if row.cells["label"] != given:
            spelling = shown(row.cells["label"])
            yield Remark("warning", row.source, f"its label is '{spelling}' written otherwise, and taken for it")
        utterance = _utterance(row, path.parent)
        if utterance.id in lines:
            used = f"id '{shown(utterance.id)}' is used in line {lines[utterance.id]}"
            raise SerError(f"{row.source}: {used}, too; give each row its own id.")
        lines[utterance.id] = row.line
        yield utterance
    if not lines:
        raise SerError(f"{path} has no rows with a label; add one for each utterance, with path and label.")


def listed(table: Path) -> Iterator[Recording | Remark]:
    """Yield a recording for each row of a table, which needs a path alone.

    The columns start_s, end_s, text and speaker are used; all of the row is kept with the recording.

    Raises:
        SerError: no table, or a row that cannot be used; the message names file, line, value and reason.
    """
    path = _find_table(table)
    rows = list((yield from _rows(path)))
    columns = dict.fromkeys(name for _, given in rows for name in given)
    for row in _divided(rows, path, need=("path",)):
        if isinstance(row, Remark):
            yield row
            continue
        cells = {name: cell for name, cell in row.cells.items() if name not in missing(row.cells)}
        if not cells.get("path"):
            raise SerError(f"{row.source}: no path; every row needs that of a recording.")
        start_s, end_s = _stretch(cells, row.source)
        audio = path.parent / cells["path"]
        audio = equivalent(audio) or audio
        kept = {name: row.given.get(name) for name in columns}
        yield Recording(
            str(audio), audio, cells.get("text"), 0.0, start_s, end_s, speaker=cells.get("speaker"), row=kept
        )
    if not rows:
        raise SerError(f"{path} has no rows; add one for each recording, with path.")


def _rows(path: Path) -> Generator[Remark, None, Iterator[tuple[int, Mapping[str, object]]]]:
    """Return the rows of a table, each with its line, after yielding remarks on its text."""
    text = yield from read_text(path)
    if "\0" in text:
        raise SerError(f"{path} is not a text file; save the table as CSV, TSV or JSONL.")
    if _is_json(path):
        return _read_jsonl(text, path)
    first = text.partition("\n")[0]  # semicolons: written by spreadsheets where the comma is the decimal sign
    delimiter = "\t" if path.suffix.lower() == ".tsv" else next((sign for sign in ",;\t" if sign in first), ",")
    return read_rows(text, str(path), delimiter=delimiter)


def _is_json(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson")


def _divided(
    rows: Iterable[tuple[int, Mapping[str, object]]], path: Path, *, need: tuple[str, ...] | None = None
) -> Iterator[_Row | Remark]:
    """Yield the rows of a table, and a remark on each unknown column that may be meant for a known one, once.

    Args:
        rows: each with its line.
        path: of the table, for errors.
        need: the columns that it must have; None: those of a corpus.
    """
    remarked: set[str] = set()
    for line, given in rows:
        source, header = f"{path}:{line}", f"{path}:{line if _is_json(path) else 1}"
        known = own_names(given, header)
        named = {known[name.strip()]: value for name, value in given.items()}
        if len(named) < len(given):
            raise SerError(f"{source}: two keys differ only in upper and lower case; rename one of them.")
        need_columns(named, need or (("label",) if "text" in named else ("label", "path")), header)
        filled = {name: value for name, value in named.items() if value not in (None, "")}
        cells: dict[str, str] = {}
        for name, value in filled.items():
            if name in NAMES:
                if isinstance(value, bool) or not isinstance(value, str | int | float):
                    raise SerError(f"{source}: {name} is {shown(json.dumps(value))}; it must be text or a number.")
                cells[name] = str(value).strip()
        others = {name: value for name, value in filled.items() if name and name not in NAMES}
        for name in sorted(others.keys() - remarked):
            if meant := resembled(name):
                unit = ", in seconds" if meant in ("start_s", "end_s") else ""
                advice = f" beside {meant}" if meant in named else f"; rename it if it is {meant}{unit}"
                reason = f"column '{shown(name)}' is kept as an attribute{advice}"
                yield Remark("warning", header, reason)
            elif name.lower() in _LENGTHS and "start_s" in cells and "end_s" not in cells:
                yield Remark("warning", header, f"column '{shown(name)}' is not read; give end_s in its place")
        remarked.update(others)
        yield _Row(line, source, given, cells, others)


def _find_table(root: Path) -> Path:
    if not root.exists():
        raise SerError(f"{root}: no such file or folder. Give a CSV, TSV or JSONL file with columns path and label.")
    if root.is_file():
        if root.suffix.lower() not in ENDINGS:
            raise SerError(f"{root} is not a table; give a file that ends in {', '.join(ENDINGS)}.")
        return root
    found = [name for name in list_folder(root) if Path(name).suffix.lower() in ENDINGS]
    if not found:
        raise SerError(f"{root} holds no table: no file that ends in {', '.join(ENDINGS)}. Give the table itself.")
    if len(found) > 1:
        raise SerError(f"{root} holds {len(found)} tables ({', '.join(found[:5])}); give the one to be read.")
    return root / found[0]


def _read_jsonl(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for line, content in lines_of(text):
        if not content.strip():
            continue
        try:
            row = json.loads(content, parse_constant=_refuse_constant, object_pairs_hook=_with_each_key_once)
            json.dumps(row, ensure_ascii=False, allow_nan=False).encode()  # raises if it cannot be written again
        except (ValueError, RecursionError) as error:
            raise SerError(f"{path}:{line}: not valid JSON ({error}); write one object per line.") from None
        if not isinstance(row, dict):
            raise SerError(f'{path}:{line}: each line must be an object like {{"path": ..., "label": ...}}.')
        yield line, row


def _with_each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    for name, n in Counter(name for name, _ in pairs).items():
        if n > 1:
            raise ValueError(f"'{shown(name)}' is there {n} times")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _utterance(row: _Row, folder: Path) -> Utterance:
    cells = row.cells
    if not cells["label"]:
        raise SerError(f"{row.source}: no label; every row needs one.")
    if not cells.get("path") and not cells.get("text"):
        raise SerError(f"{row.source}: neither path nor text; every row needs one of them.")
    start_s, end_s = _stretch(cells, row.source)
    audio = _audio(cells["path"], folder, row.source) if cells.get("path") else None
    return Utterance(
        id=cells.get("id") or _default_id(audio, start_s, end_s, row.line),
        corpus="table",
        label=cells["label"],
        speaker=cells.get("speaker"),
        session=cells.get("session"),
        prompt=cells.get("prompt"),
        audio=audio,
        start_s=start_s,
        end_s=end_s,
        transcripts={HUMAN: cells["text"]} if cells.get("text") else {},
        attributes=row.others | _attributes(cells, row.source),
    )


def _stretch(row: dict[str, str], source: str) -> tuple[float | None, float | None]:
    """Return start_s and end_s of a row."""
    start_s, end_s = (_seconds(row, name, source) for name in ("start_s", "end_s"))
    if end_s is not None and end_s <= (start_s or 0.0):
        raise SerError(f"{source}: end_s {end_s:g} is not after start_s {start_s or 0.0:g}; correct one of them.")
    return start_s, end_s


def _seconds(row: dict[str, str], name: str, source: str) -> float | None:
    """Return a time in seconds, which may also be written as pandas and audformat do, "0 days 00:00:01.5"."""
    if not row.get(name):
        return None
    given = f"{source}: {name} is '{shown(row[name])}'; it must be"
    try:
        days = _DAYS.fullmatch(row[name])
        parts = zip(days.groups() if days else [row[name]], (86_400, 3600, 60, 1) if days else [1], strict=True)
        seconds = sum(float(number) * unit_s for number, unit_s in parts)
    except ValueError:
        raise SerError(f"{given} a number of seconds such as 1.5.") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise SerError(f"{given} zero or more seconds.")
    return seconds


def _audio(given: str, folder: Path, source: str) -> str:
    path = Path(given)
    if (same := equivalent(folder / path)) and same != folder / path:
        path = same if path.is_absolute() else same.relative_to(folder)
    if not os.path.isfile(folder / path):  # noqa: PTH113 - pathlib raises for names that are too long
        missing = f"path '{shown(given)}' is not a file (looked for in {folder})"
        raise SerError(f"{source}: {missing}; correct it or drop the row.")
    return path.as_posix()


def _default_id(audio: str | None, start_s: float | None, end_s: float | None, line: int) -> str:
    if audio is None:
        return f"line-{line}"
    if start_s is None and end_s is None:
        return audio
    return f"{audio}@{_exact(start_s or 0.0)}-{'end' if end_s is None else _exact(end_s)}"


def _exact(seconds: float) -> str:
    """Return the shortest text of a time from which no other time has it, 1 and not 1.0."""
    return repr(seconds).removesuffix(".0")


def _attributes(row: dict[str, str], source: str) -> dict[str, object]:
    attributes: dict[str, object] = {}
    if row.get("sex"):
        attributes["sex"] = _SEXES.get(row["sex"].lower(), row["sex"])
    if row.get("part"):
        if row["part"].lower() not in _PARTS:
            raise SerError(f"{source}: {no_such('part', shown(row['part']), ('train', 'valid', 'test'))}")
        attributes["part"] = _PARTS[row["part"].lower()]
    return attributes
