"""`ser tune`: search the hyperparameters of a preset on train and validation part."""

from shlex import quote
from typing import Annotated

import typer

from sercli.cli import options

_SHOWN = 10  # trials in the table, the best first


def tune(
    *,
    model: options.Preset = None,
    data: options.Data,
    out: options.Out,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Number of trials of the whole study, including earlier ones.")
    ] = 50,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="URL", help="Optuna storage URL, shared by machines. Default: SQLite in --out."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Number of processes that share the study. Default: one.")
    ] = None,
    cluster: options.Cluster = None,
    words: options.Words = "human",
    split: options.SplitKind = None,
    folds: options.Folds = None,
    fold: options.Fold = "1",
    seed: options.Seed = 0,
    config: options.ConfigFile = None,
    device: options.Device = "auto",
    sets: options.Sets = None,
    quiet: options.Quiet = False,
) -> None:
    """Search hyperparameters with Optuna; repeat the command to resume the study.

    With --fold all each fold has a study of its own, which never sees the test part of that fold.
    """
    from sercli._system import ctrl_c

    ctrl_c.keeps(f"Finished trials are kept in {storage or out}; {options.GOES_ON}")
    from sercli._system.cluster import connected
    from sercli._system.files import refuse_others
    from sercli.cli import render
    from sercli.training.setup import make_setup

    number = options.fold_number(fold)
    made = make_setup(model, config, sets, data, words=words, split=split, n_folds=folds, fold=number, seed=seed)
    for remark in made.remarks:
        render.warn(remark)
    from sercli._system import devices
    from sercli.evaluation.plots import trials_picture
    from sercli.model import feature_provider
    from sercli.training import tuning

    devices.pick_device(device)  # a wrong one is refused here: a failed trial would change those after it
    given = [pair.partition("=")[0] for pair in sets or []]
    provider = feature_provider.cached_features(
        made.dataset, jobs=options.n_jobs(None), device=device, progress=render.progress
    )
    folders = [out / f"fold-{parts.fold}" if made.crossed else out for parts in made.folds]
    for folder in folders:
        refuse_others(folder, {"study.db", "study.json", "best.json", "trials.png"}, "a study")
    progress = render.stages(len(folders))
    with connected(cluster, jobs):
        for start, parts, folder in zip(made.configs, made.folds, folders, strict=True):
            search = tuning.search_of(
                made.dataset, start, parts, seed=seed, device=device, given=given, nested=made.crossed
            )
            with progress(f"tuning on fold {parts.fold}" if made.crossed else "Tuning", trials) as advance:
                outcome = tuning.tune(
                    search,
                    folder,
                    n_trials=trials,
                    storage=storage,
                    jobs=jobs or 1,
                    provider=provider,
                    on_trial=lambda trial, advance=advance: advance(1),  # type: ignore[misc]
                )
            in_order = sorted(outcome.trials, key=lambda trial: trial.number)
            trials_picture([t.value for t in in_order], [t.state.name for t in in_order], folder / "trials.png")
            if not options.quiet:
                render.trials_table(outcome.trials[:_SHOWN])
            if outcome.importances:
                shares = ", ".join(f"{name} {share:.2f}" for name, share in outcome.importances.items())
                render.note(f"importance of each parameter: {shares}")
    best, every = (out, " --fold all") if made.crossed else (out / "best.json", "")
    preset = f"-m {made.name} " if model else ""
    render.note(f"Next: ser train {preset}--config {quote(str(best))} --data {quote(str(data))}{every} --out RUN")
