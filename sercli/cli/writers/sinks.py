"""Where predictions go: the screen, stdout for other programs, a file for each recording, a picture."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from sercli._system.files import UTF_8, write_atomic
from sercli._system.text import clock
from sercli.cli import render
from sercli.cli.recordings import Recordings
from sercli.cli.writers.formats import Format
from sercli.errors import AudioError
from sercli.types import Prediction

if TYPE_CHECKING:
    from sercli.model.explanation import Kind


def show(recordings: Recordings, labels: Sequence[str]) -> None:
    """Show tables: a card for a single clip, a row for each of several, for longer recordings a row per utterance."""
    clips: list[Prediction] = []
    for result in recordings.results():
        if result.is_clip:
            clips += recordings.predictions(result)
        else:
            _show_clips(clips, alone=False)
            clips = []
            render.timeline_rows(result.recording.name, recordings.predictions(result), labels)
    _show_clips(clips, alone=len(recordings.all) == 1)


def _show_clips(clips: Sequence[Prediction], *, alone: bool) -> None:
    if alone and clips:
        render.prediction_card(clips[0])
    elif clips:
        render.prediction_rows(clips)


def stream(recordings: Recordings, labels: Sequence[str], form: Format) -> None:
    """Write to stdout, each piece as soon as it is predicted; nothing if the only recording cannot be read."""
    for piece in _pieces(recordings, labels, form):
        render.write(piece)


def write_one(recordings: Recordings, labels: Sequence[str], form: Format, path: Path) -> None:
    """Write one file for all recordings, atomically; nothing if the only recording cannot be read."""
    write_atomic(path, partial(_save, _pieces(recordings, labels, form), form))


def _pieces(recordings: Recordings, labels: Sequence[str], form: Format) -> Iterable[str]:
    """Return the text of all recordings; the first prediction is made at once, since it may be an error."""
    predictions = recordings.every_prediction()
    first = list(islice(predictions, 1))
    return form.lines(chain(first, predictions), labels)


def write(
    recordings: Recordings, labels: Sequence[str], form: Format, files: Mapping[str, Path], begin: Callable[[], None]
) -> None:
    """Write a file for each recording, atomically; one that cannot be written is a failure of its recording alone.

    Args:
        recordings: to predict.
        labels: all that a prediction can have.
        form: of the files.
        files: of each recording by its name.
        begin: called before the first file is written.
    """
    for n, result in enumerate(recordings.results()):
        if n == 0:
            begin()
        try:
            write_atomic(files[result.recording.name], partial(_save, form.lines(result.predictions, labels), form))
        except (AudioError, OSError) as error:
            recordings.failed(result.recording, error)


def _save(pieces: Iterable[str], form: Format, path: Path) -> None:
    with path.open("w", encoding=form.encoding, errors=UTF_8[1], newline="") as file:
        file.writelines(pieces)


def draw(recordings: Recordings, labels: Sequence[str], path: Path) -> None:
    """Draw the timeline of a recording whose predictions were kept; its audio is read again to save memory."""
    from sercli.audio import reading
    from sercli.evaluation import plots

    rate_hz = 4_000  # plenty for an envelope
    recording = recordings.all[0]
    assert recording.path is not None
    blocks = reading.stream(recording.path, sample_rate_hz=rate_hz, track=recording.track)
    plots.timeline_picture(recordings.kept or [], labels, blocks, rate_hz, path)


def explain(recordings: Recordings, path: Path, *, by: "Kind | None", span: tuple[float, float] | None) -> None:
    """Draw the explanation of one prediction.

    Args:
        recordings: a single one, whose predictions were kept.
        path: the PNG to write.
        by: the method; None: attention if the model has one.
        span: begin and end of the utterance in seconds; None: there is only one utterance.

    Raises:
        SerError: the utterance has no label.
    """
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
    when = f", {clock(start_s, 1)} to {clock(end_s, 1)}" if span else ""
    plots.explanation_picture(found, path, name=f"{Path(prediction.path).name}{when}", label=str(prediction.label))
