"""Where predictions go: the screen, stdout for other programs, a file for each recording, a picture."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from sercli._system.files import UTF_8, write_atomic
from sercli.cli import render
from sercli.cli.recordings import Recordings
from sercli.cli.writers.formats import Format
from sercli.errors import AudioError, SerError
from sercli.types import Prediction

if TYPE_CHECKING:
    from sercli.model.explanation import Kind

_ROUNDED_S = 0.0501  # tolerance for times read from the table, which shows tenths of a second


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


def summarise(recordings: Recordings) -> None:
    """Show the summary of each recording."""
    render.summary_rows(chain.from_iterable(map(recordings.predictions, recordings.results())))


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
    write_atomic(path, partial(_save, _pieces(recordings, labels, form)))


def _pieces(recordings: Recordings, labels: Sequence[str], form: Format) -> Iterable[str]:
    """Return the text of all recordings; the first prediction is made at once, since it may be an error."""
    predictions = chain.from_iterable(map(recordings.predictions, recordings.results()))
    first = list(islice(predictions, 1))
    return form.lines(chain(first, predictions), labels)


def write(recordings: Recordings, labels: Sequence[str], form: Format, files: Mapping[str, Path]) -> None:
    """Write a file for each recording, atomically; one that cannot be written is a failure of its recording alone."""
    for result in recordings.results():
        try:
            write_atomic(files[result.recording.name], partial(_save, form.lines(result.predictions, labels)))
        except (AudioError, OSError) as error:
            recordings.failed(result.recording, error)


def _save(pieces: Iterable[str], path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(piece.encode(*UTF_8) for piece in pieces)


def draw(recordings: Recordings, labels: Sequence[str], path: Path) -> None:
    """Draw the timeline of a recording whose predictions were kept; its audio is read again to save memory."""
    from sercli.audio import reading
    from sercli.evaluation import plots

    rate_hz = 4_000  # plenty for an envelope
    recording = recordings.all[0]
    assert recording.path is not None
    blocks = reading.stream(recording.path, sample_rate_hz=rate_hz, track=recording.track)
    plots.timeline_picture(recordings.kept or [], labels, blocks, rate_hz, path)


def explain(recordings: Recordings, path: Path, *, by: "Kind | None", at_s: float | None) -> None:
    """Draw the explanation of one prediction; the model is loaded again, which is fast by now.

    Args:
        recordings: a single one, whose predictions were kept.
        path: the PNG to write.
        by: the method; None: attention if the model has one.
        at_s: a time within the utterance; None: there is only one utterance.

    Raises:
        SerError: there is no utterance at this moment, or it has no label.
    """
    from sercli._system import devices
    from sercli.evaluation import plots
    from sercli.model import attribution
    from sercli.model.loading import load_run

    recording, config = recordings.all[0], recordings.config
    assert recording.path is not None
    prediction = _spoken_at(recordings.kept or [], at_s)
    if recording.text is not None:
        prediction = replace(prediction, asr_confidence=None)  # a given text has no ASR confidence
    predictor = load_run(config.model, devices.pick_device(config.device))
    with render.progress("Explaining", None):
        found = attribution.explain(predictor, prediction, recording.path, by=by, track=recording.track)
    plots.explanation_picture(found, path, name=Path(prediction.path).name, label=str(prediction.label))


def _spoken_at(predictions: Sequence[Prediction], at_s: float | None) -> Prediction:
    """Return the only utterance, or the one at a given time; at a common boundary, the later one.

    Raises:
        SerError: there are several and no time is given, or no utterance is near it.
    """
    if at_s is None:
        if len(predictions) > 1:
            raise SerError(
                f"{predictions[0].path} holds {len(predictions)} utterances, and --explain draws one; add "
                "--at SECONDS, a time within the utterance to explain."
            )
        return predictions[0]
    nearest = min(predictions, key=lambda prediction: (_distance_s(prediction, at_s), -prediction.start_s))
    if _distance_s(nearest, at_s) > _ROUNDED_S:
        when = f"{nearest.start_s:g} to {nearest.end_s:g} s"
        raise SerError(f"--at {at_s:g}: no utterance in {nearest.path} at this time; the nearest is from {when}.")
    return nearest


def _distance_s(prediction: Prediction, at_s: float) -> float:
    return max(prediction.start_s - at_s, at_s - prediction.end_s, 0.0)
