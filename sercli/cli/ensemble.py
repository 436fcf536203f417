"""`ser ensemble`: two runs become one that hears and reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sercli.cli import options

if TYPE_CHECKING:
    from sercli.dataset.manifest import Dataset
    from sercli.training.cross_validation import Repetition
    from sercli.types import TrainConfig


def ensemble(
    *,
    acoustic: Annotated[Path, typer.Option("-a", "--acoustic", help="Acoustic run directory.")],
    linguistic: Annotated[Path, typer.Option("-l", "--linguistic", help="Linguistic run directory.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder that `ser prepare` made; without it, rules that learn nothing."),
    ] = None,
    out: options.Out,
    words: options.Words = "human",
    rule: Annotated[
        str,
        typer.Option(
            "--rule", help="max-confidence, average, weighted, asr-weighted, feature, or all (a folder each)."
        ),
    ] = "all",
    seed: options.Seed = 0,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    sets: options.Sets = None,
) -> None:
    """Combine an acoustic and a linguistic run, at decision level or at feature level.

    Two runs of all folds become an ensemble on each.
    """
    from sercli import plugins
    from sercli._system import devices
    from sercli.cli import render
    from sercli.dataset import manifest
    from sercli.evaluation import comparison, pooling
    from sercli.runs import load_finished
    from sercli.training import cross_validation, fusion

    rules = plugins.names("ensemble") if rule == "all" else (rule,)
    configs = fusion.rule_configs(rules, sets or [])
    if data is None:
        _join(acoustic, linguistic, rule, out, device, sets or [])
        return
    if rule == "all":
        _check_out(out, rules)
    dataset = manifest.load(data, words=words)
    devices.pick_device(device)  # refused now, not in a process
    members = (acoustic, linguistic)
    n_jobs = options.n_jobs(jobs)
    repeated = cross_validation.repetition_of(members, dataset, device=device, jobs=n_jobs)
    folders = {name: out / name if rule == "all" else out for name in rules}
    infos = {folder: load_finished(folder) for folder in members}
    collected = [pooling.collect(folder, info, info.name) for folder, info in infos.items()]
    if repeated is None:
        _fuse_one(members, folders, configs, dataset, _How(seed, device, n_jobs))
    else:
        _fuse_all(members, folders, configs, repeated)
    collected += [pooling.collect(folder, load_finished(folder), name) for name, folder in folders.items()]
    seeds = repeated.seeds if repeated else (seed,)
    named = [pair for one in collected for pair in pooling.by_seed(one, seeds)]
    result = comparison.compare(named, infos[acoustic].train_counts)
    render.systems_table(result.systems, result.baselines)


@dataclass(frozen=True)
class _How:
    """How a single ensemble is made."""

    seed: int
    device: str
    jobs: int


def _fuse_one(
    members: tuple[Path, Path],
    folders: Mapping[str, Path],
    configs: "Mapping[str, tuple[Any, TrainConfig]]",
    dataset: "Dataset",
    how: _How,
) -> None:
    """Make an ensemble by each rule of two single runs."""
    from sercli._system import devices
    from sercli.cli import render
    from sercli.model import feature_provider, inference
    from sercli.training import fusion

    chosen = devices.pick_device(how.device)
    first, second = (inference.load(folder, chosen) for folder in members)
    rows = feature_provider.cached_features(dataset, jobs=how.jobs, device=how.device, progress=render.progress)
    fusion.check_members((first, second), dataset)
    for name, folder in folders.items():
        rule_config, train_config = configs[name]
        with render.training_progress(name, train_config.epochs) as on_epoch:
            context = fusion.FusionContext(dataset, rows, how.seed, chosen, on_epoch)
            fusion.fuse((first, second), name, folder, context, rule_config=rule_config, train_config=train_config)


def _fuse_all(
    members: tuple[Path, Path],
    folders: Mapping[str, Path],
    configs: "Mapping[str, tuple[Any, TrainConfig]]",
    repeated: "Repetition",
) -> None:
    """Make an ensemble by each rule on every fold and seed of two cross-validations."""
    from sercli.cli import render
    from sercli.training import cross_validation

    for name, folder in folders.items():
        rule_config, train_config = configs[name]
        with render.repetition_progress(name, len(repeated.fold_runs(folder))) as update:
            cross_validation.fuse(
                members,
                name,
                repeated,
                folder,
                rule_config=rule_config,
                train_config=train_config,
                on_run=lambda fold_run, run: update(fold_run.fold, fold_run.seed, run.best_epoch),
            )


def _join(acoustic: Path, linguistic: Path, rule: str, out: Path, device: str, sets: Sequence[str]) -> None:
    """Combine runs of different corpora: there is nothing to score them on together."""
    from sercli._system import devices
    from sercli.cli import render
    from sercli.errors import SerError
    from sercli.model import inference
    from sercli.training import fusion

    if rule == "all":
        raise SerError("Without --data give one --rule that learns nothing, such as --rule asr-weighted.")
    rule_config, _ = fusion.rule_configs([rule], sets)[rule]
    chosen = devices.pick_device(device)
    members = (inference.load(acoustic, chosen), inference.load(linguistic, chosen))
    fusion.join(members, rule, out, rule_config=rule_config)
    render.note(f"Next: ser predict CLIP --model {out}")


def _check_out(out: Path, rules: Sequence[str]) -> None:
    """Refuse to put a folder for each rule among other things, such as a dataset or a single run."""
    from sercli._system.files import visible_names
    from sercli.errors import SerError

    if (out.exists() and not out.is_dir()) or visible_names(out) - set(rules):
        raise SerError(f"{out} holds something else than ensembles; choose another --out, or give one --rule.")
