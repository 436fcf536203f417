"""`ser train`: a preset becomes a run directory."""

from typing import Annotated

import typer

from sercli.commands import _options


def train(
    *,
    model: _options.Preset = None,
    data: _options.Data,
    out: _options.Out,
    words: _options.Words = "human",
    split: _options.SplitKind = None,
    folds: _options.Folds = None,
    fold: _options.Fold = 1,
    seed: _options.Seed = 0,
    config: _options.ConfigFile = None,
    device: _options.Device = "auto",
    jobs: _options.Jobs = None,
    sets: _options.Sets = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table at the end.")] = False,
) -> None:
    """Train a network on one fold; the same command again goes on after a kill."""
    from sercli.commands import _render, _setup

    plan, dataset, parts = _setup.plan_and_split(model, config, sets, data, words, split, folds, fold, seed)
    from sercli.evaluation import comparison
    from sercli.model import experiment, inference, training
    from sercli.runs import check_free, read_predictions

    chosen = training.pick_device(device)
    rows = inference.cached_rows(dataset, jobs=_options.n_jobs(jobs), progress=_render.progress)
    # Features first: what cannot be computed must leave no run behind, and their bar must not share training's display.
    if not (out / "run.json").exists():
        check_free(out)
        everything = dataset.select([*parts.train, *parts.valid, *parts.test])
        rows(everything, plan.model.feature, plan.model.feature_config)
    with _render.training_progress(plan.name, plan.train.epochs) as on_epoch:
        info = experiment.train(dataset, plan, parts, out, rows=rows, seed=seed, device=chosen, on_epoch=on_epoch)
    if parts.leaky:
        _render.warn("The split shares speakers between parts: its figures are too good.")
    if not quiet:
        result = comparison.compare([(info.name, read_predictions(out, "test"))], info.train_counts)
        _render.systems_table(result.systems, result.baselines)
    reads = info.modality == "linguistic"
    side, words = ("-l", ' --text "..."') if reads else ("-a", "")
    _render.note(
        f"Best epoch {info.best_epoch}. Next: ser evaluate {side} {out}, or ser predict CLIP --model {out}{words}"
    )
