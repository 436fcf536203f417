"""`ser evaluate`: the metrics of runs on their test part or on another dataset, with intervals, slices and a report."""

import errno
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.cli import options
from sercli.errors import SerError

if TYPE_CHECKING:
    from sercli.evaluation.inputs import EvaluatedRun, EvaluationInputs
    from sercli.evaluation.results import Evaluation

_PAGE = {"rich_help_panel": "The report"}


def evaluate(
    runs: Annotated[options.Runs, typer.Argument(metavar="RUN", help="Run directories of any kind.")] = None,
    *,
    acoustic: Annotated[
        options.Runs, typer.Option("-a", "--acoustic", metavar="RUN", help="A run, refused if not acoustic.")
    ] = None,
    linguistic: options.Linguistic = None,
    motion: options.Motion = None,
    ensemble: Annotated[
        options.Runs, typer.Option("-e", "--ensemble", metavar="RUN", help="The same, if not an ensemble.")
    ] = None,
    every: Annotated[Path | None, typer.Option("--all", help="Every run below this folder.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Predict again: on the test part of the runs' dataset, or on all of another."),
    ] = None,
    drop_seen: Annotated[
        bool,
        typer.Option(
            "--drop-seen",
            help="With --data of another dataset: leave out recordings and speakers that a run was trained on.",
        ),
    ] = False,
    words: Annotated[
        list[str] | None,
        typer.Option(
            "--words",
            metavar="NAME",
            help="With --data: transcripts to read, human or a recogniser's name; repeat to compare. "
            "Default: those that each run was trained on.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write everything as one HTML page.", dir_okay=False, **_PAGE)
    ] = None,
    latex: Annotated[
        Path | None, typer.Option("--latex", help="Write the tables for a paper.", dir_okay=False, **_PAGE)
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write all values, one per table row.", dir_okay=False, **_PAGE)
    ] = None,
    hide_words: Annotated[
        bool,
        typer.Option("--hide-words", help="Leave out the transcripts, for a corpus that may not be shared.", **_PAGE),
    ] = False,
    with_audio: Annotated[
        bool,
        typer.Option(
            "--with-audio",
            help="With --report: embed clips of each system's 5 most confident mistakes. Mind the corpus' licence.",
            **_PAGE,
        ),
    ] = False,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Score runs side by side: WA, UA and F1 with 95 % intervals, calibration, confusion matrices, baselines.

    ser evaluate work/run work/other-run

    ser evaluate --all work/runs --report report.html
    """
    from sercli._system import ctrl_c
    from sercli.cli import render
    from sercli.evaluation import inputs
    from sercli.evaluation.evaluate import evaluate as score
    from sercli.evaluation.evaluate import to_json

    ctrl_c.keeps("Features that were computed are kept, no scores; the same command begins again.")
    for name, given in (("--words", words), ("--drop-seen", drop_seen)):
        if given and data is None:
            raise SerError(f"{name} needs --data, the prepared dataset to predict on; add it.")
    if with_audio and report is None:
        raise SerError("--with-audio needs --report, the page that gets the clips; add it.")
    files = any((report, latex, csv))
    if not files:
        options.need_stdout("--report, --latex or --csv")
    infos = options.named_runs(
        runs or [], acoustic=acoustic or [], linguistic=linguistic or [], motion=motion or [], ensemble=ensemble or []
    )
    if every is not None:
        if infos:
            raise SerError("--all takes every run below a folder; leave out the others.")
        infos = options.named_runs(inputs.find_runs(every))
    elif not infos:
        raise SerError("Nothing to evaluate: give run directories, or a folder of them with --all.")
    chosen = [inputs.EvaluatedRun(folder, info) for folder, info in infos.items()]
    n_jobs = options.n_jobs(jobs)
    if data is not None:
        from sercli.evaluation.prediction import predict

        predicted = predict(
            chosen, data, words=words or [], drop_seen=drop_seen, device=device, jobs=n_jobs, progress=render.progress
        )
        groups = [predicted]
    else:
        groups = [inputs.stored(group) for group in (_by_division(chosen) if every else [chosen])]
    if len(groups) > 1 and (files or json):
        kinds = ", ".join(sorted({group.runs[0].division[-1] for group in groups}))
        raise SerError(
            f"{every}: its runs were tested on {len(groups)} different parts ({kinds}); give runs with one test part."
        )
    command = shlex.join(["ser", *sys.argv[1:]])
    for group in groups:
        evaluation = score(group, measure_levels=files, jobs=n_jobs, command=command, progress=render.progress)
        evaluation = _without_words(evaluation) if hide_words else evaluation
        _keep(group, evaluation, f"-{data.resolve().name}" if data and group.seen else "")
        if evaluation.leak:
            render.warn(evaluation.leak)
        clips = _clips(evaluation, group) if with_audio else {}
        _write(
            evaluation, report, latex, csv, clips
        )  # before the screen, whose reader may have gone, as in `ser ... | head`
        if json:
            rates = {engine: {**asdict(errors), "rate": errors.rate} for engine, errors in group.errors.items()}
            typer.echo(dumps({**to_json(evaluation), "word_errors": rates}))
        else:
            _show(evaluation, group, brief=every is not None)


def _by_division(runs: "Sequence[EvaluatedRun]") -> "list[list[EvaluatedRun]]":
    """Groups of runs that were tested on the same part of the same data."""
    groups: dict[object, list[EvaluatedRun]] = {}
    for run in runs:
        groups.setdefault(run.division, []).append(run)
    return list(groups.values())


def _without_words(evaluation: "Evaluation") -> "Evaluation":
    """The evaluation without transcripts."""
    systems = (
        replace(system, mistakes=tuple(replace(mistake, words=None) for mistake in system.mistakes))
        for system in evaluation.systems
    )
    return replace(evaluation, systems=tuple(systems))


def _show(evaluation: "Evaluation", inputs: "EvaluationInputs", *, brief: bool) -> None:
    """Show tables; `brief`: the classes of the best system only."""
    from sercli.cli import render
    from sercli.evaluation.report.findings import headline, memorised

    said = memorised(evaluation)
    remark = f"Could the words be memorised? {said}" if said else ""
    render.evaluation_table(evaluation, headline(evaluation), remark=remark)
    if inputs.errors:
        facts = {f"word error rate of {engine}": str(errors) for engine, errors in inputs.errors.items()}
        render.dataset_summary(facts, ())
    for system in evaluation.systems[: 1 if brief else None]:
        render.class_table(system.report)
        render.confusion_table(system.report)
    for warning in evaluation.warnings:
        render.note(warning)


def _clips(evaluation: "Evaluation", inputs: "EvaluationInputs") -> dict[str, bytes]:
    """The clips of the most confident mistakes by id."""
    from sercli.evaluation.mistakes import clips

    if inputs.dataset is None:
        raise SerError("--with-audio needs the runs' dataset, which was not found; give it with --data.")
    return clips(evaluation.systems, inputs.dataset)


def _write(
    evaluation: "Evaluation", page: Path | None, latex: Path | None, csv: Path | None, clips: dict[str, bytes]
) -> None:
    """Write the files that the options name."""
    from sercli._system.files import write_atomic
    from sercli.cli import render
    from sercli.evaluation import report

    for path, make in ((page, lambda found: report.page(found, clips)), (latex, report.latex), (csv, report.csv_table)):
        if path:
            write_atomic(path, make(evaluation))
            render.note(f"Wrote {path}.")


def _keep(inputs: "EvaluationInputs", evaluation: "Evaluation", suffix: str) -> None:
    """Write each system's report and confusion matrix into its run; the suffix names another dataset."""
    from sercli._system.files import write_json
    from sercli.cli import render
    from sercli.evaluation.plots import confusion_picture

    reports = {system.name: system.report for system in evaluation.systems}
    for run, predictions in zip(inputs.runs, inputs.systems, strict=True):
        end = suffix if run.words in (None, run.info.words) else f"{suffix}-{run.words}"
        try:
            confusion_picture(reports[predictions.name], run.folder / f"confusion{end}.png")
            write_json(run.folder / f"report{end}.json", reports[predictions.name])
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            # another user's run, or a read-only volume; the results are shown all the same
            render.warn(f"{run.folder} cannot be written to: the confusion matrix and the report are not kept there.")
