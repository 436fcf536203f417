"""`ser predict`: recognise the emotion in recordings."""

import os
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sercli._system import ctrl_c
from sercli.cli import options, writers
from sercli.errors import ConfigError, SerError

if TYPE_CHECKING:
    from sercli.cli.grouping import Grouping
    from sercli.pipeline import Speakers
    from sercli.types import Recording


class Shape(StrEnum):
    """The formats of predictions."""

    table = "table"
    json = "json"
    csv = "csv"
    csv_raw = "csv-raw"
    srt = "srt"
    vtt = "vtt"
    audacity = "audacity"
    audformat = "audformat"


Adapt = Literal["none", "auto", "full"]  # `Way` of sercli.types, which would import numpy here


class Group(StrEnum):
    """What is adapted together."""

    recording = "recording"
    folder = "folder"
    speaker = "speaker"


class ExplainBy(StrEnum):
    """The ways to explain a prediction."""

    attention = "attention"
    occlusion = "occlusion"


_OUTPUT = {"rich_help_panel": "Predictions"}
_WORDS = {"rich_help_panel": "Speech recognition"}
_VOICE = {"rich_help_panel": "Voices"}
_EXPLANATION = {"rich_help_panel": "Explanation"}
_MANY = 100  # number of recordings from which loading the model in several processes pays off


TRUST = (
    "On recordings unlike its training corpora the model is right about two times in three (chance: one in four); "
    "where it fails: ser predict --card"
)


def _show_card(wanted: bool) -> None:
    if wanted:
        from sercli.pipeline import model_folder

        path = model_folder(None) / "CARD.md"
        _, _, body = path.read_text("utf-8").split("---\n", 2)  # without the head, which model hubs read
        typer.echo(f"{path}\n{body.rstrip()}")
        raise typer.Exit


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Audio or video files, folders, patterns such as 'calls/*.mp3'; - for a file on stdin; mic for a "
            "microphone; or one table (.csv, .tsv, .jsonl) with a column path and, if you like, start_s, end_s, text "
            "and speaker."
        ),
    ],
    *,
    shape: Annotated[
        Shape | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, json, csv, csv-raw, srt, vtt or audacity. Default: table; json with --out.",
            show_default=False,
            **_OUTPUT,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Short for --format json: one object a line.", **_OUTPUT)
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Short for --format csv, for spreadsheets.", **_OUTPUT)] = False,
    csv_raw: Annotated[
        bool,
        typer.Option("--csv-raw", help="CSV for programs: text and numbers as they are.", **_OUTPUT),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for one file per recording, or one file for all: .csv, .json.", **_OUTPUT
        ),
    ] = None,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="With --out: skip recordings whose file exists.", **_OUTPUT)
    ] = False,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Per recording, and speaker in it: shares of time, mean probabilities, strongest moments.",
            **_OUTPUT,
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="PNG to draw one recording's timeline to.", dir_okay=False, **_OUTPUT),
    ] = None,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence", metavar="P", min=0, max=1, help="Predict 'unsure' below this probability.", **_OUTPUT
        ),
    ] = 0.0,
    track: Annotated[
        int | None,
        typer.Option(
            "--track",
            min=1,
            help="Sound track of films with several. Default: the one flagged default, else the first with speech.",
            show_default=False,
        ),
    ] = None,
    input_device: Annotated[
        str | None,
        typer.Option(
            "--input-device",
            metavar="NAME",
            help="With mic: number or part of the name of the device; list shows all. Default: the system's.",
            show_default=False,
        ),
    ] = None,
    raw: Annotated[
        int | None,
        typer.Option(
            "--raw",
            metavar="HZ",
            min=1_000,
            max=1_000_000,
            help="With -: stdin is raw samples at this rate: 16-bit, little-endian, one channel (ffmpeg -f s16le).",
            show_default=False,
        ),
    ] = None,
    adapt: Annotated[
        Adapt,
        typer.Option(
            "--adapt",
            help="Take a voice and its room into account. auto: carefully; full: for groups whose emotions are known "
            "to be mixed; none: each utterance by itself.",
            **_VOICE,
        ),
    ] = "auto",
    group: Annotated[
        Group | None,
        typer.Option(
            "--group",
            metavar="GROUP",
            help="What has one voice or room: recording, each long one or each speaker in it; folder; or speaker, each "
            "of --speakers-from. Default: speaker with --speakers-from, else recording.",
            show_default=False,
            **_VOICE,
        ),
    ] = None,
    speakers_from: Annotated[
        Path | None,
        typer.Option(
            "--speakers-from",
            help="Table of the speakers, with the columns path and speaker.",
            dir_okay=False,
            **_VOICE,
        ),
    ] = None,
    neutral: Annotated[
        list[Path] | None,
        typer.Option(
            "--neutral",
            metavar="CLIP",
            help="Clip of the voice in all recordings, speaking without emotion; repeat for more. Replaces --adapt.",
            **_VOICE,
        ),
    ] = None,
    speakers: Annotated[
        str,
        typer.Option(
            "--speakers",
            metavar="auto|none|N",
            help="Tell the speakers of a long recording apart; their number.",
            **_VOICE,
        ),
    ] = "none",
    explain: Annotated[
        Path | None,
        typer.Option(
            "--explain",
            help="PNG of the moments and words that counted in one utterance.",
            dir_okay=False,
            **_EXPLANATION,
        ),
    ] = None,
    explain_by: Annotated[
        ExplainBy | None,
        typer.Option(
            "--explain-by",
            help="attention: where the network looked; occlusion: what the probability loses without a piece. Default: "
            "attention, where the network has one.",
            show_default=False,
            **_EXPLANATION,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="M:SS",
            help="Time of the utterance to explain; the nearest is taken.",
            show_default=False,
            **_EXPLANATION,
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="The words of a single clip, instead of recognition.", **_WORDS)
    ] = None,
    no_asr: Annotated[
        bool, typer.Option("--no-asr", help="No speech recognition: faster, from audio alone.", **_WORDS)
    ] = False,
    asr: Annotated[
        str,
        typer.Option(
            "--asr",
            help="Speech recogniser: {asr}. Words it is not sure of have an ASR confidence, from 0 (guesses) to 1.",
            **_WORDS,
        ),
    ] = "whisper",
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Recogniser setting, such as asr.beam_size=5; repeat for more.", **_WORDS
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Run directory of your own. Default: the model that comes with ser."),
    ] = None,
    card: Annotated[
        bool,
        typer.Option(
            "--card",
            help="Show what the model that ships learned and where it fails.",
            is_eager=True,
            callback=_show_card,
        ),
    ] = False,
    device: options.Device = "auto",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Number of processes. Default: one, or one for each core with many files."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Recognise the emotion in recordings.

    A clip of up to 15 s gets one prediction, a longer recording one for each utterance in it.

    ser predict clip.wav

    ser predict interview.m4a --plot interview.png

    ser predict clip.wav --explain clip.png

    ser predict film.mp4 --format srt > film.srt

    ser predict recordings/ -o predictions/ --skip-done

    ser predict list.csv -o answers.csv

    ser predict mic
    """
    if input_device == "list":
        from sercli.audio import live

        typer.echo("\n".join(live.microphones()))
        return
    form = _form(shape, {"json": json, "csv": csv, "csv-raw": csv_raw}, out)
    one_file = writers.single_file(out)
    database = out if shape is Shape.audformat else None
    if database and (summary or skip_done or (database / "db.yaml").exists()):
        raise SerError(
            f"--format audformat writes a new database of all utterances to {out}; leave out --summary and "
            "--skip-done, and choose a folder without db.yaml."
        )
    if summary and form:
        if form.timed:
            raise SerError("--summary is a table, JSON or CSV; leave out the other format.")
        form = form.summarised()
    if out is None:
        options.need_stdout("--out")
    if skip_done and (out is None or one_file):
        raise SerError("--skip-done needs --out, the folder with the files; add it.")
    if explain is None and (explain_by or at):
        raise SerError("--explain-by and --at need --explain, the PNG to draw; add it.")
    from sercli.cli import moments, sources

    at_s = None if at is None else moments.seconds(at)
    settings = _asr_settings(sets or [])
    needing = {"--text": text, "--track": track, "--jobs": jobs, "--skip-done": skip_done, "--plot": plot}
    needing |= {"--explain": explain, "--group": group, "--speakers-from": speakers_from}
    needing |= {"--speakers": speakers != "none", "--format audformat": database}
    sound = sources.sound(paths, raw, input_device, needing)
    ctrl_c.keeps(_kept(out, skip_done=skip_done, live=sound is not None))
    with ExitStack() as until_the_end:
        recordings = sources.recordings(
            paths,
            until_the_end,
            sound=sound,
            text=text,
            min_confidence=min_confidence,
            out=None if database else out,
            track=track,
        )
        _check_number(len(recordings), form, text=text, plot=plot, explain=explain, out=out)
        files = writers.targets(recordings, paths, out, form) if out and form and not one_file else {}
        if skip_done:
            recordings = _left(recordings, files)
        if not recordings:
            return
        # Imported only now, so that errors in the command line do not wait for torch.
        from sercli import runs
        from sercli.cli import grouping, render
        from sercli.cli.live import Live
        from sercli.cli.recordings import Recordings, failures_of
        from sercli.cli.writers import sinks
        from sercli.pipeline import PRETRAINED, PipelineConfig, model_folder, recogniser

        folder = model_folder(model)
        if speakers_from is not None:
            recordings = grouping.with_speakers(recordings, speakers_from)
        rest = {path.resolve() for path in neutral or ()}
        for name in [one.name for one in recordings if one.path and one.path.resolve() in rest]:
            render.warn(f"{name} is a --neutral clip, so that its own prediction tells nothing.")
        known = any(one.speaker for one in recordings)
        together = _grouping(
            group or (Group.speaker if speakers_from else Group.recording),
            adapt,
            speakers_known=known,
            neutral=bool(neutral),
        )
        config = PipelineConfig(
            folder,
            device,
            None if no_asr else recogniser(asr, settings),
            adapt="none" if together else adapt,
            speakers=_n_speakers(speakers),
            neutral=tuple(neutral or ()),
        )
        info = runs.load_finished(folder)
        labels = info.labels
        if text is not None and info.modality == "acoustic":
            raise SerError(f"--text does nothing with {folder}, which reads no text; leave it out.")
        explained = moments.utterance_at(recordings[0], at_s) if explain else None
        keep = plot is not None or explain is not None
        if sound:
            running: Recordings = Live(sound, recordings, config)
        else:
            n_jobs = _n_jobs(jobs, len(recordings), device)
            running = Recordings(recordings, config, jobs=n_jobs, keep=keep, group=together)
        until_the_end.callback(running.close)
        if database:
            sinks.write_database(running, labels, database)
        elif form is None and summary:
            sinks.summarise(running)
        elif form is None:
            sinks.show(running, labels)
        elif out is None:
            sinks.stream(running, labels, form)
        elif one_file:
            sinks.write_one(running, labels, form, out)
        else:
            sinks.write(running, labels, form, files)
        if form and form.timed and not running.n_labelled:
            render.note("No utterance has a label, such as where nobody speaks: there are no subtitles.")
        if plot is not None:
            sinks.draw(running, labels, plot)
        if explain is not None:
            sinks.explain(running, explain, by=explain_by.value if explain_by else None, span=explained)
        running.hints()
        if folder == PRETRAINED and running.n_labelled:
            render.note(TRUST)
    running.conclude(failures_of(out))


def _kept(out: Path | None, *, skip_done: bool, live: bool) -> str:
    """Return what Ctrl-C leaves, and how to go on; of what comes in it was the second one."""
    if out is None or writers.single_file(out):
        left = "Nothing is kept but what is shown" if out is None else f"{out} is not written"
        if live:
            return f"{left}."
        return f"{left}; with --out FOLDER --skip-done a repeated command goes on where it stopped."
    again = "the same command" if skip_done else "the same command with --skip-done"
    return f"Finished files are kept in {out}; {again} goes on from there."


def _form(shape: Shape | None, short: dict[str, bool], out: Path | None) -> writers.Format | None:
    """Return the chosen format; None: the table.

    Args:
        shape: the value of --format.
        short: format -> whether its own option is given.
        out: the value of --out.

    Raises:
        SerError: more than one format is given, a table with --out, or a file of --out is called like another format.
    """
    given = [f"--{name}" for name, chosen in short.items() if chosen] + ([f"--format {shape}"] if shape else [])
    names = {name for name, chosen in short.items() if chosen} | ({shape.value} if shape else set())
    if len(names) > 1:
        raise SerError(f"{given[0]} and {given[1]} exclude each other; give one.")
    by_file = writers.single_file(out)
    name = next(iter(names), by_file or ("json" if out else "table"))
    if by_file and name != "table" and by_file != name.removesuffix("-raw"):
        raise SerError(f"--out {out} is called like {by_file}, but {given[0]} is given; change one of them.")
    if name == Shape.audformat and out is None:
        raise SerError("--format audformat needs --out, the folder for the database; add it.")
    if out and name == "table":
        raise SerError(
            f"--format table cannot be used with --out; give one of {', '.join((*writers.FORMATS, Shape.audformat))}."
        )
    return writers.FORMATS.get(name)


def _asr_settings(sets: list[str]) -> dict[str, object]:
    """The settings of the recogniser.

    Raises:
        ConfigError: a setting of another section.
    """
    from sercli.config import parse_sets

    sections = parse_sets(sets)
    for section in sorted(sections.keys() - {"asr"}):
        raise ConfigError(f"--set {section}.… has no effect in `ser predict`; give only asr.KEY=VALUE.")
    return sections.get("asr", {})


def _check_number(
    n: int,
    form: writers.Format | None,
    *,
    text: str | None,
    plot: Path | None,
    explain: Path | None,
    out: Path | None,
) -> None:
    """Refuse options for a single recording if there are several.

    Raises:
        SerError: naming the option.
    """
    if n == 1:
        return
    if text is not None:
        raise SerError(f"--text is for a single recording, but there are {n}; give one recording.")
    if plot is not None:
        raise SerError(f"--plot draws a single recording, but there are {n}; give one recording.")
    if explain is not None:
        raise SerError(f"--explain draws an utterance of a single recording, but there are {n}; give one recording.")
    if form and form.timed and (out is None or writers.single_file(out)):
        raise SerError(f"This format holds a single recording, but there are {n}; give --out for a file each.")


def _grouping(group: Group, adapt: Adapt, *, speakers_known: bool, neutral: bool) -> "Grouping | None":
    """Return which recordings are adapted together; None: each long recording by itself.

    Raises:
        SerError: options that exclude each other, or no speakers for --group speaker.
    """
    from sercli.cli.grouping import Grouping

    if group is Group.recording:
        return None
    if group is Group.speaker and not speakers_known:
        raise SerError("--group speaker needs --speakers-from, a table with the columns path and speaker; add it.")
    if adapt == "none" or neutral:
        other = "--neutral" if neutral else "--adapt none"
        raise SerError(f"{other} and --group exclude each other; leave one out.")
    return Grouping("speaker" if group is Group.speaker else "folder", adapt)


def _n_speakers(given: str) -> "Speakers":
    """Return the value of --speakers.

    Raises:
        SerError: neither a number from 1 up nor auto or none.
    """
    if given in ("auto", "none"):
        return "auto" if given == "auto" else "none"
    if not given.isdecimal() or int(given) < 1:
        raise SerError(f"--speakers {given}: give auto, none, or the number of speakers, such as 2.")
    return int(given)


def _left(recordings: "list[Recording]", files: dict[str, Path]) -> "list[Recording]":
    """Return the recordings that have no file yet."""
    from sercli.cli import render

    # Not by pathlib, which raises for names that are too long.
    left = [recording for recording in recordings if not os.path.exists(files[recording.name])]  # noqa: PTH110
    if len(left) < len(recordings):
        render.note(f"{len(recordings) - len(left)} of {len(recordings)} recordings have a file already: skipped.")
    return left


def _n_jobs(jobs: int | None, n_recordings: int, device: str) -> int:
    """Return the number given, or for many recordings one per core, not on a GPU: each process has its own model."""
    many = n_recordings >= _MANY and device in ("auto", "cpu")
    return max(1, min(n_recordings, options.n_jobs(jobs) if jobs or many else 1))
