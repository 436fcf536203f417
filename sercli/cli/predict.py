"""`ser predict`: recognise the emotion in recordings."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from sercli._system import ctrl_c
from sercli.cli import options
from sercli.cli.output import Output, Shape
from sercli.errors import SerError

# `Way` and `Group` of sercli.types and `Kind` of sercli.model.attribution, which would import numpy here
Adapt = Literal["none", "auto", "full"]
Group = Literal["recording", "folder", "speaker"]
ExplainBy = Literal["attention", "occlusion"]

_WORDS = {"rich_help_panel": "Speech recognition"}
_VOICE = {"rich_help_panel": "Voices"}
_EXPLANATION = {"rich_help_panel": "Explanation"}
_SOUND = {"rich_help_panel": "Sound"}
_MANY = 100  # number of recordings from which loading the model in several processes pays off


TRUST = "On unknown voices 2 labels in 3 are right (chance: 1 in 4): ser predict --card"


def _show_card(wanted: bool) -> None:
    if wanted:
        from sercli.cli.render.console import markdown, stdout
        from sercli.pipeline import model_folder

        path = model_folder(None) / "CARD.md"
        _, _, body = path.read_text("utf-8").split("---\n", 2)  # without the head, which model hubs read
        typer.echo(f"{path}\n")
        if stdout().is_terminal:
            markdown(body)
        else:
            typer.echo(body.strip())
        raise typer.Exit


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Audio or video files, folders, patterns such as 'calls/*.mp3'; - for a file on stdin; mic for a "
            "microphone; or one table (.csv, .tsv, .jsonl) with a column path and, if you like, start_s, end_s, text "
            "and speaker.",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="Folder for one file per recording, or one file for all: .csv, .json.",
        ),
    ] = None,
    shape: Annotated[
        Shape | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, json, csv, csv-raw, srt, vtt, audacity or audformat. Default: table; json with --out.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format json: one object a line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Short for --format csv, for spreadsheets.")] = False,
    csv_raw: Annotated[bool, typer.Option("--csv-raw", help="CSV for programs: text and numbers as they are.")] = False,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Per recording, and speaker in it: shares of time, mean probabilities, strongest moments.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.png", help="Draw one recording's timeline.", dir_okay=False),
    ] = None,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", metavar="P", min=0, max=1, help="Predict 'unsure' below this probability."),
    ] = 0.0,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="With --out FOLDER: skip recordings whose file exists.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", "-m", metavar="RUN", help="Run directory of your own. Default: the model that comes with ser."
        ),
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
    speakers: Annotated[
        str,
        typer.Option(
            "--speakers",
            metavar="auto|none|N",
            help="Tell the speakers of a long recording apart: how many they are, or auto.",
            **_VOICE,
        ),
    ] = "none",
    adapt: Annotated[
        Adapt,
        typer.Option(
            "--adapt",
            metavar="none|auto|full",
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
            help="Adapt together: recording, the utterances of each (default); folder, all in it; speaker, all of each "
            "in --speakers-from (default with it).",
            **_VOICE,
        ),
    ] = None,
    speakers_from: Annotated[
        Path | None,
        typer.Option(
            "--speakers-from",
            metavar="FILE",
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
            help="Clip of the voice in all recordings, speaking without emotion; repeat for more.",
            **_VOICE,
        ),
    ] = None,
    no_asr: Annotated[
        bool, typer.Option("--no-asr", help="No speech recognition: faster, from audio alone.", **_WORDS)
    ] = False,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="WORDS", help="The words of a single clip, instead of recognition.", **_WORDS),
    ] = None,
    asr: Annotated[
        str,
        typer.Option(
            "--asr",
            metavar="NAME",
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
    explain: Annotated[
        Path | None,
        typer.Option(
            "--explain",
            metavar="FILE.png",
            help="Draw which moments and words counted in one utterance.",
            dir_okay=False,
            **_EXPLANATION,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="M:SS", help="Time of the utterance to explain; the nearest is taken.", **_EXPLANATION
        ),
    ] = None,
    explain_by: Annotated[
        ExplainBy | None,
        typer.Option(
            "--explain-by",
            metavar="KIND",
            help="attention: where the network looked; occlusion: what the probability loses without a piece. Default: "
            "attention, where the network has one.",
            **_EXPLANATION,
        ),
    ] = None,
    track: Annotated[
        int | None,
        typer.Option(
            "--track",
            min=1,
            help="Sound track of films with several. Default: the one flagged default, else the first with speech.",
            **_SOUND,
        ),
    ] = None,
    input_device: Annotated[
        str | None,
        typer.Option(
            "--input-device",
            metavar="NAME",
            help="With mic: number or part of the name of the device; list shows all. Default: the system's.",
            **_SOUND,
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
            **_SOUND,
        ),
    ] = None,
    device: options.Device = "auto",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Number of processes. Default: one, or one for each core with many files."),
    ] = None,
    cluster: options.Cluster = None,
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
    output = Output.chosen(
        shape, {"json": json, "csv": csv, "csv-raw": csv_raw}, out, summary=summary, skip_done=skip_done
    )
    if explain is None and (explain_by or at):
        raise SerError("--explain-by and --at need --explain, the PNG to draw; add it.")
    for option, picture in (("--plot", plot), ("--explain", explain)):
        if picture and picture.suffix.lower() != ".png":
            raise SerError(f"{option} {picture}: the picture is a PNG; give a name that ends in .png.")
    from sercli.cli import pictures, sources
    from sercli.cli.writers import done
    from sercli.config import parse_sets

    at_s = None if at is None else pictures.seconds(at)
    settings = parse_sets(sets or [], "ser predict", ("asr",)).get("asr", {})
    if no_asr and settings:
        raise SerError("--set is for the recogniser, which --no-asr leaves out; leave out one of them.")
    needing: dict[str, object] = {"--text": text, "--track": track, "--jobs": jobs, "--cluster": cluster}
    needing |= {"--skip-done": skip_done, "--plot": plot, "--explain": explain, "--group": group}
    needing |= {"--speakers-from": speakers_from, "--speakers": speakers != "none"}
    needing |= {"--format audformat": output.is_database}
    if skip_done and (group or speakers_from) not in (None, "recording"):
        raise SerError("--skip-done would leave what it skips out of its group; leave out --group, or --skip-done.")
    sound = sources.sound(paths, raw, input_device, needing)
    ctrl_c.keeps(output.kept(live=sound is not None))
    with ExitStack() as until_the_end:
        recordings = sources.recordings(
            paths,
            until_the_end,
            sound=sound,
            text=text,
            min_confidence=min_confidence,
            out=None if output.is_database else out,
            track=track,
        )
        read = [path for path in (*paths, speakers_from) if path and path.is_file()]
        if out and out.is_file() and any(out.samefile(path) for path in read):
            raise SerError(f"--out {out} is the table that is read; give another name.")
        output.check_number(len(recordings), text=text, plot=plot, explain=explain)
        given: dict[str, object] = {"asr": None if no_asr else asr, "asr settings": settings, "adapt": adapt}
        given |= {"group": group, "speakers from": speakers_from, "neutral": neutral, "speakers": speakers}
        given |= {"min. confidence": min_confidence, "text": text, "track": track}
        given = done.settings_with(model, given) if output.is_folder else {}
        recordings, files = output.left(recordings, paths, given)
        if not recordings:
            return
        # Imported only now, so that errors in the command line do not wait for torch.
        from sercli.cli import render
        from sercli.cli.recordings import Live, Recordings
        from sercli.pipeline import PRETRAINED, PipelineConfig, model_folder, n_speakers, recogniser
        from sercli.runs import load_finished

        group, recordings = sources.grouped(group, adapt, recordings, speakers_from)
        if neutral or group != "recording":
            from sercli.cli import voices

            voices.warn(recordings, group, neutral or ())
        folder, told_apart = model_folder(model), n_speakers(speakers)
        hearing = None if no_asr else recogniser(asr, settings)
        info = load_finished(folder)
        config = PipelineConfig(
            folder,
            device,
            None if info.modality == "acoustic" else hearing,
            adapt=adapt,
            speakers=told_apart,
            neutral=tuple(neutral or ()),
            group=group,
        )
        if text is not None and info.modality == "acoustic":
            raise SerError(f"--text does nothing with {folder}, which reads no text; leave it out.")
        explained = pictures.utterance_at(recordings[0], at_s) if explain else None
        if sound:
            running: Recordings = Live(sound, recordings, config)
        else:
            if cluster:
                from sercli._system.cluster import connected

                until_the_end.enter_context(connected(cluster, jobs))
            # One for each core only with many recordings, not on a GPU: each process has its own model.
            many = len(recordings) >= _MANY and device in ("auto", "cpu")
            n_jobs = min(len(recordings), options.n_jobs(jobs) if jobs or many else 1)
            running = Recordings(recordings, config, jobs=n_jobs, keep=bool(plot or explain))
        until_the_end.callback(running.close)
        output.write(running, info.labels, files, given)
        if plot is not None:
            pictures.draw(running, info.labels, plot)
        if explain is not None:
            pictures.explain(running, explain, by=explain_by, span=explained)
        running.hints(info.settings.rule)
        if folder == PRETRAINED and running.n_labelled:
            render.note(TRUST)
    running.conclude(out)
