"""The prepared dataset on disk: dataset.json and manifest.jsonl, written whole or not at all."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from sercli.errors import SerError
from sercli.files import write_atomic
from sercli.types import Manifest, Utterance

SCHEMA = 1


@dataclass(frozen=True)
class DatasetInfo:
    """What dataset.json says."""

    corpus: str
    licence: str
    root: str  # absolute path of the corpus; the manifest's audio paths lie below it
    label_set: str  # four | native
    labels: tuple[str, ...]
    split: str  # what the corpus suggests
    folds: int | None  # None: one group a fold
    manifest_sha256: str
    n_utterances: int
    hours: float
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> count
    features: tuple[str, ...] = ()  # what the last `prepare` computed
    schema: int = SCHEMA


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset: its folder, its facts and its manifest."""

    folder: Path
    info: DatasetInfo
    manifest: Manifest

    @cached_property
    def by_id(self) -> Mapping[str, Utterance]:
        """Utterances by their id."""
        return {u.id: u for u in self.manifest.utterances}

    def select(self, ids: Iterable[str]) -> list[Utterance]:
        """The utterances with these ids, in the order of the ids."""
        return [self.by_id[i] for i in ids]


def make_manifest(utterances: Iterable[Utterance], labels: tuple[str, ...]) -> Manifest:
    """Build a manifest with its hash.

    Raises:
        SerError: two utterances with one id.
    """
    rows = tuple(utterances)
    seen: set[str] = set()
    for utterance in rows:
        if utterance.id in seen:
            raise SerError(f"Two utterances are called '{utterance.id}'; ids must be unique in a corpus.")
        seen.add(utterance.id)
    return Manifest(rows, labels, hashlib.sha256(_encode(rows) + "\n".join(labels).encode()).hexdigest())


def save(dataset: Dataset) -> None:
    """Write dataset.json and manifest.jsonl; the manifest first, so that dataset.json never points at nothing."""
    write_atomic(dataset.folder / "manifest.jsonl", _encode(dataset.manifest.utterances))
    write_atomic(dataset.folder / "dataset.json", msgspec.json.format(msgspec.json.encode(dataset.info)) + b"\n")


def load(folder: Path) -> Dataset:
    """Read a prepared dataset.

    Raises:
        SerError: not a prepared dataset, damaged, or made by a newer version.
    """
    info = load_info(folder)
    path = folder / "manifest.jsonl"
    try:
        rows = tuple(msgspec.json.Decoder(Utterance).decode_lines(path.read_bytes()))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerError(f"{path} cannot be read: {error}. Run `ser prepare` again.") from None
    manifest = make_manifest(rows, info.labels)
    if manifest.sha256 != info.manifest_sha256:
        raise SerError(f"{path} was changed after `ser prepare` wrote it (its hash differs). Run `ser prepare` again.")
    return Dataset(folder, info, manifest)


def load_info(folder: Path) -> DatasetInfo:
    """Read dataset.json alone."""
    path = folder / "dataset.json"
    if not path.is_file():
        raise SerError(
            f"{folder} is not a prepared dataset (no dataset.json). "
            f"Make one with `ser prepare CORPUS ROOT --out {folder}`."
        )
    try:
        content: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        schema = content.get("schema", 0)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise SerError(
                f"{folder} was prepared by a newer version of ser (schema {schema}, this one reads up to {SCHEMA}); "
                "upgrade ser."
            )
        return msgspec.convert(content, DatasetInfo)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerError(f"{path} cannot be read: {error}. Run `ser prepare` again.") from None


def _encode(rows: tuple[Utterance, ...]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
