"""`ser train`: train one or several presets, each into its own run directory, on one fold or on all."""

from itertools import chain
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from sercli.cli import options
from sercli.errors import SerError

if TYPE_CHECKING:
    from sercli.runs import RunInfo
    from sercli.training.setup import Setup


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
    refit: options.Refit = False,
    config: options.ConfigFile = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    sets: options.Sets = None,
    quiet: options.Quiet = False,
) -> None:
    """Train a network on one fold or on all; if interrupted, repeat the command to resume.

    ser train -m acoustic-lld --data work/ravdess --out run

    ser train -m acoustic-lld --data work/ravdess --fold all --seeds 3 --out run

    ser train -m acoustic-lld --data work/ravdess --fold all --refit --out run

    ser train -m all --data work/iemocap --fold all --out work/runs

    ser train -m related --data work/iemocap --fold all --out work/runs

    The table at the end shows the validation part; `ser evaluate` scores the test part. The presets (start with
    acoustic-whisper):

    {presets}
    """
    from sercli._system import ctrl_c

    ctrl_c.keeps(f"Finished runs and epochs are kept in {out}; {options.GOES_ON}")
    from sercli._system.cluster import connected
    from sercli.cli import render
    from sercli.model import spec
    from sercli.training import setup
    from sercli.types import HUMAN

    names: list[str | None] = list(dict.fromkeys(model or [])) or [None]
    several = len(names) > 1 or names in ([options.ALL], [options.RELATED])
    if cluster and fold != options.ALL:
        raise SerError("--cluster needs --fold all, whose trainings are divided between the workers; add it.")
    if refit and fold != options.ALL:
        raise SerError("--refit needs --fold all, whose test parts tell how good such a model is; add it.")
    if seeds > 1 and fold != options.ALL:
        raise SerError(f"--seeds {seeds} needs --fold all, which trains them into one run; add it.")
    if config is not None and several:
        raise SerError("--config has the settings of one model; give one -m.")
    for group in (options.ALL, options.RELATED):
        if group in names:
            found = setup.presets(data, words, related=group == options.RELATED)
            can = (preset for preset, reason in found.items() if not reason)
            names = [*dict.fromkeys([*(name for name in names if name != group), *can])]
            for preset, reason in found.items():
                if reason:
                    render.note(f"{preset} is left out: {reason}.")
    one_fold = options.fold_number(fold)
    setups = []  # all of them first: a wrong setting must not be found after hours of training other models
    for name in names:
        own = words if name is None or not several or spec.reads_text(name) else HUMAN
        setups.append(
            setup.make_setup(name, config, sets, data, words=own, split=split, n_folds=folds, fold=one_fold, seed=seed)
        )
        if refit and any(one != setups[-1].configs[0] for one in setups[-1].configs):
            raise SerError(f"--refit trains with one configuration, and {config} has one for each fold; leave it out.")
    for remark in dict.fromkeys(remark for made in setups for remark in made.remarks):
        render.warn(remark)
    with connected(cluster, jobs):
        for number, made in enumerate(setups, start=1):
            folder = out / made.name if several else out
            title = f"{number} of {len(setups)}: {made.name}" if several else made.name
            info = _train(made, folder, range(seed, seed + seeds), device, options.n_jobs(jobs), title, refit=refit)
            if leak := info.settings.split.leak:
                render.warn(leak)
    if several:
        render.note(f"Next: ser evaluate --all {quote(str(out))}")


def _train(made: "Setup", out: Path, seeds: range, device: str, jobs: int, title: str, *, refit: bool) -> "RunInfo":
    """Train one model on one fold or on all, show how good it is on the validation part, and return its info."""
    from sercli._system import devices
    from sercli.cli import render, validation
    from sercli.model import feature_provider
    from sercli.runs import check_free
    from sercli.training import cross_validation, experiment

    chosen = devices.pick_device(device)  # a wrong one is refused here, not in another process
    cv = cross_validation.CrossValidation(made.dataset, made.folds, tuple(seeds), device, jobs)
    provider = feature_provider.cached_features(made.dataset, jobs=jobs, device=device, progress=render.progress)
    # Features first: a failure here must leave no run behind, and their bar must not share the display of the training.
    if not (out / "run.json").exists():
        check_free(out)
        for config in made.configs:
            for feature in chain.from_iterable(config.copies):
                provider(cv.utterances(), *feature)
    if made.crossed:
        with render.repetition_progress(title, len(made.folds) * len(seeds)) as update:
            info = cross_validation.train(made.configs, cv, out, on_run=update)
        if refit:
            with render.training_progress(f"{title}, all utterances", made.configs[0].train.epochs) as on_epoch:
                cross_validation.refit(made.configs[0], cv, out, on_epoch)
    else:
        (config,), (split,) = made.configs, made.folds
        with render.training_progress(title, config.train.epochs) as on_epoch:
            context = experiment.Context(made.dataset, provider, seeds[0], chosen, on_epoch)
            info = experiment.train(config, split, out, context)
    validation.draw_histories(out)
    validation.show({out: info.name}, seeds)
    text = ' --text "..."' if info.modality == "linguistic" else ""
    run = quote(str(out))
    following = f"Next: ser evaluate {run}" + f", or ser predict CLIP --model {run}/refit{text}" * refit
    kept = f"Kept epoch {info.best_epoch}. {following}, or ser predict CLIP --model {run}{text}"
    render.note(following if made.crossed else kept)
    return info
