"""`ser tune`: search a preset's hyperparameters on train and validation part."""

from pathlib import Path
from typing import Annotated

import typer

from sercli.commands import _options

_SHOWN = 10  # trials in the table, the best first


def tune(
    *,
    model: _options.Preset = None,
    data: _options.Data,
    out: _options.Out,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Trials of the whole study, earlier ones counted.")
    ] = 50,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="Optuna storage URL that machines share. Default: SQLite in --out."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes that share the study.")] = 1,
    words: _options.Words = "human",
    split: _options.SplitKind = None,
    folds: _options.Folds = None,
    fold: _options.Fold = 1,
    seed: _options.Seed = 0,
    config: _options.ConfigFile = None,
    device: _options.Device = "auto",
    sets: _options.Sets = None,
) -> None:
    """Search hyperparameters with Optuna; the same command again goes on with the study."""
    from sercli.commands import _render, _setup

    _check_out(out)
    plan, dataset, parts = _setup.plan_and_split(model, config, sets, data, words, split, folds, fold, seed)
    from sercli import tuning
    from sercli.evaluation.plots import trials_picture
    from sercli.model import inference

    given = [pair.partition("=")[0] for pair in sets or []]
    search = tuning.search_of(dataset, plan, parts, seed=seed, device=device, given=given)
    rows = inference.cached_rows(dataset, jobs=_options.n_jobs(None), progress=_render.progress)
    with _render.progress("Tuning", trials) as advance:
        outcome = tuning.tune(
            search, out, n_trials=trials, storage=storage, jobs=jobs, rows=rows, on_trial=lambda trial: advance(1)
        )
    in_order = sorted(outcome.trials, key=lambda trial: trial.number)
    trials_picture([t.value for t in in_order], [t.state.name for t in in_order], out / "trials.png")
    _render.trials_table(
        [
            {"value": trial.value, "state": trial.state.name.lower(), "params": trial.params}
            for trial in outcome.trials[:_SHOWN]
        ]
    )
    if outcome.importances:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in outcome.importances.items())
        _render.note(f"importance of each parameter: {shares}")
    _render.note(f"Next: ser train -m {plan.name} --config {out / 'best.json'} --data {data} --out RUN")


def _check_out(out: Path) -> None:
    """Refuse to put a study among other things, such as a dataset; its own files may have others beside them."""
    from sercli.errors import SerError
    from sercli.files import visible_names

    names = visible_names(out)
    if (out.exists() and not out.is_dir()) or (names and not names & {"study.db", "best.json", "trials.png"}):
        raise SerError(f"{out} holds something else than a study; choose another --out.")
