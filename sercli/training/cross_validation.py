"""Cross-validation: a run for each fold and seed in one directory, several at a time, resumed where it stopped.

RUN/run.json and RUN/folds.json describe the whole; RUN/fold-1/seed-0 and so on are ordinary run directories, and so is
RUN/refit, if one more model was trained on all utterances.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from msgspec import structs

from sercli import runs
from sercli._system import processes
from sercli._system.devices import pick_device
from sercli._system.progress import no_progress
from sercli.dataset import extraction, folds
from sercli.dataset.manifest import Dataset
from sercli.errors import MismatchError, SerError
from sercli.evaluation import pooling
from sercli.model import feature_provider
from sercli.model.loading import load_model
from sercli.model.spec import ExperimentConfig
from sercli.runs import CROSS_VALIDATION, FoldRun, RunInfo
from sercli.runs.settings import ExperimentSettings
from sercli.training import experiment, fusion
from sercli.training.experiment import Context, OnEpoch
from sercli.training.fusion import RuleConfig
from sercli.types import ALL, Split, Utterance

OnRun = Callable[[FoldRun, RunInfo], None]
"""Called with each finished run, also with those of an earlier command."""

Work = Callable[[FoldRun, Context], RunInfo]
"""What is done for one fold and seed."""


@dataclass(frozen=True)
class CrossValidation:
    """The folds and seeds of a cross-validation, and how it is computed."""

    dataset: Dataset
    folds: tuple[Split, ...]
    seeds: tuple[int, ...]
    device: str  # a value of `--device`
    jobs: int  # runs at the same time, each on one core, so that their number does not change the results

    def utterances(self) -> list[Utterance]:
        """The utterances of all folds, in the order of the dataset."""
        ids = {i for split in self.folds for i in (*split.train, *split.valid, *split.test)}
        return [u for u in self.dataset.manifest.utterances if u.id in ids]


def train(configs: Sequence[ExperimentConfig], cv: CrossValidation, out: Path, *, on_run: OnRun) -> RunInfo:
    """Train a model on each fold with each seed; compute the features before, so that the processes share them.

    Args:
        configs: one for each fold; all equal unless each fold was tuned by itself.
        cv: folds and seeds.
        out: the directory.
        on_run: called with each finished run.

    Raises:
        MismatchError: the directory holds a cross-validation with other settings.
        SerError: utterances lack the input of the feature, or a training diverged.
    """
    for config in configs:
        extraction.check_inputs(cv.utterances(), *config.feature_names)
    info = experiment.initial_run_info(configs[0], cv.dataset, cv.folds, cv.seeds, crossed=True)
    if any(config != configs[0] for config in configs):
        by_fold = {str(n): ExperimentSettings(**config.to_dict()) for n, config in enumerate(configs, start=1)}
        settings = structs.replace(info.settings, feature={}, architecture={}, train={}, by_fold=by_fold)
        info = replace(info, settings=settings)
    return _run(info, cv, out, partial(_train_one, configs, cv.folds), on_run)


def refit(config: ExperimentConfig, cv: CrossValidation, out: Path, on_epoch: OnEpoch) -> RunInfo:
    """Train one more model, on the utterances of all folds, with the first seed, in the directory `refit` of `out`.

    What other models learn from their validation part is learned from the test parts of the folds, which their models
    were not trained on: the temperature, the class scores and, unless the last epoch is kept anyway, the number of
    epochs. The model has no test part: the scores of the cross-validation are the estimate of its own.

    Args:
        config: that of all folds.
        cv: folds and seeds.
        out: directory of the finished cross-validation.
        on_epoch: called after each epoch.

    Raises:
        MismatchError: the directory holds a run with other settings.
        DivergedError: the loss is no longer a number.
    """
    pooled = pooling.collect(out, info := runs.load_finished(out), config.name)
    if config.train.keep == "best":
        kept = [runs.load_info(one.folder).best_epoch or 0 for one in runs.fold_runs(out, info.settings)]
        config = replace(config, train=replace(config.train, keep="last", epochs=round(sum(kept) / len(kept))))
    ids = tuple(u.id for u in cv.utterances())
    every = Split(ids, (), (), kind=ALL, group_by="none", fold=1, n_folds=1, seed=cv.seeds[0])
    provider = feature_provider.cached_features(cv.dataset, jobs=cv.jobs, device=cv.device, progress=no_progress)
    context = Context(cv.dataset, provider, cv.seeds[0], pick_device(cv.device), on_epoch)
    with _one_thread():
        return experiment.train(
            config, every, out / runs.REFIT, context, held_out=replace(pooled.runs[0], probs=pooled.raw[0])
        )


def fuse(members: tuple[Path, ...], rule: RuleConfig, cv: CrossValidation, out: Path, *, on_run: OnRun) -> RunInfo:
    """Make an ensemble of the runs that several cross-validations have for a fold and a seed.

    Raises:
        MismatchError: they differ in labels, folds, seeds or data, or the directory holds something else.
    """
    infos = [runs.load_finished(folder) for folder in members]
    settings = experiment.provenance(cv.dataset, cv.folds, cv.seeds, crossed=True)
    info = fusion.initial_run_info(infos, rule, settings, data=str(cv.dataset.folder))
    return _run(replace(info, kind=CROSS_VALIDATION), cv, out, partial(_fuse_one, members, rule), on_run)


def common(members: tuple[Path, ...], dataset: Dataset, *, device: str, jobs: int) -> CrossValidation | None:
    """The folds and seeds that cross-validations have in common; None where all are single runs.

    Raises:
        MismatchError: only some of them are cross-validations, or their folds or seeds differ.
    """
    infos = [runs.load_finished(folder) for folder in members]
    crossed = [info.kind == CROSS_VALIDATION for info in infos]
    if not any(crossed):
        return None
    if not all(crossed):
        raise MismatchError(
            f"{members[crossed.index(True)]} has a run for each fold and {members[crossed.index(False)]} is a single "
            "one; train all with --fold all, or give a single fold of each."
        )
    first = infos[0].settings
    for folder, info in zip(members, infos, strict=True):
        for what, one, other in (
            ("seeds", list(first.seeds), list(info.settings.seeds)),
            ("folds", first.split.hash, info.settings.split.hash),
        ):
            if one != other:
                raise MismatchError(
                    f"{members[0]} and {folder} have different {what}: {one} against {other}; train all with the same "
                    "--data, --split, --seed and --seeds."
                )
    fold_runs = runs.fold_runs(members[0], first)[: first.split.n_folds]  # those of the first seed
    return CrossValidation(
        dataset, tuple(runs.read_split(fold_run.folder) for fold_run in fold_runs), first.seeds, device, jobs
    )


def _run(info: RunInfo, cv: CrossValidation, out: Path, work: Work, on_run: OnRun) -> RunInfo:
    """Start or resume a cross-validation, do what is left to do, and mark it as finished."""
    started = runs.start(out, info)
    if started.status == "finished":
        return started
    folds.write(out / "folds.json", cv.folds, cv.dataset.info.corpus)
    left: list[FoldRun] = []
    for fold_run in runs.fold_runs(out, info.settings):
        if (fold_run.folder / "run.json").exists() and (one := runs.load_info(fold_run.folder)).status == "finished":
            on_run(fold_run, one)
        else:
            left.append(fold_run)
    do, jobs = partial(_one, cv, work), min(cv.jobs, len(left))
    with _one_thread(), closing(processes.mapped(do, left, jobs, killed=experiment.KILLED)) as finished:
        for fold_run, one in zip(left, finished, strict=True):
            on_run(fold_run, one)
    info = replace(info, status="finished")
    runs.write_info(out, info)
    return info


def _one(cv: CrossValidation, work: Work, fold_run: FoldRun) -> RunInfo:
    """Do the work of a fold and a seed; an error names them."""
    provider = feature_provider.cached_features(cv.dataset, jobs=1, device=cv.device, progress=no_progress)
    try:
        return work(fold_run, Context(cv.dataset, provider, fold_run.seed, pick_device(cv.device)))
    except SerError as error:
        raise type(error)(f"Fold {fold_run.fold}, seed {fold_run.seed}: {error}") from None


def _train_one(
    configs: Sequence[ExperimentConfig], splits: Sequence[Split], fold_run: FoldRun, context: Context
) -> RunInfo:
    place = fold_run.fold - 1
    return experiment.train(configs[place], splits[place], fold_run.folder, context)


def _fuse_one(members: Sequence[Path], rule: RuleConfig, fold_run: FoldRun, context: Context) -> RunInfo:
    place = Path(*fold_run.folder.parts[-2:])
    loaded = tuple(load_model(folder / place, context.device) for folder in members)
    return fusion.fuse(loaded, rule, fold_run.folder, context)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
