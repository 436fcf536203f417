"""`ser evaluate`: the metrics of runs on their test part or on another dataset, with intervals, slices and a report."""

import shlex
import sys
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.cli import options
from sercli.errors import SerError

if TYPE_CHECKING:
    from sercli.evaluation.results import Evaluation

_of_report = partial(typer.Option, rich_help_panel="The report")
_to_file = partial(_of_report, metavar="FILE", dir_okay=False)


def evaluate(
    runs: Annotated[options.Runs, typer.Argument(metavar="RUN", help="Run directories of any kind.")] = None,
    *,
    acoustic: options.Acoustic = None,
    linguistic: options.Linguistic = None,
    motion: options.Motion = None,
    ensemble: Annotated[
        options.Runs, typer.Option("-e", "--ensemble", metavar="RUN", help="An ensemble, no other run.")
    ] = None,
    every: Annotated[Path | None, typer.Option("--all", metavar="FOLDER", help="Every run below this folder.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATASET",
            help="Predict again: on the test part of the runs' dataset, or on all of another.",
        ),
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
    report: Annotated[Path | None, _to_file("--report", help="Write everything as one HTML page.")] = None,
    latex: Annotated[Path | None, _to_file("--latex", help="Write the tables for a paper.")] = None,
    csv: Annotated[Path | None, _to_file("--csv", help="Write all values, one per table row.")] = None,
    hide_words: Annotated[
        bool, _of_report("--hide-words", help="Leave out the transcripts, for a corpus that may not be shared.")
    ] = False,
    with_audio: Annotated[
        bool,
        _of_report(
            "--with-audio",
            help="With --report: embed clips of the best system's 5 most confident mistakes. Mind the corpus' licence.",
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

    ctrl_c.keeps("Features that were computed are kept, no scores; the same command begins again.")
    from sercli.cli import render
    from sercli.evaluation import inputs
    from sercli.evaluation.evaluate import evaluate as score
    from sercli.evaluation.evaluate import keep, to_json
    from sercli.evaluation.mistakes import clips

    for name, given in (("--words", words), ("--drop-seen", drop_seen)):
        if given and data is None:
            raise SerError(f"{name} needs --data, the prepared dataset to predict on; add it.")
    if with_audio and report is None:
        raise SerError("--with-audio needs --report, the page that gets the clips; add it.")
    for option, path, ending in (("--report", report, ".html"), ("--latex", latex, ".tex"), ("--csv", csv, ".csv")):
        if path and path.suffix.lower() not in ("", ending):
            raise SerError(f"{option} {path}: give a name that ends in {ending}.")
    files = any((report, latex, csv))
    if not files:
        options.need_stdout("--report, --latex or --csv")
    infos = options.named_runs(runs, acoustic=acoustic, linguistic=linguistic, motion=motion, ensemble=ensemble)
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
        groups = [inputs.stored(group) for group in (inputs.by_division(chosen) if every else [chosen])]
    if len(groups) > 1 and (files or json):
        kinds = ", ".join(sorted({group.runs[0].division[-1] for group in groups}))
        raise SerError(
            f"{every}: its runs were tested on {len(groups)} different parts ({kinds}); give runs with one test part."
        )
    for group in groups:
        evaluation = score(
            group,
            measure_levels=files,
            hide_words=hide_words,
            jobs=n_jobs,
            command=shlex.join(["ser", *sys.argv[1:]]),
            progress=render.progress,
        )
        for folder in keep(evaluation, group):
            render.warn(f"{folder} cannot be written to: the confusion matrix and the report are not kept there.")
        if evaluation.leak:
            render.warn(evaluation.leak)
        # before the screen, whose reader may have gone, as in `ser ... | head`
        _write(evaluation, report, latex, csv, clips(evaluation, group) if with_audio else {})
        if json:
            typer.echo(dumps(to_json(evaluation)))
        else:
            _show(evaluation, brief=every is not None)
        for warning in evaluation.warnings:
            render.warn(warning)


def _write(
    evaluation: "Evaluation", page: Path | None, latex: Path | None, csv: Path | None, clips: dict[str, bytes]
) -> None:
    """Write the files that the options name."""
    from sercli._system.files import write_atomic
    from sercli.cli import render
    from sercli.evaluation import report

    for path, make in ((page, partial(report.page, clips=clips)), (latex, report.latex), (csv, report.csv_table)):
        if path:
            write_atomic(path, make(evaluation))
            render.note(f"Wrote {path}.")


def _show(evaluation: "Evaluation", *, brief: bool) -> None:
    """Show tables; `brief`: the classes of the best system only."""
    from sercli.cli import render
    from sercli.evaluation.report.findings import headline, memorised

    remark = f"Could the words be memorised? {memorised(evaluation)}"
    render.evaluation_table(evaluation, headline(evaluation), remark=remark)
    if evaluation.word_errors:
        rates = {f"word error rate of {whose}": str(errors) for whose, errors in evaluation.word_errors.items()}
        render.dataset_summary(rates, ())
    for system in evaluation.systems[: 1 if brief else None]:
        render.class_table(system.report)
        render.confusion_table(system.report)
