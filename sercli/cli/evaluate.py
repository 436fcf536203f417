"""`ser evaluate`: how good runs are on their test part, or on another dataset, how surely, and where they fail."""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.cli import options

if TYPE_CHECKING:
    from sercli.evaluation.inputs import Evidence, Row
    from sercli.evaluation.results import Review
    from sercli.runs import RunInfo
    from sercli.types import Report

Runs = list[Path] | None
_PAGE = {"rich_help_panel": "The report"}


def evaluate(
    *,
    acoustic: Annotated[Runs, typer.Option("-a", "--acoustic", help="Acoustic run; may be repeated.")] = None,
    linguistic: Annotated[Runs, typer.Option("-l", "--linguistic", help="Linguistic run; may be repeated.")] = None,
    ensemble: Annotated[Runs, typer.Option("-e", "--ensemble", help="Ensemble run; may be repeated.")] = None,
    every: Annotated[Path | None, typer.Option("--all", help="Every run below this folder.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Prediction anew on a prepared dataset: the runs' own test part, or all of another."
        ),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Option(
            "--words",
            help="With --data: whose words are read, human or a recogniser's; repeat to compare. "
            "Default: whose each run was trained on.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page (HTML, all in one file) with everything.", **_PAGE)
    ] = None,
    latex: Annotated[Path | None, typer.Option("--latex", help="Write the tables for a paper.", **_PAGE)] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write all figures, one a row.", **_PAGE)] = None,
    hide_words: Annotated[
        bool,
        typer.Option("--hide-words", help="Without what was said, where a corpus may not be passed on.", **_PAGE),
    ] = False,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Score runs side by side: WA, UA and F1 with 95 % intervals, calibration, confusion matrices, baselines.

    ser evaluate -a work/run

    ser evaluate --all work/runs --report report.html
    """
    from sercli import runs
    from sercli.cli import render
    from sercli.errors import SerError
    from sercli.evaluation import inputs

    sides = [*"a" * len(acoustic or []), *"l" * len(linguistic or []), *"e" * len(ensemble or [])]
    folders = [*(acoustic or []), *(linguistic or []), *(ensemble or [])]
    if every is not None and folders:
        raise SerError("--all takes every run below a folder; leave out -a, -l and -e.")
    if every is None and not folders:
        raise SerError("Nothing to evaluate: give run directories with -a, -l or -e, or a folder of them with --all.")
    if words and data is None:
        raise SerError("--words needs --data, the prepared dataset whose words are to be read; add it.")
    if every is not None:
        folders = inputs.find_runs(every)
    infos = [runs.load_finished(folder) for folder in folders]
    if every is None:
        _check_sides(folders, infos, sides)
    n_jobs = options.n_jobs(jobs)
    if data is not None:
        found = [inputs.anew(folders, infos, data, words or [], device, n_jobs, render.progress)]
    elif every is not None:
        found = [inputs.kept(*group) for group in _by_division(folders, infos)]
    else:
        found = [inputs.kept(folders, infos)]
    written = [path for path in (report, latex, csv) if path]
    if len(found) > 1 and (written or json):
        kinds = ", ".join(sorted({one.rows[0].info.settings.split.kind for one in found}))
        raise SerError(
            f"{every}: its runs were tested on {len(found)} different parts ({kinds}); give the runs of one."
        )
    for evidence in found:
        review = inputs.review(evidence, full=bool(written), jobs=n_jobs, command=_command(), progress=render.progress)
        review = _without_words(review) if hide_words else review
        _keep(evidence.rows, [_standing(review, row) for row in evidence.rows], _suffix(infos, data))
        if any(row.info.settings.split.leaky for row in evidence.rows):
            render.warn("The split shares speakers between parts: these figures are too good.")
        _write(review, report, latex, csv)  # before the screen, whose reader may have gone, as in `ser ... | head`
        if json:
            _print_json(review, evidence)
        else:
            _show(review, evidence, brief=every is not None)


def _check_sides(folders: list[Path], infos: "list[RunInfo]", sides: list[str]) -> None:
    """Refuse a run that is given as what it is not: its figures would stand for another kind of system."""
    from sercli.errors import SerError

    for folder, info, side in zip(folders, infos, sides, strict=True):
        right = {"acoustic": "a", "linguistic": "l"}.get(info.modality, "e")
        if right != side:
            what = "an ensemble" if info.modality == "both" else info.modality
            raise SerError(f"-{side} {folder}: this run is {what}; give it with -{right}.")


def _by_division(folders: list[Path], infos: "list[RunInfo]") -> "list[tuple[list[Path], list[RunInfo]]]":
    """Runs that were tested on the same part of the same data, each lot by itself."""
    lots: dict[object, tuple[list[Path], list[RunInfo]]] = {}
    for folder, info in zip(folders, infos, strict=True):
        split = info.settings.split
        key = (info.settings.data.manifest_sha256, split.hash, split.kind)
        lot = lots.setdefault(key, ([], []))
        lot[0].append(folder)
        lot[1].append(info)
    return list(lots.values())


def _suffix(infos: "list[RunInfo]", data: Path | None) -> str:
    """What the files of an evaluation on another dataset have in their names, to leave the run's own alone."""
    from sercli.dataset import manifest

    if data is None:
        return ""
    sha256 = manifest.load_info(data).manifest_sha256
    own = all(info.settings.data.manifest_sha256 == sha256 for info in infos)
    return "" if own else f"-{data.resolve().name}"


def _standing(review: "Review", row: "Row") -> "Report":
    return next(standing.report for standing in review.systems if standing.name == row.answers.name)


def _without_words(review: "Review") -> "Review":
    """The same review, in which nobody can read the corpus."""
    from dataclasses import replace

    return replace(
        review,
        systems=tuple(
            replace(one, mistakes=tuple(replace(mistake, words=None) for mistake in one.mistakes))
            for one in review.systems
        ),
    )


def _print_json(review: "Review", evidence: "Evidence") -> None:
    from dataclasses import asdict
    from json import dumps

    from sercli.evaluation import evaluate

    rates = {engine: {**asdict(e), "rate": e.rate} for engine, e in evidence.errors.items()}
    typer.echo(dumps({**evaluate.to_json(review), "word_errors": rates}))


def _show(review: "Review", evidence: "Evidence", *, brief: bool) -> None:
    """Tables on the screen; of many systems the classes of the best alone."""
    from sercli.cli import render
    from sercli.evaluation.report.findings import headline

    render.review_table(review, headline(review))
    if evidence.errors:
        facts = {f"word error rate of {engine}": str(found) for engine, found in evidence.errors.items()}
        render.dataset_summary(facts, ())
    for standing in review.systems[: 1 if brief else None]:
        render.class_table(standing.report)
        render.confusion_table(standing.report)
    for finding in review.warnings:
        render.note(finding)


def _write(review: "Review", report: Path | None, latex: Path | None, csv: Path | None) -> None:
    """Write what was asked for."""
    if not (report or latex or csv):
        return
    from sercli._system.files import write_atomic
    from sercli.cli import render
    from sercli.evaluation import report as reports

    for path, make in ((report, reports.page), (latex, reports.latex), (csv, reports.csv_table)):
        if path:
            write_atomic(path, make(review))
            render.note(f"{path} is written.")


def _keep(rows: "Sequence[Row]", reports: "Sequence[Report]", suffix: str) -> None:
    """Write each report with its picture into its run; for words that the run was not trained on under their name."""
    from sercli._system.files import write_json
    from sercli.cli import render
    from sercli.evaluation import plots

    for row, report in zip(rows, reports, strict=True):
        end = suffix if row.words in (None, row.info.words) else f"{suffix}-{row.words}"
        try:
            plots.confusion_picture(report, row.folder / f"confusion{end}.png")
            write_json(row.folder / f"report{end}.json", report)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            # somebody else's run, or a read-only volume; its figures can be read all the same
            render.warn(f"{row.folder} may not be written to: no picture and no report are kept there.")


def _command() -> str:
    """The command line as it was given, for a shell to repeat."""
    import shlex
    import sys

    return shlex.join(["ser", *sys.argv[1:]])
