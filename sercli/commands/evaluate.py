"""`ser evaluate`: how good runs are on their test part, or on another dataset."""

import errno
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.commands import _options

if TYPE_CHECKING:
    from sercli.runs import RunInfo
    from sercli.types import Predictions

Runs = list[Path] | None


def evaluate(
    *,
    acoustic: Annotated[Runs, typer.Option("-a", "--acoustic", help="Acoustic run; may be repeated.")] = None,
    linguistic: Annotated[Runs, typer.Option("-l", "--linguistic", help="Linguistic run; may be repeated.")] = None,
    ensemble: Annotated[Runs, typer.Option("-e", "--ensemble", help="Ensemble run; may be repeated.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Answer anew on a prepared dataset: the runs' own test part, or all of another."),
    ] = None,
    device: _options.Device = "auto",
    jobs: _options.Jobs = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Score runs: WA, UA, F1, recall and precision of each class, confusion matrices, baselines."""
    from sercli import runs
    from sercli.commands import _render
    from sercli.errors import SerError
    from sercli.evaluation import comparison, plots
    from sercli.files import write_json

    folders = [*(acoustic or []), *(linguistic or []), *(ensemble or [])]
    if not folders:
        raise SerError("Nothing to evaluate: give run directories with -a, -l or -e.")
    infos = [runs.load_finished(folder) for folder in folders]
    _check_sides(folders, infos, [*"a" * len(acoustic or []), *"l" * len(linguistic or []), *"e" * len(ensemble or [])])
    if data is None:
        answers = [runs.read_predictions(folder, "test") for folder in folders]
    else:
        answers = _answer_anew(folders, data, device, _options.n_jobs(jobs))
    named = list(zip(_names(folders, [info.name for info in infos]), answers, strict=True))
    result = comparison.compare(named, infos[0].train_counts)
    suffix = _suffix(infos, data)
    for folder, report in zip(folders, result.systems, strict=True):
        try:
            plots.confusion_picture(report, folder / f"confusion{suffix}.png")
            write_json(folder / f"report{suffix}.json", report)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            # somebody else's run, or a read-only volume; its figures can be read all the same
            _render.warn(f"{folder} may not be written to: no picture and no report are kept there.")
    if any(info.settings["split"]["leaky"] for info in infos):
        _render.warn("The split shares speakers between parts: these figures are too good.")
    if json:
        typer.echo(dumps(result.to_json()))
        return
    _render.systems_table(result.systems, result.baselines)
    for report in result.systems:
        _render.class_table(report)
        _render.confusion_table(report)


def _check_sides(folders: list[Path], infos: "list[RunInfo]", sides: list[str]) -> None:
    """Refuse a run that is given as what it is not: its figures would stand for another kind of system."""
    from sercli.errors import SerError

    for folder, info, side in zip(folders, infos, sides, strict=True):
        right = {"acoustic": "a", "linguistic": "l"}.get(info.modality, "e")
        if right != side:
            what = f"an {info.kind}" if info.kind == "ensemble" else info.modality
            raise SerError(f"-{side} {folder}: this run is {what}; give it with -{right}.")


def _suffix(infos: "list[RunInfo]", data: Path | None) -> str:
    """What the files of an evaluation on another dataset have in their names, to leave the run's own alone."""
    from sercli.dataset import manifest

    if data is None:
        return ""
    sha256 = manifest.load_info(data).manifest_sha256
    own = all(info.settings["data"]["manifest_sha256"] == sha256 for info in infos)
    return "" if own else f"-{data.resolve().name}"


def _answer_anew(folders: list[Path], data: Path, device: str, jobs: int) -> "list[Predictions]":
    """Each run's answers on a dataset: on its own test part where it was trained there, else on every utterance."""
    from sercli import runs
    from sercli.commands import _render
    from sercli.dataset import manifest
    from sercli.model import inference, systems, training

    dataset = manifest.load(data)
    chosen = training.pick_device(device)
    rows = inference.cached_rows(dataset, jobs=jobs, progress=_render.progress)
    answers = []
    for folder in folders:
        system = systems.load(folder, chosen)
        own = system.info.settings["data"]["manifest_sha256"] == dataset.manifest.sha256
        ids = runs.read_split(folder).test if own else [u.id for u in dataset.manifest.utterances]
        answers.append(system.predict(dataset.select(ids), rows))
    return answers


def _names(folders: list[Path], names: list[str]) -> list[str]:
    """Each run's preset or rule; where two are the same, with the folder's name."""
    return [
        f"{name} ({folder.name})" if names.count(name) > 1 else name
        for folder, name in zip(folders, names, strict=True)
    ]
