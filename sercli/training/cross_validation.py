"""Cross-validation: a run for each fold and seed in one directory, several at a time, taken up where it was left.

RUN/run.json and RUN/folds.json say what is repeated; RUN/fold-1/seed-0 and so on are ordinary run directories.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sercli import runs
from sercli._system import processes
from sercli._system.devices import pick_device
from sercli._system.progress import no_progress
from sercli.dataset import feature_cache, folds
from sercli.dataset.manifest import Dataset
from sercli.dataset.splits import folds_hash
from sercli.errors import MismatchError, SerError
from sercli.model import feature_provider, inference
from sercli.model.spec import ExperimentConfig
from sercli.runs import CROSS_VALIDATION, FoldRun, RunInfo
from sercli.training import experiment, fusion
from sercli.types import EpochResult, Split, TrainConfig, Utterance

OnRun = Callable[[FoldRun, RunInfo], None]
"""Told of each run that is finished, those of an earlier command too."""


@dataclass(frozen=True)
class Repetition:
    """What is repeated, and how."""

    dataset: Dataset
    folds: tuple[Split, ...]
    seeds: tuple[int, ...]
    device: str  # as `--device` has it
    jobs: int  # runs at the same time, each on one core, so that their number changes no figure

    def fold_runs(self, out: Path) -> tuple[FoldRun, ...]:
        """Where the runs lie, seed by seed."""
        return runs.fold_runs(out, len(self.folds), self.seeds)


def train(plans: Sequence[ExperimentConfig], repeated: Repetition, out: Path, *, on_run: OnRun) -> RunInfo:
    """Train a model on each fold with each seed; the features are best computed before.

    Args:
        plans: one a fold; all the same but where each fold was tuned by itself.
        repeated: folds and seeds.
        out: the directory.
        on_run: told of each run.

    Raises:
        MismatchError: the directory holds a cross-validation with other settings.
        SerError: utterances lack the feature's input, or a training diverged.
    """
    dataset = repeated.dataset
    for plan in plans:
        feature_provider.check_inputs(everyone(repeated), plan.model.feature)
    initial_info = RunInfo(
        kind=CROSS_VALIDATION,
        name=plans[0].name,
        status="training",
        labels=dataset.info.labels,
        modality="linguistic" if feature_cache.reads_text(plans[0].model.feature) else "acoustic",
        settings={**_sections(plans), **_provenance(repeated)},
        data=str(dataset.folder),
        train_counts=_counts(repeated),
    )
    info = _start(initial_info, repeated, out)
    if info.status == "finished":
        return info
    work = partial(_train_one, dataset, tuple(plans), repeated.folds, repeated.device)
    return _finish(initial_info, repeated, out, work, on_run)


def fuse(
    members: tuple[Path, Path],
    rule: str,
    repeated: Repetition,
    out: Path,
    *,
    rule_config: Any,
    train_config: TrainConfig,
    on_run: OnRun,
) -> RunInfo:
    """Make an ensemble of each pair of runs that two cross-validations have for a fold and a seed.

    Raises:
        MismatchError: the two differ in labels, folds, seeds or data, or the directory holds something else.
    """
    infos = [runs.load_finished(folder) for folder in members]
    where = str(repeated.dataset.folder)
    single = fusion.initial_info(infos, rule, rule_config, train_config, _provenance(repeated), data=where)
    initial_info = replace(single, kind=CROSS_VALIDATION)
    info = _start(initial_info, repeated, out)
    if info.status == "finished":
        return info
    work = partial(_fuse_one, repeated.dataset, members, rule, rule_config, train_config, repeated.device)
    return _finish(initial_info, repeated, out, work, on_run)


def repetition_of(members: tuple[Path, Path], dataset: Dataset, *, device: str, jobs: int) -> Repetition | None:
    """What two cross-validations repeat; None where neither is one.

    Raises:
        MismatchError: only one of them is one, or their folds or seeds differ.
    """
    infos = [runs.load_finished(folder) for folder in members]
    repeats = [info.kind == CROSS_VALIDATION for info in infos]
    if not any(repeats):
        return None
    first = infos[0]
    if not all(repeats):
        raise MismatchError(
            f"{members[repeats.index(True)]} has a run for each fold and {members[repeats.index(False)]} is a single "
            "one; train both with --fold all, or give a single fold of the first."
        )
    for what, section, key in (("seeds", "run", "seeds"), ("folds", "split", "hash")):
        one, other = (info.settings[section][key] for info in infos)
        if one != other:
            raise MismatchError(
                f"{members[0]} and {members[1]} have other {what}: {one} against {other}; train both with the same "
                "--data, --split, --seed and --seeds."
            )
    seeds = tuple(first.settings["run"]["seeds"])
    fold_runs = runs.fold_runs(members[0], first.settings["split"]["n_folds"], seeds[:1])
    splits = tuple(runs.read_split(fold_run.folder) for fold_run in fold_runs)
    return Repetition(dataset, splits, seeds, device, jobs)


def _start(initial_info: RunInfo, repeated: Repetition, out: Path) -> RunInfo:
    info = runs.start(out, initial_info)
    if info.status != "finished":
        folds.write(out / "folds.json", repeated.folds, repeated.dataset.info.corpus)
    return info


def _finish(
    initial_info: RunInfo, repeated: Repetition, out: Path, work: Callable[[FoldRun], RunInfo], on_run: OnRun
) -> RunInfo:
    """Do all that is left to do, and say that it is done."""
    _do_all(repeated.fold_runs(out), work, repeated.jobs, on_run)
    info = replace(initial_info, status="finished")
    runs.write_info(out, info)
    return info


def _do_all(fold_runs: Sequence[FoldRun], work: Callable[[FoldRun], RunInfo], jobs: int, on_run: OnRun) -> None:
    left: list[FoldRun] = []
    for fold_run in fold_runs:
        if (fold_run.folder / "run.json").exists() and (info := runs.load_info(fold_run.folder)).status == "finished":
            on_run(fold_run, info)
        else:
            left.append(fold_run)
    jobs = min(jobs, len(left))
    if jobs <= 1:
        with _one_thread():
            for fold_run in left:
                on_run(fold_run, work(fold_run))
        return
    try:
        with processes.pool(jobs) as pool:
            waiting = {pool.submit(work, fold_run): fold_run for fold_run in left}
            for done in as_completed(waiting):
                on_run(waiting[done], done.result())
    except BrokenProcessPool:
        raise SerError(
            "A process was killed, perhaps for want of memory; give fewer --jobs. The same command goes on from here."
        ) from None


def _train_one(
    dataset: Dataset, plans: tuple[ExperimentConfig, ...], splits: tuple[Split, ...], device: str, fold_run: FoldRun
) -> RunInfo:
    rows = feature_provider.cached_features(dataset, jobs=1, device=device, progress=no_progress)
    plan, split = plans[fold_run.fold - 1], splits[fold_run.fold - 1]
    with _named(fold_run):
        return experiment.train(
            dataset,
            plan,
            split,
            fold_run.folder,
            rows=rows,
            seed=fold_run.seed,
            device=pick_device(device),
            on_epoch=_unheard,
        )


def _fuse_one(
    dataset: Dataset,
    members: tuple[Path, Path],
    rule: str,
    rule_config: Any,
    train_config: TrainConfig,
    device: str,
    fold_run: FoldRun,
) -> RunInfo:
    chosen = pick_device(device)
    rows = feature_provider.cached_features(dataset, jobs=1, device=device, progress=no_progress)
    acoustic, linguistic = (
        inference.load(runs.fold_run_folder(folder, fold_run.fold, fold_run.seed), chosen) for folder in members
    )
    context = fusion.FusionContext(dataset, rows, fold_run.seed, chosen, _unheard)
    with _named(fold_run):
        return fusion.fuse(
            (acoustic, linguistic), rule, fold_run.folder, context, rule_config=rule_config, train_config=train_config
        )


def _sections(plans: Sequence[ExperimentConfig]) -> dict[str, Any]:
    """The settings of all folds, and where they differ those of each."""
    first = plans[0].to_dict()
    if all(plan.to_dict() == first for plan in plans):
        return first
    by_fold = {str(n): plan.to_dict() for n, plan in enumerate(plans, start=1)}
    return {"model": first["model"], "train": {}, "by_fold": by_fold}


def _provenance(repeated: Repetition) -> dict[str, dict[str, Any]]:
    """As that of a single run, of all folds and seeds."""
    sections = experiment.provenance(repeated.dataset, repeated.folds[0], repeated.seeds[0])
    return {
        **sections,
        "split": {
            "kind": repeated.folds[0].kind,
            "n_folds": len(repeated.folds),
            "hash": folds_hash(repeated.folds),
            "leaky": any(split.leaky for split in repeated.folds),
        },
        "run": {"seeds": list(repeated.seeds)},
    }


def everyone(repeated: Repetition) -> list[Utterance]:
    """The utterances of all folds, in the dataset's order."""
    ids = {i for split in repeated.folds for i in (*split.train, *split.valid, *split.test)}
    return [u for u in repeated.dataset.manifest.utterances if u.id in ids]


def _counts(repeated: Repetition) -> dict[str, int]:
    """Class counts of all train parts together."""
    return dict(Counter(u.label for split in repeated.folds for u in repeated.dataset.select(split.train)))


@contextmanager
def _named(fold_run: FoldRun) -> Iterator[None]:
    """Say in an error which run it came from."""
    try:
        yield
    except SerError as error:
        raise type(error)(f"Fold {fold_run.fold}, seed {fold_run.seed}: {error}") from None


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unheard(result: EpochResult, best: bool) -> None:
    """Several trainings at a time have no display of their epochs."""
