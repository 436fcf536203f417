"""Features on disk: computed once, in parts that appear whole or not at all, read back as memory maps.

A feature's folder is named by its name and a key over its version and whole configuration and, for text, by the
recogniser that wrote it. Part n holds the features of utterances n*128 to n*128+127 of the manifest that have the
feature's input; its index names them with a digest of what each was computed from, so a part computed from other audio
or text is detected and computed again. A killed run loses the part in hand. Several processes, and machines on one
shared folder, divide the parts between them by a lock on each.
"""

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from sercli import config, contracts, plugins
from sercli._system import processes
from sercli._system.files import sweep, write_atomic, write_json
from sercli._system.progress import Advance, ProgressFactory, nothing
from sercli.dataset import extraction
from sercli.dataset.feature_specs import FeatureSpec, FeatureSpecs, key, shared, title
from sercli.dataset.manifest import Dataset
from sercli.errors import SerError
from sercli.types import HUMAN, MOTION, WORD_TIMES, Array, Utterance

_STAGES = 16  # features whose progress is told apart at the same time
_AHEAD = 4  # parts that wait for each process, with their utterances
_PATIENCE_S = 600.0  # for the lock of a part; a network file system may keep that of a machine that died
PART = 128  # utterances in one part: small enough to share a corpus of 500 clips between processes


@dataclass(frozen=True)
class _Index:
    """part-NNNNN.json: present only once its .npy is."""

    ids: list[str]
    digests: list[str]
    lengths: list[int]  # rows of the .npy that belong to each utterance
    crc32: int  # of the .npy


class FeatureStore:
    """The features of a dataset's utterances by id, as views of memory-mapped files."""

    def __init__(self, folder: Path, indexes: Iterable[tuple[Path, _Index]]) -> None:
        self.folder = folder
        self._where: dict[str, tuple[Path, int, int]] = {}
        self._open: dict[Path, Array] = {}
        self._crc32: dict[Path, int] = {}
        for path, index in indexes:
            self._crc32[path] = index.crc32
            ends = np.cumsum(index.lengths)
            for name, end, length in zip(index.ids, ends, index.lengths, strict=True):
                self._where[name] = (path, int(end) - length, int(end))

    def __getitem__(self, utterance_id: str) -> Array:
        """(T, F), read-only.

        Raises:
            SerError: the features were changed after they were computed.
        """
        path, start, end = self._where[utterance_id]
        if path not in self._open:
            if self._crc32[path] != _crc32(path):
                raise SerError(f"{path} was changed after it was computed; delete it, and repeat the command.")
            self._open[path] = np.load(path, mmap_mode="r", allow_pickle=False)
        return self._open[path][start:end]


def ensure(
    dataset: Dataset,
    feature: str,
    feature_config: object,
    *,
    jobs: int = 1,
    device: str = "cpu",
    progress: ProgressFactory,
) -> FeatureStore:
    """Compute what is missing of a feature, as `fill`, and open it.

    Utterances without the feature's input are left out; asking the store for one is an error of the caller.

    Raises:
        SerError: as `fill`.
    """
    return fill(dataset, [(feature, feature_config)], jobs=jobs, device=device, progress=progress)[0].store()


def fill(
    dataset: Dataset, wanted: FeatureSpecs, *, jobs: int = 1, device: str = "cpu", progress: ProgressFactory
) -> "list[_Parts]":
    """Compute what is missing of several features, and return their parts.

    Features of the same sound are computed together. Processes that have no more to do of some begin with the next.

    Args:
        dataset: where the features are stored.
        wanted: the features.
        jobs: processes that compute at the same time, on the CPU. A network on a GPU is run by this process alone.
        device: for features that compute with a network, as `--device` has it; torch checks it if there is one.
        progress: shows what is under way.

    Raises:
        SerError: no utterance has what a feature needs, a recording went missing since `prepare`, or torch cannot use
            the device.
    """
    features = [_Parts(dataset, name, feature_config) for name, feature_config in wanted]
    missing = [feature for feature in features if feature.missing]
    networks = [f for f in missing if isinstance(plugins.feature(f.spec[0]), contracts.UsesDevice)]
    if networks or device not in ("auto", "cpu"):
        from sercli._system.devices import pick_device  # imports torch, which features without a network do not need

        device = str(pick_device(device))
    alone = [] if device.startswith("cpu") else networks
    _compute([feature for feature in features if feature not in alone], jobs, device, progress)
    _compute(alone, 1, device, progress)
    return features


def _compute(features: Sequence["_Parts"], jobs: int, device: str, progress: ProgressFactory) -> None:
    groups: dict[Hashable, list[_Parts]] = {}
    for feature in features:
        groups.setdefault(shared(*feature.spec), []).append(feature)
    stages = [(group, sorted({n for feature in group for n in feature.missing})) for group in groups.values()]
    tasks = (_task(group, n, stage % _STAGES) for stage, (group, missing) in enumerate(stages) for n in missing)
    killed = (
        "A process that computed features was killed, perhaps for want of memory; repeat the command, which goes on "
        f"from there, with {processes.FEWER}."
    )
    make, reports = partial(_make_parts, device=device), _Reports()
    jobs = min(jobs, sum(len(missing) for _, missing in stages))
    mapped = processes.mapped(make, tasks, jobs, killed=killed, ahead=_AHEAD, on_report=reports.add)
    with closing(mapped) as computed:
        for stage, (group, missing) in enumerate(stages):
            utterances = chain.from_iterable(map(group[0].utterances, missing))
            name, work_s = title([feature.spec for feature in group]), sum(map(extraction.length_s, utterances))
            with progress(name, work_s) as step:
                reports.begin(stage % _STAGES, step)
                for _ in zip(missing, computed, strict=False):
                    pass
        next(computed, None)  # so that it ends by itself, and with it no process


class _Reports:
    """What was reported of each feature: processes that have no more to do of one begin with the next."""

    def __init__(self) -> None:
        self._stage = -1
        self._step: Advance = nothing
        self._early: defaultdict[int, float] = defaultdict(float)

    def begin(self, stage: int, step: Advance) -> None:
        self._stage, self._step = stage, step
        if early := self._early.pop(stage, 0.0):
            step(early)

    def add(self, done_s: float, stage: int) -> None:
        if stage == self._stage:
            self._step(done_s)
        else:
            self._early[stage] += done_s


class _Parts:
    """The parts of a feature, and which of them are missing."""

    def __init__(self, dataset: Dataset, feature: str, feature_config: contracts.PluginConfig) -> None:
        """Look at what there is, and make a folder if something is missing.

        Raises:
            SerError: no utterance has what the feature is computed from.
        """
        needs = extraction.needs(feature)
        # Their places in the manifest: they themselves would be a second copy of it.
        self._usable = np.flatnonzero([extraction.lacks(u, feature) is None for u in dataset.manifest.utterances])
        if not len(self._usable):
            of = {"text": "transcripts", "audio": "recordings", "motion": "motion capture"}
            what = " and ".join(f"{kind} (no {of[kind]})" for kind in needs)
            raise SerError(f"{dataset.folder}: the feature '{feature}' needs what no utterance here has: {what}.")
        # Text of each recogniser has its own folder: in one they would compute each other's parts again for ever.
        whose = f"-{dataset.words}" if "text" in needs and dataset.words != HUMAN else ""
        self.folder = dataset.folder / "features" / f"{key(feature, feature_config)}{whose}"
        self.spec, self._dataset = (feature, feature_config), dataset
        self._n_parts = -(-len(self._usable) // PART)
        self.missing = [n for n in range(self._n_parts) if _read_index(self.part(n, self.utterances(n))) is None]
        if self.missing:
            write_json(self.folder / "feature.json", {"feature": feature, "config": config.to_dict(feature_config)})

    def part(self, n: int, utterances: Sequence[Utterance]) -> "_Part":
        """Return what part n, which is of these utterances, is computed from."""
        path, root = self.folder / f"part-{n:05d}.npy", Path(self._dataset.info.root)
        return _Part(path, utterances, root, self.spec)

    def utterances(self, n: int) -> list[Utterance]:
        """Return those of part n, with what the feature is computed from: votes would take long to reach a process."""
        found = [self._dataset.manifest.utterances[place] for place in self._usable[n * PART : (n + 1) * PART]]
        return [
            replace(u, attributes={name: u.attributes[name] for name in (MOTION, WORD_TIMES) if name in u.attributes})
            for u in found
        ]

    def store(self) -> FeatureStore:
        """Open all parts.

        Raises:
            SerError: a part was removed or replaced since it was found or computed.
        """
        parts = (self.part(n, self.utterances(n)) for n in range(self._n_parts))
        found = [(part.path, _read_index(part)) for part in parts]
        if lost := [path for path, index in found if index is None]:
            raise SerError(f"{lost[0]} was changed or removed meanwhile; repeat the command.")
        return FeatureStore(self.folder, [(path, index) for path, index in found if index])


@dataclass(frozen=True)
class _Part:
    path: Path
    utterances: Sequence[Utterance]
    root: Path
    spec: FeatureSpec

    def digests(self) -> list[str]:
        kinds = extraction.needs(self.spec[0])
        return ["|".join(_digest(u, kind) for kind in kinds) for u in self.utterances]


@dataclass(frozen=True)
class _Task:
    """Parts of several features with the same utterances."""

    parts: Sequence[_Part]
    stage: int  # for reports on progress


def _task(group: Sequence[_Parts], n: int, stage: int) -> _Task:
    """Return the work on part n of features that are computed together, where it is missing."""
    utterances = group[0].utterances(n)
    return _Task([feature.part(n, utterances) for feature in group if n in feature.missing], stage)


def _make_parts(task: _Task, device: str) -> None:
    """Compute parts under their locks; whoever waited for a lock finds the part done."""
    # In one order for all processes, so that none waits for another that waits for it.
    parts = sorted(task.parts, key=lambda part: part.path)
    with ExitStack() as held:
        with suppress(Timeout):  # locks only save work: if two compute a part, both write the same
            for part in parts:
                held.enter_context(FileLock(part.path.with_name(f".{part.path.stem}.lock"), timeout=_PATIENCE_S))
                for rest in (part.path, part.path.with_suffix(".json")):
                    sweep(part.path.parent, of=rest.name)
        missing = [part for part in parts if _read_index(part) is None]
        if missing:
            _compute_parts(missing, device, partial(processes.report, stage=task.stage))
        else:
            processes.report(sum(map(extraction.length_s, parts[0].utterances)), task.stage)


@lru_cache(maxsize=1)
def _begin(_folders: tuple[Path, ...]) -> None:
    """Forget extractors that read the files of other features, in a process that outlives a command."""
    extraction.extractor.cache_clear()


def _compute_parts(parts: Sequence[_Part], device: str, advance: Callable[[float], None]) -> None:
    _begin(tuple(part.path.parent for part in parts))
    utterances, specs = parts[0].utterances, [part.spec for part in parts]
    computed = extraction.extract(utterances, parts[0].root, specs, device=device, advance=advance)
    for part, features in zip(parts, computed, strict=True):
        index_path = part.path.with_suffix(".json")
        index_path.unlink(missing_ok=True)  # an index never stands beside features that it was not made for
        stacked = np.concatenate(features)
        write_atomic(part.path, partial(_save, features=stacked))
        lengths = [len(rows) for rows in features]
        index = _Index([u.id for u in utterances], part.digests(), lengths, _crc32(part.path))
        write_atomic(index_path, msgspec.json.encode(index))


def _crc32(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found = zlib.crc32(piece, found)
    return found


def _save(path: Path, features: Array) -> None:
    with path.open("wb") as file:
        np.save(file, features, allow_pickle=False)


def _read_index(part: _Part) -> _Index | None:
    """Return the index of a part that is there and was computed from the same audio or text, else None."""
    try:
        index = msgspec.json.decode(part.path.with_suffix(".json").read_bytes(), type=_Index)
        rows = np.load(part.path, mmap_mode="r", allow_pickle=False)
    except Exception:  # numpy evaluates the header of its files as Python literals, which can raise nearly anything
        return None
    same = index.ids == [u.id for u in part.utterances] and index.digests == part.digests()
    form = rows.ndim == 2 and rows.dtype == plugins.feature(part.spec[0]).DTYPE
    whole = form and min(index.lengths, default=0) > 0 and sum(index.lengths) == len(rows)
    return index if same and whole and len(index.lengths) == len(index.ids) else None


def _digest(utterance: Utterance, kind: str) -> str:
    """Return by what an utterance's audio, text or motion capture is recognised again."""
    if kind == "audio":
        return f"{utterance.digest}:{utterance.start_s}:{utterance.end_s}"
    read = f"{utterance.text or ''}{utterance.attributes.get(WORD_TIMES, '')}".encode()
    content = msgspec.json.encode(utterance.attributes[MOTION]) if kind == "motion" else read
    return hashlib.sha256(content).hexdigest()[:16]
