"""`ser ensemble`: two runs become one that hears and reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sercli.commands import _options


def ensemble(
    *,
    acoustic: Annotated[Path, typer.Option("-a", "--acoustic", help="Acoustic run directory.")],
    linguistic: Annotated[Path, typer.Option("-l", "--linguistic", help="Linguistic run directory.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder that `ser prepare` made; without it, rules that learn nothing."),
    ] = None,
    out: _options.Out,
    words: _options.Words = "human",
    rule: Annotated[
        str, typer.Option("--rule", help="max-confidence, average, weighted, trusted, feature, or all (a folder each).")
    ] = "all",
    seed: _options.Seed = 0,
    device: _options.Device = "auto",
    jobs: _options.Jobs = None,
    sets: _options.Sets = None,
) -> None:
    """Combine an acoustic and a linguistic run, at decision level or at feature level."""
    from sercli import plugins, runs
    from sercli.commands import _render
    from sercli.dataset import manifest
    from sercli.evaluation import comparison
    from sercli.model import fusion, inference, training

    rules = plugins.names("ensemble") if rule == "all" else (rule,)
    configs = fusion.rule_configs(rules, sets or [])
    if data is None:
        _join(acoustic, linguistic, rule, out, device, sets or [])
        return
    if rule == "all":
        _check_out(out, rules)
    dataset = manifest.load(data, words=words)
    chosen = training.pick_device(device)
    members = (inference.load(acoustic, chosen), inference.load(linguistic, chosen))
    rows = inference.cached_rows(dataset, jobs=_options.n_jobs(jobs), progress=_render.progress)
    fusion.check_members(members, dataset)
    answers = [runs.read_predictions(folder, "test") for folder in (acoustic, linguistic)]
    folders = [out / name if rule == "all" else out for name in rules]
    for name, folder in zip(rules, folders, strict=True):
        rule_config, train_config = configs[name]
        with _render.training_progress(name, train_config.epochs) as on_epoch:
            shop = fusion.Workshop(dataset, rows, seed, chosen, on_epoch)
            fusion.fuse(members, name, folder, shop, rule_config=rule_config, train_config=train_config)
    names = [*(member.info.name for member in members), *rules]
    answers += [runs.read_predictions(folder, "test") for folder in folders]
    result = comparison.compare(list(zip(names, answers, strict=True)), members[0].info.train_counts)
    _render.systems_table(result.systems, result.baselines)


def _join(acoustic: Path, linguistic: Path, rule: str, out: Path, device: str, sets: Sequence[str]) -> None:
    """Combine runs of different corpora: there is nothing to score them on together."""
    from sercli.commands import _render
    from sercli.errors import SerError
    from sercli.model import fusion, inference, training

    if rule == "all":
        raise SerError("Without --data give one --rule that learns nothing, such as --rule trusted.")
    rule_config, _ = fusion.rule_configs([rule], sets)[rule]
    chosen = training.pick_device(device)
    members = (inference.load(acoustic, chosen), inference.load(linguistic, chosen))
    fusion.join(members, rule, out, rule_config=rule_config)
    _render.note(f"Next: ser predict CLIP --model {out}")


def _check_out(out: Path, rules: Sequence[str]) -> None:
    """Refuse to put a folder for each rule among other things, such as a dataset or a single run."""
    from sercli.errors import SerError
    from sercli.files import visible_names

    if (out.exists() and not out.is_dir()) or visible_names(out) - set(rules):
        raise SerError(f"{out} holds something else than ensembles; choose another --out, or give one --rule.")
