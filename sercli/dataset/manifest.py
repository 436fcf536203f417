"""The prepared dataset on disk: dataset.json and manifest.jsonl, written whole or not at all."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from sercli import plugins
from sercli._system.files import refuse_links_out, write_atomic
from sercli.dataset import transcripts
from sercli.errors import SerError, no_such
from sercli.types import ASR_CONFIDENCE, HUMAN, Manifest, Utterance

SCHEMA = 2


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
    words: str = HUMAN  # whose transcripts its utterances have: a person's, or a recogniser's by its name

    @cached_property
    def by_id(self) -> Mapping[str, Utterance]:
        """Utterances by their id."""
        return {u.id: u for u in self.manifest.utterances}

    @cached_property
    def words_sha256(self) -> str:
        """Over what is read and how far it is trusted; the manifest's own hash does not depend on recognisers."""
        read = [(u.transcripts.get(HUMAN), u.attributes.get(ASR_CONFIDENCE)) for u in self.manifest.utterances]
        return hashlib.sha256(msgspec.json.encode(read)).hexdigest()

    def select(self, ids: Iterable[str]) -> list[Utterance]:
        """The utterances with these ids, in the order of the ids."""
        return [self.by_id[i] for i in ids]


def make_manifest(utterances: Sequence[Utterance], labels: tuple[str, ...]) -> Manifest:
    """Build a manifest with its hash; the utterances stay what they lie in.

    Raises:
        SerError: two utterances with one id.
    """
    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen:
            raise SerError(f"Two utterances are called '{utterance.id}'; ids must be unique in a corpus.")
        seen.add(utterance.id)
    digest = hashlib.sha256()
    for line in _lines(utterances):
        digest.update(line)
    digest.update("\n".join(labels).encode())
    return Manifest(utterances, labels, digest.hexdigest())


def save(dataset: Dataset) -> None:
    """Write dataset.json and manifest.jsonl; the manifest first, so that dataset.json never points at nothing."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(_lines(dataset.manifest.utterances))

    write_atomic(dataset.folder / "manifest.jsonl", write)
    write_atomic(dataset.folder / "dataset.json", msgspec.json.format(msgspec.json.encode(dataset.info)) + b"\n")


def load(folder: Path, *, words: str = HUMAN) -> Dataset:
    """Read a prepared dataset.

    Args:
        folder: where it lies.
        words: whose transcripts it has; see `with_words`.

    Raises:
        SerError: not a prepared dataset, damaged, made by a newer version, or not all of it has such transcripts.
    """
    info = load_info(folder)
    path = folder / "manifest.jsonl"
    try:
        rows = tuple(msgspec.json.Decoder(Utterance).decode_lines(path.read_bytes()))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerError(f"{path} cannot be read: {error}. Run `ser prepare` again.") from None
    manifest = make_manifest(rows, info.labels)
    if manifest.sha256 != info.manifest_sha256:
        raise SerError(f"{path} was changed after `ser prepare` wrote it (its hash differs). Run `ser prepare` again.")
    return with_words(Dataset(folder, info, manifest), words)


def with_words(dataset: Dataset, words: str) -> Dataset:
    """The same dataset as a recogniser hears it: its transcripts in place of the human ones, and how sure it is.

    Utterances without sound have no words then. With human words the dataset stays what it is.

    Raises:
        SerError: no such recogniser, or recordings that it has not heard.
    """
    if words == dataset.words:
        return dataset
    assert dataset.words == HUMAN, "human words are no longer there"
    if words not in plugins.names("asr"):
        raise SerError(no_such("words", words, (HUMAN, *plugins.names("asr"))))
    rows = dataset.manifest.utterances
    heard = transcripts.find(dataset.folder, words, rows)
    missing = [u.id for u in rows if u.audio is not None and u.id not in heard]
    if missing or not heard:
        lacking = f"{len(missing)} of its {len(rows)} utterances (the first: '{missing[0]}')" if missing else "anything"
        raise SerError(
            f"{dataset.folder} has no transcripts by {words} of {lacking}; repeat the "
            f"`ser prepare {dataset.info.corpus} … --out {dataset.folder}` that made it, with --asr {words} added."
        )
    seen = tuple(
        replace(
            u,
            transcripts={HUMAN: heard[u.id].text},
            attributes={**u.attributes, ASR_CONFIDENCE: heard[u.id].confidence},
        )
        if u.id in heard
        else replace(u, transcripts={})
        for u in rows
    )
    return replace(dataset, manifest=replace(dataset.manifest, utterances=seen), words=words)


def load_info(folder: Path) -> DatasetInfo:
    """Read dataset.json alone."""
    path = folder / "dataset.json"
    if not path.is_file():
        raise SerError(
            f"{folder} is not a prepared dataset (no dataset.json). "
            f"Make one with `ser prepare CORPUS ROOT --out {folder}`."
        )
    refuse_links_out(folder)
    try:
        content: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        schema = content.get("schema", 0)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise SerError(
                f"{folder} was prepared by a newer version of ser (schema {schema}, this one reads up to {SCHEMA}); "
                "upgrade ser."
            )
        return msgspec.convert(content, DatasetInfo)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerError(f"{path} cannot be read: {error}. Run `ser prepare` again.") from None


def _lines(rows: Iterable[Utterance]) -> Iterator[bytes]:
    """Of manifest.jsonl, one at a time: all together are 20 MB for a corpus of 70 h."""
    return (msgspec.json.encode(row) + b"\n" for row in rows)
