"""Features on disk: computed once, in parts that appear whole or not at all, read back as memory maps.

A feature's folder is named by its name and a key over its version and whole configuration, and by the recogniser where
its words come from one. Part n holds the rows of utterances n*128 to n*128+127 of the manifest; its index names them
with a digest of what each row was made from, so a part made from other sound or other words is seen and made again. A
killed run loses the part in hand. Several processes, and machines on one shared folder, divide the parts between them
by a lock on each.
"""

import hashlib
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock

from sercli import config, plugins
from sercli._system import memory, processes
from sercli._system.files import sweep, write_atomic, write_json
from sercli._system.progress import ProgressFactory
from sercli.audio.condition import prepare_signal
from sercli.audio.reading import read
from sercli.dataset.feature_specs import FeatureSpecs, key
from sercli.dataset.manifest import Dataset
from sercli.errors import SerError
from sercli.types import HUMAN, Array, Utterance

# What comes of reading an index or rows that are missing or damaged; numpy evaluates the header of its files as
# Python's literals, and is not careful about what comes of that.
_DAMAGED = (
    *(OSError, ValueError, EOFError, TypeError, SyntaxError, RuntimeError, MemoryError, OverflowError),
    *(tokenize.TokenError, msgspec.DecodeError),
)

_AHEAD = 4  # parts that wait for each process, with the utterances that they are made from
PART = 128  # utterances in one part: small enough to share a corpus of 500 clips between processes


@dataclass(frozen=True)
class _Index:
    """part-NNNNN.json: present only once its .npy is."""

    ids: list[str]
    digests: list[str]
    lengths: list[int]  # rows of the .npy that belong to each utterance


class FeatureStore:
    """The features of a dataset's utterances by id, as views of memory-mapped files."""

    def __init__(self, folder: Path, indexes: Iterable[tuple[Path, _Index]]) -> None:
        self.folder = folder
        self._where: dict[str, tuple[Path, int, int]] = {}
        self._open: dict[Path, Array] = {}
        for path, index in indexes:
            ends = np.cumsum(index.lengths)
            for name, end, length in zip(index.ids, ends, index.lengths, strict=True):
                self._where[name] = (path, int(end) - length, int(end))

    def __getitem__(self, utterance_id: str) -> Array:
        """(T, F), read-only."""
        path, start, end = self._where[utterance_id]
        if path not in self._open:
            self._open[path] = np.load(path, mmap_mode="r", allow_pickle=False)
        return self._open[path][start:end]

    def rows(self, ids: Sequence[str]) -> list[Array]:
        """The features of these utterances, each (T, F)."""
        return [self[i] for i in ids]


def extract(utterance: Utterance, root: Path, feature: str, feature_config: Any, *, words: str = HUMAN) -> Array:
    """Compute one utterance's feature from its sound or its words: (T, F) float32.

    Raises:
        SerError: the feature needs sound or words that the utterance does not have, or they cannot be read.
    """
    plugin = plugins.load("feature", feature)
    if plugin.INPUT == "text":
        text = utterance.transcripts.get(words)
        if text is None:
            raise SerError(f"'{utterance.id}' has no {words} transcript, which the feature '{feature}' reads.")
        rows: Array = plugin.extract(text, feature_config)
        return rows
    if utterance.audio is None:
        raise SerError(
            f"'{utterance.id}' has no recording, which the feature '{feature}' needs; its words can be used."
        )
    signal = read(
        root / utterance.audio,
        sample_rate_hz=feature_config.sample_rate_hz,
        start_s=utterance.start_s,
        end_s=utterance.end_s,
    )
    return extract_signal(signal, feature, feature_config)


def extract_signal(signal: Array, feature: str, feature_config: Any) -> Array:
    """Level-normalise a signal (n_samples,) at the feature's rate and compute the feature: (T, F) float32."""
    memory.keep_freed()
    rows: Array = plugins.load("feature", feature).extract(prepare_signal(signal, feature_config), feature_config)
    return rows


def reads_text(feature: str) -> bool:
    """Whether a feature is made from words, not from sound."""
    return bool(plugins.load("feature", feature).INPUT == "text")


def has_input(utterance: Utterance, feature: str, *, words: str = HUMAN) -> bool:
    """Whether an utterance has the sound or the words that a feature is made from."""
    if reads_text(feature):
        return words in utterance.transcripts
    return utterance.audio is not None


def ensure(
    dataset: Dataset,
    feature: str,
    feature_config: Any,
    *,
    jobs: int = 1,
    progress: ProgressFactory,
) -> FeatureStore:
    """Compute what is missing of a feature and open it.

    Utterances without the feature's input are left out; asking the store for one is an error of the caller.

    Raises:
        SerError: no utterance has what the feature needs, or a recording went missing since `prepare`.
    """
    return _fill(dataset, [(feature, feature_config)], jobs, progress)[0].store()


def fill(dataset: Dataset, wanted: FeatureSpecs, *, jobs: int = 1, progress: ProgressFactory) -> None:
    """Compute what is missing of several features; processes that have no more to do of one begin with the next.

    Raises:
        SerError: as `ensure`.
    """
    _fill(dataset, wanted, jobs, progress)


def _fill(dataset: Dataset, wanted: FeatureSpecs, jobs: int, progress: ProgressFactory) -> list["_Parts"]:
    features = [_Parts(dataset, name, feature_config) for name, feature_config in wanted]
    tasks = (feature.task(n) for feature in features for n in feature.missing)
    n_tasks = sum(len(feature.missing) for feature in features)
    killed = (
        "A process that computed features was killed, perhaps for want of memory; repeat the command, it goes on, with "
        f"fewer --jobs than {jobs}."
    )
    with closing(processes.mapped(_make_part, tasks, min(jobs, n_tasks), killed=killed, ahead=_AHEAD)) as computed:
        for feature in features:
            if feature.missing:
                feature.take(computed, progress)
        next(computed, None)  # so that it ends by itself, and with it no process
    return features


def _bare(utterance: Utterance) -> Utterance:
    """Of an utterance what a feature is made from: what raters said of it would take most of the way to a process."""
    return Utterance(
        utterance.id,
        utterance.corpus,
        utterance.label,
        audio=utterance.audio,
        start_s=utterance.start_s,
        end_s=utterance.end_s,
        transcripts=utterance.transcripts,
        digest=utterance.digest,
    )


class _Parts:
    """The parts of a feature, and which of them are missing."""

    def __init__(self, dataset: Dataset, feature: str, feature_config: Any) -> None:
        """See what there is, and make a folder for what there is not yet.

        Raises:
            SerError: no utterance has what the feature is made from.
        """
        text = reads_text(feature)
        # Where those that have it stand in the manifest: they themselves would be a second copy of it.
        self._usable = np.flatnonzero([has_input(u, feature) for u in dataset.manifest.utterances])
        if not len(self._usable):
            what = "words (no transcripts)" if text else "sound (no recordings)"
            raise SerError(f"{dataset.folder}: the feature '{feature}' needs what no utterance here has: {what}.")
        # Each recogniser's words have a folder of their own: in one they would forever make each other's parts anew.
        whose = f"-{dataset.words}" if text and dataset.words != HUMAN else ""
        self.folder = dataset.folder / "features" / f"{key(feature, feature_config)}{whose}"
        self._dataset, self._feature, self._config = dataset, feature, feature_config
        self._n_parts = -(-len(self._usable) // PART)
        self.missing = [n for n in range(self._n_parts) if _read_index(self.task(n)) is None]
        if self.missing:
            write_json(self.folder / "feature.json", {"feature": feature, "config": config.to_dict(feature_config)})

    def task(self, n: int) -> "_Task":
        """What makes a part."""
        utterances = tuple(_bare(self._dataset.manifest.utterances[place]) for place in self._places(n))
        path, root = self.folder / f"part-{n:05d}.npy", Path(self._dataset.info.root)
        return _Task(path, utterances, root, self._feature, self._config)

    def _places(self, n: int) -> list[int]:
        places: list[int] = self._usable[n * PART : (n + 1) * PART].tolist()
        return places

    def take(self, computed: Iterator[None], progress: ProgressFactory) -> None:
        """The next of what is computed is what is missing here."""
        sizes = [len(self._places(n)) for n in self.missing]
        with progress(f"Computing {self._feature}", sum(sizes)) as step:
            for size, _ in zip(sizes, computed, strict=False):
                step(size)

    def store(self) -> FeatureStore:
        """All of them, opened.

        Raises:
            SerError: one was removed, or made from something else, since it was seen to be there.
        """
        tasks = (self.task(n) for n in range(self._n_parts))
        return FeatureStore(self.folder, ((task.path, _there(task)) for task in tasks))


@dataclass(frozen=True)
class _Task:
    path: Path
    utterances: tuple[Utterance, ...]
    root: Path
    feature: str
    config: Any

    def digests(self) -> list[str]:
        text = reads_text(self.feature)
        return [_text_digest(u) if text else f"{u.digest}:{u.start_s}:{u.end_s}" for u in self.utterances]


def _make_part(task: _Task) -> None:
    """Compute one part under its lock; whoever waited for the lock finds the part done."""
    with FileLock(task.path.with_name(f".{task.path.stem}.lock")):
        if _read_index(task) is not None:
            return
        for rest in (task.path, task.path.with_suffix(".json")):
            sweep(task.path.parent, of=rest.name)
        dtype = plugins.load("feature", task.feature).DTYPE
        rows = [extract(u, task.root, task.feature, task.config).astype(dtype) for u in task.utterances]
        stacked = np.concatenate(rows)
        index_path = task.path.with_suffix(".json")
        index_path.unlink(missing_ok=True)  # an index never stands beside rows that it was not made for
        write_atomic(task.path, lambda path: _save(path, stacked))
        index = _Index([u.id for u in task.utterances], task.digests(), [len(r) for r in rows])
        write_atomic(index_path, msgspec.json.encode(index))


def _save(path: Path, rows: Array) -> None:
    with path.open("wb") as file:
        np.save(file, rows, allow_pickle=False)


def _read_index(task: _Task) -> _Index | None:
    """The index of a part that is there and made from the same sound or words, else None."""
    try:
        index = msgspec.json.decode(task.path.with_suffix(".json").read_bytes(), type=_Index)
        rows = np.load(task.path, mmap_mode="r", allow_pickle=False)
    except _DAMAGED:
        return None
    same = index.ids == [u.id for u in task.utterances] and index.digests == task.digests()
    form = rows.ndim == 2 and rows.dtype == plugins.load("feature", task.feature).DTYPE
    whole = form and min(index.lengths, default=0) > 0 and sum(index.lengths) == len(rows)
    return index if same and whole and len(index.lengths) == len(index.ids) else None


def _there(task: _Task) -> _Index:
    index = _read_index(task)
    if index is None:
        raise SerError(f"{task.path} was changed or removed meanwhile; repeat the command.")
    return index


def _text_digest(utterance: Utterance) -> str:
    return hashlib.sha256(utterance.transcripts[HUMAN].encode()).hexdigest()[:16]
