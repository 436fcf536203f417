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

from sercli import processes, runs
from sercli.dataset import cache, folds
from sercli.dataset.manifest import Dataset
from sercli.dataset.split import folds_hash
from sercli.errors import MismatchError, SerError
from sercli.model import experiment, fusion, inference
from sercli.model.spec import Plan
from sercli.model.training import pick_device
from sercli.runs import CROSS_VALIDATION, Cell, RunInfo
from sercli.types import EpochResult, Split, TrainConfig, Utterance

OnRun = Callable[[Cell, RunInfo], None]
"""Told of each run that is finished, those of an earlier command too."""


@dataclass(frozen=True)
class Repetition:
    """What is repeated, and how."""

    dataset: Dataset
    folds: tuple[Split, ...]
    seeds: tuple[int, ...]
    device: str  # as `--device` has it
    jobs: int  # runs at the same time, each on one core, so that their number changes no figure

    def cells(self, out: Path) -> tuple[Cell, ...]:
        """Where the runs lie, seed by seed."""
        return runs.cells(out, len(self.folds), self.seeds)


def train(plans: Sequence[Plan], repeated: Repetition, out: Path, *, on_run: OnRun) -> RunInfo:
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
        inference.check_inputs(everyone(repeated), plan.model.feature)
    begun = RunInfo(
        kind=CROSS_VALIDATION,
        name=plans[0].name,
        status="training",
        labels=dataset.info.labels,
        modality="linguistic" if cache.reads_text(plans[0].model.feature) else "acoustic",
        settings={**_sections(plans), **_provenance(repeated)},
        data=str(dataset.folder),
        train_counts=_counts(repeated),
    )
    info = _start(begun, repeated, out)
    if info.status == "finished":
        return info
    work = partial(_train_one, dataset, tuple(plans), repeated.folds, repeated.device)
    return _finish(begun, repeated, out, work, on_run)


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
    single = fusion.begun(infos, rule, rule_config, train_config, _provenance(repeated), data=where)
    begun = replace(single, kind=CROSS_VALIDATION)
    info = _start(begun, repeated, out)
    if info.status == "finished":
        return info
    work = partial(_fuse_one, repeated.dataset, members, rule, rule_config, train_config, repeated.device)
    return _finish(begun, repeated, out, work, on_run)


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
    cells = runs.cells(members[0], first.settings["split"]["n_folds"], seeds[:1])
    splits = tuple(runs.read_split(cell.folder) for cell in cells)
    return Repetition(dataset, splits, seeds, device, jobs)


def _start(begun: RunInfo, repeated: Repetition, out: Path) -> RunInfo:
    info = runs.start(out, begun)
    if info.status != "finished":
        folds.write(out / "folds.json", repeated.folds, repeated.dataset.info.corpus)
    return info


def _finish(begun: RunInfo, repeated: Repetition, out: Path, work: Callable[[Cell], RunInfo], on_run: OnRun) -> RunInfo:
    """Do all that is left to do, and say that it is done."""
    _do_all(repeated.cells(out), work, repeated.jobs, on_run)
    info = replace(begun, status="finished")
    runs.write_info(out, info)
    return info


def _do_all(cells: Sequence[Cell], work: Callable[[Cell], RunInfo], jobs: int, on_run: OnRun) -> None:
    left: list[Cell] = []
    for cell in cells:
        if (cell.folder / "run.json").exists() and (info := runs.load_info(cell.folder)).status == "finished":
            on_run(cell, info)
        else:
            left.append(cell)
    jobs = min(jobs, len(left))
    if jobs <= 1:
        with _one_thread():
            for cell in left:
                on_run(cell, work(cell))
        return
    try:
        with processes.pool(jobs) as pool:
            waiting = {pool.submit(work, cell): cell for cell in left}
            for done in as_completed(waiting):
                on_run(waiting[done], done.result())
    except BrokenProcessPool:
        raise SerError(
            "A process was killed, perhaps for want of memory; give fewer --jobs. The same command goes on from here."
        ) from None


def _train_one(
    dataset: Dataset, plans: tuple[Plan, ...], splits: tuple[Split, ...], device: str, cell: Cell
) -> RunInfo:
    rows = inference.cached_rows(dataset, jobs=1, progress=inference.unseen)
    plan, split = plans[cell.fold - 1], splits[cell.fold - 1]
    with _named(cell):
        return experiment.train(
            dataset, plan, split, cell.folder, rows=rows, seed=cell.seed, device=pick_device(device), on_epoch=_unheard
        )


def _fuse_one(
    dataset: Dataset,
    members: tuple[Path, Path],
    rule: str,
    rule_config: Any,
    train_config: TrainConfig,
    device: str,
    cell: Cell,
) -> RunInfo:
    chosen = pick_device(device)
    rows = inference.cached_rows(dataset, jobs=1, progress=inference.unseen)
    acoustic, linguistic = (
        inference.load(runs.cell_folder(folder, cell.fold, cell.seed), chosen) for folder in members
    )
    shop = fusion.Workshop(dataset, rows, cell.seed, chosen, _unheard)
    with _named(cell):
        return fusion.fuse(
            (acoustic, linguistic), rule, cell.folder, shop, rule_config=rule_config, train_config=train_config
        )


def _sections(plans: Sequence[Plan]) -> dict[str, Any]:
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
def _named(cell: Cell) -> Iterator[None]:
    """Say in an error which run it came from."""
    try:
        yield
    except SerError as error:
        raise type(error)(f"Fold {cell.fold}, seed {cell.seed}: {error}") from None


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
