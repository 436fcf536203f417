"""A database in audformat, as audb and others publish them: a header db.yaml and tables beside it.

Labels are those of one column, in all tables that have it or in chosen ones. Speakers, transcripts, sex and language
are looked up in all tables and schemes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sercli._system import packages
from sercli.corpora._columns import LABELS_AS_WRITTEN
from sercli.corpora._files import corpus_files, not_this_corpus, shown
from sercli.errors import SerError, no_such
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "https://audeering.github.io/audformat/"
LABELS = LABELS_AS_WRITTEN
LICENCE = "that of the database"
SPLIT = "speakers"
FOLDS: int | None = None

_PARTS = {"train": "train", "dev": "valid", "test": "test"}
_TEXTS = ("transcription", "transcript", "text")
_SEXES = ("gender", "sex")

Segment = tuple[str, float, float | None]
"""File, start and end in seconds; None: to the end of the file."""


@dataclass(frozen=True)
class Config:
    """Which labels to read."""

    column: str = "emotion"  # its name, or that of its scheme
    tables: str = ""  # names with commas between; "": all tables that have the column


def read(root: Path, config: Config | None = None) -> Iterator[Utterance | Remark]:
    """Yield an utterance for each labelled file or segment.

    Args:
        root: the folder with db.yaml.
        config: which labels to read.

    Raises:
        SerError: no such database, table or column, or several labels for one segment.
    """
    if "db.yaml" not in corpus_files(root, "audformat", "db.yaml"):
        raise not_this_corpus(root, "an audformat database", "db.yaml")
    database = _load(root)
    labels = _labels(database, config or Config())
    about: dict[str, dict[Segment, str]] = {}
    for name in ("speaker", "language", *_TEXTS, *_SEXES):
        try:
            # A scheme, or a column or property of this name, over all tables.
            values = _by_segment(database.get(name)[name].dropna())
            about[name] = {segment: value for segment, value in values.items() if value}
        except (ValueError, TypeError):
            about[name] = {}
            yield Remark("warning", str(root), f"it has different values of {name} for one segment; none is used")
    there = {file: (root / file).is_file() for file, _, _ in labels}
    if not any(there.values()):
        raise SerError(f"{root} has none of its {len(there)} recordings, such as {next(iter(there))}; add them.")
    language = database.languages[0] if len(database.languages) == 1 else None
    given, iso639 = {*about["language"].values(), *([language] if language else [])}, packages.load("iso639")
    names = {one: iso639.Lang(one).name for one in given if iso639.is_language(one)}
    for one in sorted(given - names.keys()):
        yield Remark("warning", str(root), f"'{one}' is no language of ISO 639; the language of its clips is not known")
    for segment, (label, part) in sorted(labels.items(), key=lambda item: item[0][:2]):
        if not there[segment[0]]:
            yield Remark("skipped", segment[0], "its recording is not there")
        elif label is None:
            yield Remark("skipped", _id(segment), "its label is missing")
        else:
            yield _utterance(segment, label, part, partial(_first, about, segment), language, names)


def _utterance(
    segment: Segment, label: str, part: str | None, value: Any, language: str | None, names: Mapping[str, str]
) -> Utterance:
    file, start_s, end_s = segment
    spoken, text, sex = value("language") or language or "", value(*_TEXTS), value(*_SEXES)
    attributes = {"language": names.get(spoken), "sex": sex, "part": part}
    return Utterance(
        id=_id(segment),
        corpus="audformat",
        label=label,
        speaker=value("speaker"),
        audio=file,
        start_s=start_s or None,
        end_s=end_s,
        transcripts={HUMAN: text} if text else {},
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def _load(root: Path) -> Any:
    """Return the database, whose tables are read when they are used; pickled ones, which can run code, are refused."""
    pickled = sorted(root.glob("*.pkl"))
    if pickled:
        raise SerError(f"{pickled[0]} is a pickle, which may run any code; delete it, where there is a CSV or parquet.")
    try:
        return packages.load("audformat").Database.load(str(root), load_data=True)
    except SerError:
        raise
    except Exception as error:  # YAML, pandas, pyarrow and audformat raise errors of their own
        raise SerError(f"{root} cannot be read as audformat: {shown(str(error), 200)}; get it again.") from None


def _labels(database: Any, config: Config) -> dict[Segment, tuple[str | None, str | None]]:
    """Return the label and the part of each segment; None where there is none."""
    chosen = [name.strip() for name in config.tables.split(",") if name.strip()]
    for name in chosen:
        if name not in database.tables:
            raise SerError(no_such("table", name, database.tables))
    columns = {name: _column(database[name], name, config.column) for name in chosen or database.tables}
    found: dict[Segment, tuple[str | None, str | None]] = {}
    origin: dict[Segment, str] = {}
    for name, column in columns.items():
        if column is None:
            continue
        split = database.splits.get(database[name].split_id)
        part = _PARTS.get(split.type) if split else None
        for segment, label in _values(database[name], column).items():
            before, in_part = found.get(segment, (label, part))
            if before != label or (in_part != part and None not in (in_part, part)):
                raise SerError(
                    f"{_id(segment)} is '{before}' in {origin[segment]}, but '{label}' or in another part in {name}; "
                    f"choose tables, such as --set corpus.tables={name}."
                )
            found[segment], origin[segment] = (label, in_part or part), name
    if not found:
        known = sorted({column for table in database.tables.values() for column in table.columns})
        advice = "choose one with --set corpus.column=NAME."
        raise SerError(f"{no_such('column or scheme with labels', config.column, known)} To read another, {advice}")
    return found


def _column(table: Any, name: str, wanted: str) -> str | None:
    """Return the column of a table with a name, else with a scheme of this name; None: there is none."""
    if wanted in table.columns:
        return wanted
    of_scheme = [column for column, about in table.columns.items() if about.scheme_id == wanted]
    if len(of_scheme) > 1:
        raise SerError(
            f"Table {name} has several columns with {wanted}: {', '.join(of_scheme)}; choose one, such as "
            f"--set corpus.column={of_scheme[0]}."
        )
    return of_scheme[0] if of_scheme else None


def _values(table: Any, column: str) -> dict[Segment, str | None]:
    """Return the label of each segment of a table, spelt out where its scheme has names for codes."""
    about = table.columns[column]
    scheme = table.db.schemes.get(about.scheme_id)
    coded = scheme and isinstance(scheme.labels, dict) and all(isinstance(v, str) for v in scheme.labels.values())
    values = about.get(map=about.scheme_id) if coded else about.get()
    if values.dtype.kind == "f":
        raise SerError(f"Column {column} holds numbers, not classes; choose another with --set corpus.column=NAME.")
    return _by_segment(values)


def _by_segment(values: Any) -> dict[Segment, str | None]:
    index = packages.load("audformat").utils.to_segmented_index(values.index, allow_nat=True)
    missing = values.isna()
    return {
        (file, start.total_seconds(), None if end != end else end.total_seconds()): (  # NaT differs from itself
            None if lacks else str(value).strip()
        )
        for (file, start, end), value, lacks in zip(index, values, missing, strict=True)
    }


def _first(about: Mapping[str, Mapping[Segment, str]], segment: Segment, *names: str) -> str | None:
    """Return the first value that there is for a segment, or else for its file."""
    keys = [(name, key) for name in names for key in (segment, (segment[0], 0.0, None))]
    return next((about[name][key] for name, key in keys if key in about[name]), None)


def _id(segment: Segment) -> str:
    file, start_s, end_s = segment
    return file if not start_s and end_s is None else f"{file}@{start_s}-{'end' if end_s is None else end_s}"
