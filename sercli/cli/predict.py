"""`ser predict`: the emotion in recordings."""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.cli import options

if TYPE_CHECKING:
    from sercli.batch_runner import Source
    from sercli.cli.writers import Format


class Shape(StrEnum):
    """How answers are written."""

    table = "table"
    json = "json"
    csv = "csv"
    srt = "srt"
    vtt = "vtt"
    audacity = "audacity"


class Way(StrEnum):
    """How an answer is explained."""

    attention = "attention"
    occlusion = "occlusion"


_OUTPUT = {"rich_help_panel": "Answers"}
_WORDS = {"rich_help_panel": "Words"}
_WHY = {"rich_help_panel": "What an answer may rest on"}
_MANY = 100  # recordings from which on it pays to load the model in more than one process


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Audio or video files, folders, patterns such as 'calls/*.mp3'; - for a file on stdin."),
    ],
    *,
    shape: Annotated[
        Shape | None,
        typer.Option("--format", help="Default: table; json with --out.", show_default=False, **_OUTPUT),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Short for --format json: one object a line.", **_OUTPUT)
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Short for --format csv.", **_OUTPUT)] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for one file per recording, named as the recording is.", **_OUTPUT),
    ] = None,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="With --out: pass over recordings whose file is there.", **_OUTPUT)
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="PNG to draw one recording's timeline to.", dir_okay=False, **_OUTPUT),
    ] = None,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", min=0, max=1, help="Prediction 'unsure' below this probability.", **_OUTPUT),
    ] = 0.0,
    explain: Annotated[
        Path | None,
        typer.Option(
            "--explain", help="PNG to draw one utterance to: which moments and words counted.", dir_okay=False, **_WHY
        ),
    ] = None,
    explain_by: Annotated[
        Way | None,
        typer.Option(
            "--explain-by",
            help="attention: where the network looked; occlusion: what the answer loses without a piece. Default: "
            "attention, where the network has one.",
            show_default=False,
            **_WHY,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="A moment of the utterance to explain, in s or m:ss.", show_default=False, **_WHY),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="What one clip says, instead of listening for it.", **_WORDS)
    ] = None,
    no_asr: Annotated[
        bool, typer.Option("--no-asr", help="Do not listen for words: quicker, by sound alone.", **_WORDS)
    ] = False,
    asr: Annotated[str, typer.Option("--asr", help="Speech recogniser: whisper or moonshine.", **_WORDS)] = "whisper",
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Its settings, such as asr.beam_size=5; repeat for more.", **_WORDS
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Run directory of your own. Default: the model that comes with ser."),
    ] = None,
    device: options.Device = "auto",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Processes at the same time. Default: one, or one a core for many files."),
    ] = None,
) -> None:
    """Recognise the emotion in recordings.

    A clip of up to 15 s gets one answer, a longer recording one for each utterance in it.

    ser predict clip.wav

    ser predict interview.m4a --plot interview.png

    ser predict clip.wav --explain clip.png

    ser predict film.mp4 --format srt > film.srt

    ser predict recordings/ -o answers/ --skip-done
    """
    from sercli import batch_runner, runs
    from sercli.cli import writers
    from sercli.cli.hearing import Hearing
    from sercli.errors import SerError

    form = _form(shape, json=json, csv=csv, out=out)
    if skip_done and out is None:
        raise SerError("--skip-done looks for the files of --out; give both.")
    if explain is None and (explain_by or at):
        raise SerError("--explain-by and --at say how --explain draws; give it a file.")
    at_s = None if at is None else _seconds(at)
    folder = batch_runner.model_folder(model)
    recogniser = None if no_asr else batch_runner.recogniser(asr, sets or [])
    with ExitStack() as until_the_end:
        sources = _sources(paths, until_the_end)
        _check_number(len(sources), form, text=text, plot=plot, explain=explain, out=out)
        files = writers.targets(sources, paths, out, form.suffix) if out and form else {}
        if skip_done:
            sources = _left(sources, files)
        if not sources:
            return
        labels = runs.load_finished(folder).labels
        listening = batch_runner.Listening(folder, device, recogniser, text, min_confidence)
        keep = plot is not None or explain is not None
        hearing = Hearing(sources, listening, jobs=_n_jobs(jobs, len(sources), device), keep=keep)
        until_the_end.callback(hearing.close)
        if form is None:
            writers.show(hearing, labels)
        elif out is None:
            writers.stream(hearing, labels, form)
        else:
            writers.write(hearing, labels, form, files)
        if plot is not None:
            writers.draw(hearing, labels, plot)
        if explain is not None:
            writers.explain(hearing, explain, by=explain_by.value if explain_by else None, at_s=at_s)
    hearing.conclude(out)


def _form(shape: Shape | None, *, json: bool, csv: bool, out: Path | None) -> "Format | None":
    """How answers are written; None is the table.

    Raises:
        SerError: more than one format is asked for, or a table in files.
    """
    from sercli.cli.writers import FORMATS
    from sercli.errors import SerError

    if json and csv:
        raise SerError("--json and --csv exclude each other; give one.")
    short = "json" if json else "csv" if csv else None
    if short and shape not in (None, short):
        raise SerError(f"--{short} and --format {shape} exclude each other; give one.")
    name = short or shape or ("json" if out else "table")
    if out and name == "table":
        raise SerError(f"A table is for the screen; with --out give --format {', '.join(FORMATS)}.")
    return FORMATS.get(name)


def _sources(paths: list[Path], until_the_end: ExitStack) -> "list[Source]":
    """The recordings in the order of the paths, each once; what comes in on stdin is a file until the end."""
    from sercli.audio import discovery
    from sercli.batch_runner import Source
    from sercli.cli.writers import STDIN

    found = [Source(path, str(path)) for path in discovery.find([path for path in paths if path != STDIN])]
    if STDIN in paths:
        place = len(discovery.find(paths[: paths.index(STDIN)]))
        found.insert(place, Source(until_the_end.enter_context(discovery.stdin()), str(STDIN)))
    return found


def _check_number(
    n: int,
    form: "Format | None",
    *,
    text: str | None,
    plot: Path | None,
    explain: Path | None,
    out: Path | None,
) -> None:
    """Refuse what makes sense for one recording only where there are more.

    Raises:
        SerError: naming the option.
    """
    from sercli.errors import SerError

    if n == 1:
        return
    if text is not None:
        raise SerError(f"--text says what one recording holds, and there are {n}; give one recording.")
    if plot is not None:
        raise SerError(f"--plot draws one recording, and there are {n}; give one recording.")
    if explain is not None:
        raise SerError(f"--explain draws one utterance of one recording, and there are {n}; give one recording.")
    if form and form.timed and out is None:
        raise SerError(f"This format has the times of one recording, and there are {n}; give --out for a file each.")


def _seconds(moment: str) -> float:
    """Seconds, or minutes and seconds, or hours, minutes and seconds, as the table shows them.

    Raises:
        SerError: it is neither.
    """
    from math import isfinite

    from sercli.errors import SerError

    try:
        parts = [float(part) for part in moment.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(isfinite(part) and part >= 0 for part in parts):
        raise SerError(f"--at {moment} is no moment; give seconds such as 83.5, or minutes and seconds such as 1:23.5.")
    return sum(part * 60.0**place for place, part in enumerate(reversed(parts)))


def _left(sources: "list[Source]", files: "dict[Source, Path]") -> "list[Source]":
    """Those whose file is not there yet."""
    from sercli.cli import render

    left = [source for source in sources if not files[source].exists()]
    if len(left) < len(sources):
        render.note(f"{len(sources) - len(left)} of {len(sources)} recordings are done already and passed over.")
    return left


def _n_jobs(jobs: int | None, n_sources: int, device: str) -> int:
    """As asked, or for many recordings one a core: each process has its own model, so a GPU is not shared."""
    many = n_sources >= _MANY and device in ("auto", "cpu")
    return max(1, min(n_sources, options.n_jobs(jobs) if jobs or many else 1))
