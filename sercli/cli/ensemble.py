"""`ser ensemble`: combine an acoustic and a linguistic run into an ensemble."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sercli.cli import options
from sercli.errors import SerError


def ensemble(
    *,
    acoustic: Annotated[Path, typer.Option("-a", "--acoustic", help="Acoustic run directory.")],
    linguistic: Annotated[Path, typer.Option("-l", "--linguistic", help="Linguistic run directory.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder made by `ser prepare`. Without it, only rules that learn nothing."),
    ] = None,
    out: options.Out,
    words: options.Words = "human",
    rule: Annotated[
        str, typer.Option("--rule", help="Fusion rule: {ensemble}; or all of them, each in a folder of its own.")
    ] = options.ALL,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    sets: options.Sets = None,
) -> None:
    """Combine an acoustic and a linguistic run, at decision level or at feature level.

    Two cross-validations give an ensemble for each fold. The table at the end shows the validation part; `ser evaluate`
    scores the test part.
    """
    from sercli import plugins
    from sercli._system import devices
    from sercli.cli import render, validation
    from sercli.dataset import manifest
    from sercli.model import feature_provider
    from sercli.model.loading import load_model
    from sercli.runs import load_finished
    from sercli.training import cross_validation, fusion

    several = rule == options.ALL
    rules = fusion.rule_configs(plugins.names("ensemble") if several else (rule,), sets or [])
    members, chosen = (acoustic, linguistic), devices.pick_device(device)
    if data is None:
        if several:
            raise SerError("--rule all needs --data; add it, or give a rule that learns nothing, such as asr-weighted.")
        fusion.join(tuple(load_model(folder, chosen) for folder in members), rules[rule], out)
        render.note(f"Next: ser predict CLIP --model {out}")
        return
    if several:
        _check_out(out, tuple(rules))
    dataset, n_jobs = manifest.load(data, words=words), options.n_jobs(jobs)
    cv = cross_validation.common(members, dataset, device=device, jobs=n_jobs)
    names = {folder: load_finished(folder).name for folder in members}
    seeds = cv.seeds if cv else (seed,)
    validation.read(names, seeds)  # damaged predictions are refused now, not when the table is made
    made = {name: out / name if several else out for name in rules}
    if cv is not None:
        for name, folder in made.items():
            with render.repetition_progress(name, len(cv.folds) * len(cv.seeds)) as update:
                cross_validation.fuse(members, rules[name], cv, folder, on_run=update)
    else:
        loaded = tuple(load_model(folder, chosen) for folder in members)
        fusion.check_members(loaded, dataset)
        provider = feature_provider.cached_features(dataset, jobs=n_jobs, device=device, progress=render.progress)
        for name, folder in made.items():
            with render.training_progress(name, rules[name].train.epochs) as on_epoch:
                fusion.fuse(
                    loaded, rules[name], folder, fusion.FusionContext(dataset, provider, seed, chosen, on_epoch)
                )
    validation.draw_histories(out)
    validation.show(names | {folder: name for name, folder in made.items()}, seeds)
    which = f"--all {out}" if several else f"{acoustic} {linguistic} {out}"
    render.note(f"Next: ser evaluate {which}")


def _check_out(out: Path, rules: Sequence[str]) -> None:
    """Refuse a folder that holds something other than ensembles, such as a dataset or a single run."""
    from sercli._system.files import visible_names

    if (out.exists() and not out.is_dir()) or visible_names(out) - set(rules):
        raise SerError(f"{out} holds something other than ensembles; choose another --out, or give one --rule.")
