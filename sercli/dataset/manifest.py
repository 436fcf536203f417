"""The prepared dataset on disk: dataset.json and manifest.jsonl, each written whole or not at all."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import msgspec

from sercli import plugins
from sercli._system import languages
from sercli._system.files import check_schema, readable, refuse_links_out, write_atomic, write_json
from sercli.dataset import transcripts, word_times
from sercli.errors import SerError, no_such
from sercli.types import ASR_CONFIDENCE, HUMAN, LANGUAGE, WORD_TIMES, Manifest, Transcript, Utterance

SCHEMA = 2
"""The version of the format. Datasets of other versions are refused."""

_AGAIN = ". Run `ser prepare` again"
_LEAST = 0.05  # share of a dataset's texts from which on their language is one of the dataset


class _Schema(msgspec.Struct):
    schema: int = 0


_encode_lines = msgspec.json.Encoder().encode_lines


@dataclass(frozen=True)
class DatasetInfo:
    """The content of dataset.json."""

    corpus: str
    licence: str
    root: str  # absolute path of the corpus, which the manifest's audio paths are relative to
    label_set: str  # see label_sets.py
    labels: tuple[str, ...]
    split: str  # what the corpus suggests
    folds: int | None  # None: one group in each fold
    manifest_sha256: str
    n_utterances: int
    hours: float
    same_sounds: tuple[tuple[str, ...], ...]  # ids, several for one sound
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> count
    where: dict[str, str] = field(default_factory=dict)  # attribute -> its value in all utterances that were chosen
    features: tuple[str, ...] = ()  # what the last `prepare` computed
    language: str | None = None  # code of the language of the corpus; None: each utterance has its own, or not known
    schema: int = SCHEMA

    @property
    def classes(self) -> str:
        """What classes of one's own are made of, such as "other=disgust,fear"; "" without any."""
        return self.label_set if "=" in self.label_set else ""


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset: its folder, dataset.json and manifest."""

    folder: Path
    info: DatasetInfo
    manifest: Manifest
    words: str = HUMAN  # whose transcripts its utterances have: `HUMAN` or a recogniser's name

    @cached_property
    def by_id(self) -> Mapping[str, Utterance]:
        """The utterances by id."""
        return {u.id: u for u in self.manifest.utterances}

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages of its texts, each of a twentieth of them or more; empty: that of some isn't known."""
        spoken = self.info.language if self.words == HUMAN else None
        found = Counter(
            languages.code(u.attributes.get(LANGUAGE, spoken)) for u in self.manifest.utterances if u.text is not None
        )
        return () if None in found else tuple(sorted(c for c, n in found.items() if c and n >= _LEAST * found.total()))

    @cached_property
    def words_sha256(self) -> str:
        """Hash over transcripts and ASR confidence; the manifest's own hash does not depend on recognisers."""
        read = [(u.text, u.attributes.get(ASR_CONFIDENCE)) for u in self.manifest.utterances]
        return hashlib.sha256(msgspec.json.encode(read)).hexdigest()

    def select(self, ids: Iterable[str]) -> list[Utterance]:
        """Return the utterances with these ids, in the order of the ids."""
        return [self.by_id[i] for i in ids]


def make_manifest(utterances: Iterable[Utterance], labels: tuple[str, ...]) -> Manifest:
    """Build a manifest with its hash.

    Raises:
        SerError: two utterances with one id.
    """
    utterances = tuple(utterances)
    for name, times in Counter(u.id for u in utterances).items():
        if times > 1:
            raise SerError(f"Two utterances are called '{name}'; ids must be unique in a corpus.")
    content = _encode_lines(utterances) + "\n".join(labels).encode()
    return Manifest(utterances, labels, hashlib.sha256(content).hexdigest())


def save(dataset: Dataset) -> None:
    """Write manifest.jsonl, then dataset.json, which never names a manifest that is not there."""
    write_atomic(dataset.folder / "manifest.jsonl", _encode_lines(dataset.manifest.utterances))
    write_json(dataset.folder / "dataset.json", dataset.info)


def load(folder: Path, *, words: str = HUMAN) -> Dataset:
    """Read a prepared dataset.

    Args:
        folder: that of `ser prepare --out`.
        words: whose transcripts its utterances get; see `with_words`.

    Raises:
        SerError: not a prepared dataset, damaged, made by another version, or without such transcripts for a part.
    """
    info = load_info(folder)
    path = folder / "manifest.jsonl"
    with readable(path, _AGAIN):
        utterances = msgspec.json.Decoder(Utterance).decode_lines(path.read_bytes())
    manifest = make_manifest(utterances, info.labels)
    if manifest.sha256 != info.manifest_sha256:
        raise SerError(f"{path} was changed after `ser prepare` wrote it (its hash differs). Run `ser prepare` again.")
    return with_words(Dataset(folder, info, manifest), words)


def with_words(dataset: Dataset, words: str) -> Dataset:
    """Return the dataset with a recogniser's transcripts and confidence in place of the human transcripts.

    Utterances without audio then have no transcript. With `HUMAN` the dataset is returned as it is.

    Raises:
        SerError: no such recogniser, or recordings without transcripts by it.
    """
    if words == dataset.words:
        return dataset
    assert dataset.words == HUMAN, "the human transcripts are no longer there"
    if words not in plugins.names("asr"):
        raise SerError(no_such("words", words, (HUMAN, *plugins.names("asr"))))
    utterances = dataset.manifest.utterances
    found = transcripts.find(dataset.folder, words, utterances)
    missing = [u.id for u in utterances if u.audio is not None and u.id not in found]
    if missing or not found:
        n = len(utterances)
        lacking = f"{len(missing)} of its {n} utterances (the first: '{missing[0]}')" if missing else "anything"
        raise SerError(
            f"{dataset.folder} has no transcripts by {words} of {lacking}; repeat the "
            f"`ser prepare {dataset.info.corpus} … --out {dataset.folder}` that made it, with --asr {words} added."
        )
    transcribed = tuple(_with_transcript(u, words, found.get(u.id)) for u in utterances)
    return replace(dataset, manifest=replace(dataset.manifest, utterances=transcribed), words=words)


def _with_transcript(utterance: Utterance, words: str, transcript: Transcript | None) -> Utterance:
    if transcript is None:
        return replace(utterance, transcripts={})
    attributes = {name: value for name, value in utterance.attributes.items() if name not in (LANGUAGE, WORD_TIMES)}
    attributes[ASR_CONFIDENCE] = transcript.confidence
    if transcript.language:
        attributes[LANGUAGE] = transcript.language
    attributes |= word_times.attribute(transcript.text, transcript.words)
    return replace(utterance, transcripts={words: transcript.text}, attributes=attributes)


def load_info(folder: Path) -> DatasetInfo:
    """Read dataset.json alone.

    Raises:
        SerError: as `load`.
    """
    path = folder / "dataset.json"
    if not path.is_file():
        raise SerError(
            f"{folder} is not a prepared dataset (no dataset.json). "
            f"Make one with `ser prepare CORPUS ROOT --out {folder}`."
        )
    refuse_links_out(folder)
    with readable(path, _AGAIN):
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=_Schema).schema
        check_schema(f"{folder} was prepared", found, SCHEMA, "run `ser prepare` again")
        return msgspec.json.decode(content, type=DatasetInfo)
