"""The pictures of `ser predict`: a recording's timeline, and what counted in the utterance at the time of --at."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from sercli._system.text import clock
from sercli.errors import AudioError, SerError
from sercli.types import SAMPLE_RATE_HZ, Recording

if TYPE_CHECKING:
    from sercli.cli.recordings import Recordings
    from sercli.model.attribution import Kind

_ROUNDED_S = 0.0501  # tolerance for times read from the table, which shows tenths of a second


def seconds(moment: str) -> float:
    """Seconds, or minutes and seconds, or hours, minutes and seconds, as the table shows them.

    Raises:
        SerError: it is none of these.
    """
    try:
        parts = [float(part) for part in moment.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(isfinite(part) and part >= 0 for part in parts):
        raise SerError(f"--at {moment} is not a time; give m:ss such as 1:23.5, or seconds such as 83.5.")
    return sum(part * 60.0**place for place, part in enumerate(reversed(parts)))


def utterance_at(recording: Recording, at_s: float | None) -> tuple[float, float] | None:
    """Return begin and end of the utterance nearest to a time, in seconds; None: the recording is one utterance.

    Only speech is looked for, so that a wrong time is told before words are recognised.

    Raises:
        AudioError: the recording cannot be read.
        SerError: the time is not in the recording, or none is given and there are several utterances.
    """
    from sercli.audio import reading, segments
    from sercli.cli import render
    from sercli.cli.recordings import named
    from sercli.pipeline import CLIP_S

    begin_s = recording.start_s or 0.0
    blocks = segments.Counted(reading.opened(recording))
    try:
        with render.progress("Finding speech", None):
            found = [(begin_s + one.start_s, begin_s + one.end_s) for one in segments.segments(blocks)]
    except AudioError as error:
        raise AudioError(named(error, recording)) from None
    length_s = blocks.n_samples / SAMPLE_RATE_HZ
    if at_s is not None and not begin_s <= at_s <= begin_s + length_s + _ROUNDED_S:
        lasts = f"from {clock(begin_s, 1)} to {clock(begin_s + length_s, 1)}"
        raise SerError(f"--at {clock(at_s, 1)} is not in {recording.name}, which lasts {lasts}; give a time in it.")
    if length_s <= CLIP_S or not found:
        return None
    if at_s is None and len(found) > 1:
        raise SerError(
            f"{recording.name} holds {len(found)} utterances, and --explain draws one; add --at m:ss, such as "
            f"--at {clock(found[0][0], 1)} for the first."
        )
    moment_s = found[0][0] if at_s is None else at_s
    nearest = min(found, key=lambda span: (_distance_s(span, moment_s), -span[0]))  # of two that touch, the later
    if _distance_s(nearest, moment_s) > _ROUNDED_S:
        span = f"from {clock(nearest[0], 1)} to {clock(nearest[1], 1)}"
        render.note(f"--at {clock(moment_s, 1)}: nobody speaks then; the nearest utterance is explained, {span}.")
    return nearest


def _distance_s(span: tuple[float, float], moment_s: float) -> float:
    return max(span[0] - moment_s, moment_s - span[1], 0.0)


def draw(recordings: "Recordings", labels: Sequence[str], path: Path) -> None:
    """Draw the timeline of a recording whose predictions were kept; its audio is read again to save memory."""
    from sercli.audio import reading
    from sercli.cli import render
    from sercli.evaluation import plots

    rate_hz = 4_000  # plenty for an envelope
    recording = recordings.all[0]
    assert recording.path is not None
    blocks = reading.stream(recording.path, sample_rate_hz=rate_hz, track=recording.track)
    plots.timeline_picture(recordings.kept or [], labels, blocks, rate_hz, path)
    render.note(f"Wrote {path}.")


def explain(recordings: "Recordings", path: Path, *, by: "Kind | None", span: tuple[float, float] | None) -> None:
    """Draw the explanation of one prediction.

    Args:
        recordings: a single one, whose predictions were kept.
        path: the PNG to write.
        by: the method; None: attention if the model has one.
        span: begin and end of the utterance in seconds; None: there is only one utterance.

    Raises:
        SerError: the utterance has no label.
    """
    from sercli.cli import render
    from sercli.evaluation import plots
    from sercli.model import attribution

    recording = recordings.all[0]
    assert recording.path is not None
    start_s, end_s = span or (0.0, 0.0)
    prediction = min(recordings.kept or [], key=lambda one: abs(one.start_s - start_s))
    if recording.text is not None:
        prediction = replace(prediction, asr_confidence=None)  # a given text has no ASR confidence
    with render.progress("Explaining", None):
        found = attribution.explain(
            recordings.pipeline.predictor, prediction, recording.path, by=by, track=recording.track
        )
    name = Path(prediction.path).name + (f", {clock(start_s, 1)} to {clock(end_s, 1)}" if span else "")
    plots.explanation_picture(found, path, name=name, label=str(prediction.label))
    render.note(f"Wrote {path}: {name}, {prediction.label}.")
