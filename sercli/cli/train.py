"""`ser train`: a preset becomes a run directory, or several presets one each, on one fold or on all."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.cli import options

if TYPE_CHECKING:
    from sercli.cli.setup import Setup
    from sercli.model.feature_provider import FeatureProvider


def train(
    *,
    model: options.Presets = None,
    data: options.Data,
    out: options.Out,
    words: options.Words = "human",
    split: options.SplitKind = None,
    folds: options.Folds = None,
    fold: options.Fold = "1",
    seed: options.Seed = 0,
    seeds: options.Seeds = 1,
    config: options.ConfigFile = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    sets: options.Sets = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table at the end.")] = False,
) -> None:
    """Train a network on one fold, or on all of them; the same command again goes on after a kill.

    ser train -m acoustic-lld --data work/ravdess --out work/run

    ser train -m acoustic-lld --data work/ravdess --fold all --seeds 3 --out work/run

    ser train -m all --data work/iemocap --fold all --out work/runs
    """
    from sercli.cli import render, setup
    from sercli.errors import SerError
    from sercli.types import HUMAN

    names = list(dict.fromkeys(model or []))
    several = len(names) > 1 or names == [setup.ALL]
    if seeds > 1 and fold != setup.ALL:
        raise SerError(f"--seeds {seeds} needs --fold all, which trains them into one run; add it.")
    if config is not None and several:
        raise SerError("--config has the settings of one model; give one -m.")
    chosen: list[str | None] = list(names) or [None]
    if names == [setup.ALL]:
        chosen = list(setup.trainable(data, words))
    work = _Work(device, options.n_jobs(jobs), quiet)
    everything = []  # a setting that one of them refuses must not come to light after hours of training the others
    for name in chosen:
        whose = words if name is None or not several or setup.reads_text(name) else HUMAN
        everything.append(setup.setup(name, config, sets, data, whose, split, folds, fold, seed))
    for made in everything:
        folder = out / made.plans[0].name if several else out
        if made.repeated:
            _train_all(made, folder, range(seed, seed + seeds), work)
        else:
            _train_one(made, folder, seed, work)
        if any(part.leaky for part in made.folds):
            render.warn("The split shares speakers between parts: its figures are too good.")
    if several:
        render.note(f"Next: ser evaluate --all {out}")


@dataclass(frozen=True)
class _Work:
    """How it is to be done."""

    device: str
    jobs: int
    quiet: bool


def _train_one(made: "Setup", out: Path, seed: int, work: _Work) -> None:
    """Train on one fold, each epoch shown."""
    from sercli._system import devices
    from sercli.cli import render
    from sercli.evaluation import comparison
    from sercli.runs import check_free, read_predictions
    from sercli.training import experiment

    (plan,), (parts,) = made.plans, made.folds
    chosen = devices.pick_device(work.device)
    rows = _rows(made, work)
    # Features first: what cannot be computed must leave no run behind, and their bar must not share training's display.
    if not (out / "run.json").exists():
        check_free(out)
        everything = made.dataset.select([*parts.train, *parts.valid, *parts.test])
        for feature_config in plan.feature_configs:
            rows(everything, plan.model.feature, feature_config)
    with render.training_progress(plan.name, plan.train.epochs) as on_epoch:
        info = experiment.train(made.dataset, plan, parts, out, rows=rows, seed=seed, device=chosen, on_epoch=on_epoch)
    if not work.quiet:
        result = comparison.compare([(info.name, read_predictions(out, "test"))], info.train_counts)
        render.systems_table(result.systems, result.baselines)
    reads = info.modality == "linguistic"
    side, words = ("-l", ' --text "..."') if reads else ("-a", "")
    render.note(
        f"Kept epoch {info.best_epoch}. Next: ser evaluate {side} {out}, or ser predict CLIP --model {out}{words}"
    )


def _train_all(made: "Setup", out: Path, seeds: range, work: _Work) -> None:
    """Train on all folds, several at a time."""
    from sercli._system import devices
    from sercli.cli import render
    from sercli.evaluation import comparison, pooling
    from sercli.runs import check_free
    from sercli.training import cross_validation

    devices.pick_device(work.device)  # refused now, not in a process
    repeated = cross_validation.Repetition(made.dataset, made.folds, tuple(seeds), work.device, work.jobs)
    if not (out / "run.json").exists():
        check_free(out)
        rows, everyone = _rows(made, work), cross_validation.everyone(repeated)
        for plan in made.plans:
            for feature_config in plan.feature_configs:
                rows(everyone, plan.model.feature, feature_config)
    with render.repetition_progress(made.plans[0].name, len(repeated.fold_runs(out))) as update:
        info = cross_validation.train(
            made.plans,
            repeated,
            out,
            on_run=lambda fold_run, run: update(fold_run.fold, fold_run.seed, run.best_epoch),
        )
    if not work.quiet:
        result = comparison.compare(pooling.by_seed(pooling.collect(out, info, info.name), seeds), info.train_counts)
        render.systems_table(result.systems, result.baselines)
    render.note(f"Next: ser evaluate {'-l' if info.modality == 'linguistic' else '-a'} {out}")


def _rows(made: "Setup", work: _Work) -> "FeatureProvider":
    from sercli.cli import render
    from sercli.model import feature_provider

    return feature_provider.cached_features(made.dataset, jobs=work.jobs, device=work.device, progress=render.progress)
