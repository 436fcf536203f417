"""`ser tune`: search a preset's hyperparameters on train and validation part."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.cli import options

if TYPE_CHECKING:
    from sercli.model.feature_provider import FeatureProvider
    from sercli.training.tuning import Search

_SHOWN = 10  # trials in the table, the best first


def tune(
    *,
    model: options.Preset = None,
    data: options.Data,
    out: options.Out,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Trials of the whole study, earlier ones counted.")
    ] = 50,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="Optuna storage URL that machines share. Default: SQLite in --out."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes that share the study.")] = 1,
    words: options.Words = "human",
    split: options.SplitKind = None,
    folds: options.Folds = None,
    fold: options.Fold = "1",
    seed: options.Seed = 0,
    config: options.ConfigFile = None,
    device: options.Device = "auto",
    sets: options.Sets = None,
) -> None:
    """Search hyperparameters with Optuna; the same command again goes on with the study.

    With --fold all each fold has a study of its own, which never sees that fold's test part.
    """
    from sercli.cli import render, setup

    made = setup.setup(model, config, sets, data, words, split, folds, fold, seed)
    from sercli.model import feature_provider
    from sercli.training import tuning

    given = [pair.partition("=")[0] for pair in sets or []]
    rows = feature_provider.cached_features(
        made.dataset, jobs=options.n_jobs(None), device=device, progress=render.progress
    )
    study = _Study(trials, storage, jobs, rows)
    folders = [out / f"fold-{parts.fold}" if made.repeated else out for parts in made.folds]
    for folder in folders:
        _check_out(folder)
    for plan, parts, folder in zip(made.plans, made.folds, folders, strict=True):
        search = tuning.search_of(
            made.dataset, plan, parts, seed=seed, device=device, given=given, nested=made.repeated
        )
        _search(search, folder, study, f"Tuning on fold {parts.fold}" if made.repeated else "Tuning")
    best, every = (out, " --fold all") if made.repeated else (out / "best.json", "")
    render.note(f"Next: ser train -m {made.plans[0].name} --config {best} --data {data}{every} --out RUN")


@dataclass(frozen=True)
class _Study:
    """How each search is done."""

    trials: int
    storage: str | None
    jobs: int
    rows: "FeatureProvider"


def _search(search: "Search", out: Path, study: _Study, title: str) -> None:
    """One study, from its first trial to the table of its best."""
    from sercli.cli import render
    from sercli.evaluation.plots import trials_picture
    from sercli.training import tuning

    with render.progress(title, study.trials) as advance:
        outcome = tuning.tune(
            search,
            out,
            n_trials=study.trials,
            storage=study.storage,
            jobs=study.jobs,
            rows=study.rows,
            on_trial=lambda trial: advance(1),
        )
    in_order = sorted(outcome.trials, key=lambda trial: trial.number)
    trials_picture([t.value for t in in_order], [t.state.name for t in in_order], out / "trials.png")
    render.trials_table(
        [
            {"value": trial.value, "state": trial.state.name.lower(), "params": trial.params}
            for trial in outcome.trials[:_SHOWN]
        ]
    )
    if outcome.importances:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in outcome.importances.items())
        render.note(f"importance of each parameter: {shares}")


def _check_out(out: Path) -> None:
    """Refuse to put a study among other things, such as a dataset; its own files may have others beside them."""
    from sercli._system.files import visible_names
    from sercli.errors import SerError

    names = visible_names(out)
    if (out.exists() and not out.is_dir()) or (names and not names & {"study.db", "best.json", "trials.png"}):
        raise SerError(f"{out} holds something else than a study; choose another --out.")
