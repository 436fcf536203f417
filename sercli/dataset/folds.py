"""Folds as a file, so that others can repeat exactly the same division, and ser that of others."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from sercli._system.files import write_atomic
from sercli._system.text import few
from sercli.dataset.splits import LackError, divided, folds_hash
from sercli.errors import SerError
from sercli.types import Manifest, Split

FILE = "file:"
"""Prefix of the name of a split that is read from a file."""

_FORMATS = "give JSON as in folds.json of a run, or CSV with the columns id, fold"


@dataclass(frozen=True)
class _Parts:
    """One fold of the file. Without a validation part the next fold's test part is used."""

    test: tuple[str, ...]
    train: tuple[str, ...] | None = None  # None: all that are in no other part
    valid: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _File:
    """The JSON file: the folds, a hash to check them by, and the rest for people to read."""

    folds: tuple[_Parts, ...]
    corpus: str = ""
    kind: str = ""
    hash: str = ""
    numbers: tuple[int, ...] = ()  # of the folds in a table; empty: from 1 on

    @property
    def listed(self) -> set[str]:
        """The ids of all utterances in any part of any fold."""
        return {i for fold in self.folds for ids in (fold.train, fold.valid, fold.test) for i in ids or ()}


def write(path: Path, folds: Sequence[Split], corpus: str) -> None:
    """Write all folds with their hash."""
    parts = tuple(_Parts(split.test, split.train, split.valid) for split in folds)
    content = _File(parts, corpus, folds[0].kind, folds_hash(folds))
    write_atomic(path, msgspec.json.encode(content) + b"\n")


def read(path: Path, manifest: Manifest) -> tuple[Split, ...]:
    """Read folds that `write` wrote, or a table of other people's.

    Args:
        path: JSON as by `write`, or CSV with the columns `id` and `fold`: the fold whose test part holds the
            utterance. The validation part of a fold is then the test part of the next one.
        manifest: the utterances; those that the file does not list are in no part.

    Raises:
        SerError: the file cannot be read, lists unknown utterances or one twice, was changed, or a part is empty.
    """
    content = _read(path)
    _check_ids(path, content, {u.id for u in manifest.utterances})
    folds = tuple(_splits(path, content, manifest))
    if content.hash and content.hash != folds_hash(folds):
        raise SerError(
            f"{path}: the folds do not match the file's hash {content.hash}; copy the file again, or remove "
            "the hash from it."
        )
    return folds


def remarks(path: Path, manifest: Manifest) -> tuple[str, ...]:
    """Return what `read` leaves out of a file, and where its folds have other numbers than in the file."""
    content = _read(path)
    listed = content.listed
    left_out = [u.id for u in manifest.utterances if u.id not in listed]
    found = []
    if content.numbers and content.numbers != tuple(range(1, len(content.numbers) + 1)):
        pairs = ", ".join(f"{number} there is {n} here" for n, number in enumerate(content.numbers, start=1))
        found.append(f"{path} numbers its folds otherwise: {pairs}")
    if left_out:
        found.append(f"{path} leaves out {len(left_out)} of {len(manifest.utterances)} utterances ({_few(left_out)})")
    return tuple(found)


def _read(path: Path) -> _File:
    try:
        raw = path.read_bytes()
        is_table = path.suffix.lower() == ".csv"
        content = _table(raw.decode("utf-8-sig")) if is_table else msgspec.json.decode(raw, type=_File)
    except OSError as error:
        raise SerError(f"{path} cannot be read: {error.strerror or error}; check the path.") from None
    except (msgspec.DecodeError, ValueError, RecursionError, csv.Error) as error:
        raise SerError(f"{path} cannot be read as folds: {error}; {_FORMATS}.") from None
    if not content.folds:
        raise SerError(f"{path} holds no fold; {_FORMATS}.")
    return content


def _table(text: str) -> _File:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not {"id", "fold"} <= set(rows.fieldnames or ()):
        raise ValueError("the table has no columns id and fold")
    tested: dict[int, list[str]] = {}
    for row in rows:
        tested.setdefault(int(row["fold"]), []).append(row["id"])
    numbers = tuple(sorted(tested))
    return _File(tuple(_Parts(tuple(tested[fold])) for fold in numbers), numbers=numbers)


def _check_ids(path: Path, content: _File, known: Set[str]) -> None:
    if unknown := sorted(content.listed - known):
        raise SerError(
            f"{path} lists {len(unknown)} utterances that are not in this dataset ({_few(unknown)}); ids are those of "
            "the manifest, and --labels decides which utterances are kept."
        )
    tested = Counter(i for parts in content.folds for i in set(parts.test))
    for name, times in tested.items():
        if times > 1:
            raise SerError(f"{path}: '{name}' is in the test part of {times} folds; list each utterance once.")


def _few(ids: Sequence[str]) -> str:
    return few([f"'{i}'" for i in ids])


def _splits(path: Path, content: _File, manifest: Manifest) -> Iterator[Split]:
    n = len(content.folds)
    anonymous = {u.id for u in manifest.utterances if not u.speaker}
    for number, parts in enumerate(content.folds, start=1):
        valid = content.folds[number % n].test if parts.valid is None else parts.valid
        train = content.listed - {*parts.test, *valid} if parts.train is None else parts.train
        where = _where(path, number, {"train": train, "valid": valid, "test": parts.test})
        try:
            split = divided(manifest, where, "file", "speaker", number, n)
        except LackError as error:
            told = "; ".join((str(error), *remarks(path, manifest)))
            raise SerError(f"{told}; correct the folds in {path}.") from None
        yield replace(split, group_by="none") if split.leaky or where.keys() & anonymous else split


def _where(path: Path, number: int, ids: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return each utterance's part.

    Raises:
        SerError: one is listed twice.
    """
    where: dict[str, str] = {}
    for part, name in ((part, name) for part, names in ids.items() for name in names):
        if where.get(name) == part:
            raise SerError(f"{path}, fold {number}: '{name}' is listed twice in the {part} part; remove one.")
        if name in where:
            raise SerError(
                f"{path}, fold {number}: '{name}' is in both the {where[name]} and the {part} part; a file without "
                "validation parts needs 3 folds or more."
            )
        where[name] = part
    return where
