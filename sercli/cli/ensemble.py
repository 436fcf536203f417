"""`ser ensemble`: combine runs into an ensemble."""

from pathlib import Path
from shlex import join, quote
from typing import Annotated

import typer

from sercli.cli import options
from sercli.errors import MismatchError, SerError


def ensemble(
    runs: Annotated[
        options.Runs, typer.Argument(metavar="RUN", help="Run directories of any kind, two or more.")
    ] = None,
    *,
    acoustic: options.Acoustic = None,
    linguistic: options.Linguistic = None,
    motion: options.Motion = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATASET",
            help="Folder made by `ser prepare`. Without it: only single runs, and rules that learn nothing.",
        ),
    ] = None,
    out: options.Out,
    words: options.Words = "human",
    rule: Annotated[
        str,
        typer.Option(
            "--rule", metavar="RULE", help="Fusion rule: {ensemble}; or all of them, each in a folder of its own."
        ),
    ] = options.ALL,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    sets: options.Sets = None,
    quiet: options.Quiet = False,
) -> None:
    """Combine runs that read audio, text or motion capture, at decision level or at feature level.

    Cross-validations give an ensemble for each fold.

    The table at the end shows the validation part; `ser evaluate` scores the test part.

    ser ensemble work/acoustic work/linguistic --data work/iemocap --out work/ensembles
    """
    from sercli._system import ctrl_c

    ctrl_c.keeps(f"Finished ensembles are kept in {out}; {options.GOES_ON}")
    from sercli import plugins
    from sercli._system import devices
    from sercli._system.files import refuse_others
    from sercli.cli import render, validation
    from sercli.dataset import manifest
    from sercli.evaluation import inputs
    from sercli.evaluation.inputs import EvaluatedRun
    from sercli.model import feature_provider
    from sercli.model.loading import load_model
    from sercli.runs import CROSS_VALIDATION
    from sercli.training import cross_validation, experiment, fusion

    several = rule == options.ALL
    rules = fusion.rule_configs(plugins.names("ensemble") if several else (rule,), sets or [])
    infos = options.named_runs(runs, acoustic=acoustic, linguistic=linguistic, motion=motion)
    if len(infos) < 2:
        raise SerError("An ensemble needs two runs or more; give different run directories.")
    order = ("acoustic", "linguistic", "motion", "both")
    members = tuple(sorted(infos, key=lambda folder: order.index(infos[folder].modality)))
    for name in list(rules):
        try:
            fusion.fits(rules[name], [infos[folder].modality for folder in members])
        except MismatchError as error:
            if not several:
                raise
            render.warn(f"{name} is left out: {error}")
            del rules[name]
    chosen = devices.pick_device(device)
    if data is None:
        if several:
            raise SerError("--rule all needs --data; add it, or give a rule that learns nothing, such as asr-weighted.")
        if crossed := next((folder for folder in members if infos[folder].kind == CROSS_VALIDATION), None):
            where = quote(infos[crossed].data)
            raise SerError(f"{crossed} holds a run for each fold; add --data {where}, which fuses them fold by fold.")
        fusion.join(tuple(load_model(folder, chosen) for folder in members), rules[rule], out)
        render.note(f"Next: ser predict CLIP --model {quote(str(out))}")
        return
    if several:
        refuse_others(out, {*rules}, "ensembles, one for each rule")
    dataset, n_jobs = manifest.load(data, words=words), options.n_jobs(jobs)
    cv = cross_validation.common(members, dataset, device=device, jobs=n_jobs)
    names = {one.folder: one.name for one in inputs.named([EvaluatedRun(folder, infos[folder]) for folder in members])}
    seeds = cv.seeds if cv else (seed,)
    validation.read(names, seeds)  # damaged predictions are refused now, not when the table is made
    made = {name: out / name if several else out for name in rules}
    titles = {name: f"{n} of {len(made)}: {name}" if several else name for n, name in enumerate(made, start=1)}
    if cv is not None:
        for name, folder in made.items():
            with render.repetition_progress(titles[name], len(cv.folds) * len(cv.seeds)) as update:
                cross_validation.fuse(members, rules[name], cv, folder, on_run=update)
    else:
        loaded = tuple(load_model(folder, chosen) for folder in members)
        fusion.check_members(loaded, dataset)
        provider = feature_provider.cached_features(dataset, jobs=n_jobs, device=device, progress=render.progress)
        for name, folder in made.items():
            with render.training_progress(titles[name], rules[name].train.epochs) as on_epoch:
                context = experiment.Context(dataset, provider, seed, chosen, on_epoch)
                fusion.fuse(loaded, rules[name], folder, context)
    validation.draw_histories(out)
    validation.show(names | {folder: name for name, folder in made.items()}, seeds)
    which = ["--all", out] if several else [*members, out]
    render.note(f"Next: ser evaluate {join(map(str, which))}")
