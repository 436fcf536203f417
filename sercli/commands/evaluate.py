"""`ser evaluate`: how good runs are on their test part, or on another dataset."""

import errno
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.commands import _options

if TYPE_CHECKING:
    from sercli.dataset.transcripts import WordErrors
    from sercli.runs import RunInfo
    from sercli.types import Predictions, Report

Runs = list[Path] | None


@dataclass(frozen=True)
class _Row:
    """A run's answers, once for each choice of words."""

    folder: Path
    info: "RunInfo"
    words: str | None  # None: those that the run was trained on, or it reads none
    answers: "Predictions"


def evaluate(
    *,
    acoustic: Annotated[Runs, typer.Option("-a", "--acoustic", help="Acoustic run; may be repeated.")] = None,
    linguistic: Annotated[Runs, typer.Option("-l", "--linguistic", help="Linguistic run; may be repeated.")] = None,
    ensemble: Annotated[Runs, typer.Option("-e", "--ensemble", help="Ensemble run; may be repeated.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Answer anew on a prepared dataset: the runs' own test part, or all of another."),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Option(
            "--words",
            help="With --data: whose words are read, human or a recogniser's; repeat to compare. "
            "Default: whose each run was trained on.",
        ),
    ] = None,
    device: _options.Device = "auto",
    jobs: _options.Jobs = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Score runs: WA, UA, F1, recall and precision of each class, confusion matrices, baselines."""
    from sercli import runs
    from sercli.commands import _render
    from sercli.errors import SerError
    from sercli.evaluation import comparison

    folders = [*(acoustic or []), *(linguistic or []), *(ensemble or [])]
    if not folders:
        raise SerError("Nothing to evaluate: give run directories with -a, -l or -e.")
    infos = [runs.load_finished(folder) for folder in folders]
    _check_sides(folders, infos, [*"a" * len(acoustic or []), *"l" * len(linguistic or []), *"e" * len(ensemble or [])])
    errors: dict[str, WordErrors] = {}
    if data is not None:
        rows, errors = _answer_anew(folders, infos, data, words or [], device, _options.n_jobs(jobs))
    elif words:
        raise SerError("--words needs --data, the prepared dataset whose words are to be read; add it.")
    else:
        answers = [runs.read_predictions(folder, "test") for folder in folders]
        rows = [_Row(folder, info, None, a) for folder, info, a in zip(folders, infos, answers, strict=True)]
    result = comparison.compare(list(zip(_names(rows), (r.answers for r in rows), strict=True)), infos[0].train_counts)
    _keep(rows, result.systems, _suffix(infos, data))
    if any(info.settings["split"]["leaky"] for info in infos):
        _render.warn("The split shares speakers between parts: these figures are too good.")
    if json:
        rates = {engine: {**asdict(e), "rate": e.rate} for engine, e in errors.items()}
        typer.echo(dumps({**result.to_json(), "word_errors": rates}))
        return
    _render.systems_table(result.systems, result.baselines)
    if errors:
        facts = {f"word error rate of {engine}": str(found) for engine, found in errors.items()}
        _render.dataset_summary(facts, ())
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


def _answer_anew(
    folders: list[Path], infos: "list[RunInfo]", data: Path, words: list[str], device: str, jobs: int
) -> "tuple[list[_Row], dict[str, WordErrors]]":
    """Each run's answers on a dataset: on its own test part where it was trained there, else on every utterance.

    Args:
        folders: run directories.
        infos: what each says of itself.
        data: the prepared dataset.
        words: whose words are read, each choice by itself; none: whose the run was trained on.
        device: as `--device` has it.
        jobs: processes that compute features.

    Returns:
        a row for each run and choice of words, and how many errors each recogniser's words have.
    """
    from sercli import runs
    from sercli.commands import _render
    from sercli.dataset import manifest
    from sercli.dataset.transcripts import HUMAN, word_errors
    from sercli.model import experiment, inference, systems, training

    chosen = training.pick_device(device)
    dataset = manifest.load(data)
    plans = [(folder, info, _choices(info, words)) for folder, info in zip(folders, infos, strict=True)]
    needed = {word or experiment.words_of(info) for _, info, choices in plans for word in choices}
    views = {whose: manifest.with_words(dataset, whose) for whose in sorted(needed)}
    rows = {w: inference.cached_rows(view, jobs=jobs, progress=_render.progress) for w, view in views.items()}
    found: list[_Row] = []
    heard: dict[str, dict[str, str]] = {}
    for folder, info, choices in plans:
        system = systems.load(folder, chosen)
        own = info.settings["data"]["manifest_sha256"] == dataset.manifest.sha256
        ids = runs.read_split(folder).test if own else [u.id for u in dataset.manifest.utterances]
        for word in choices:
            whose = word or experiment.words_of(info)
            utterances = views[whose].select(ids)
            found.append(_Row(folder, info, word, system.predict(utterances, rows[whose])))
            if whose != HUMAN:
                heard[whose] = {u.id: u.texts[HUMAN] for u in utterances if HUMAN in u.texts}
    errors = {whose: word_errors(dataset.manifest.utterances, texts) for whose, texts in heard.items()}
    return found, {whose: e for whose, e in errors.items() if e}


def _choices(info: "RunInfo", words: list[str]) -> list[str | None]:
    """The words to answer on, one choice after the other; None: those of training, or none where the run reads none."""
    return list(dict.fromkeys(words)) if words and info.modality != "acoustic" else [None]


def _names(rows: Sequence[_Row]) -> list[str]:
    """Each run's preset or rule, with the words that were asked for, and its folder's name where two are alike."""
    names = [(row.info.name, row.words) for row in rows]
    return [_name(row, alone=names.count((row.info.name, row.words)) == 1) for row in rows]


def _name(row: _Row, *, alone: bool) -> str:
    about = [*([] if alone else [row.folder.name]), *([f"{row.words} words"] if row.words else [])]
    return f"{row.info.name} ({', '.join(about)})" if about else row.info.name


def _keep(rows: Sequence[_Row], reports: "Sequence[Report]", suffix: str) -> None:
    """Write each report with its picture into its run; for words that the run was not trained on under their name."""
    from sercli.commands import _render
    from sercli.evaluation import plots
    from sercli.files import write_json
    from sercli.model import experiment

    for row, report in zip(rows, reports, strict=True):
        end = suffix if row.words in (None, experiment.words_of(row.info)) else f"{suffix}-{row.words}"
        try:
            plots.confusion_picture(report, row.folder / f"confusion{end}.png")
            write_json(row.folder / f"report{end}.json", report)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            # somebody else's run, or a read-only volume; its figures can be read all the same
            _render.warn(f"{row.folder} may not be written to: no picture and no report are kept there.")
