"""Where answers go: the screen, stdout for other programs, a file for each recording, a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sercli._system.files import write_atomic
from sercli.cli import render
from sercli.cli.writers.formats import UTF_8, Format
from sercli.errors import AudioError, SerError

_ROUNDED_S = 0.0501  # a moment read off the table, which has tenths of a second

if TYPE_CHECKING:
    from sercli.batch_runner import Source
    from sercli.cli.hearing import Hearing
    from sercli.model.explanation import Kind
    from sercli.types import Prediction


def show(hearing: "Hearing", labels: Sequence[str]) -> None:
    """As tables: of one clip all, of more a row each, of a longer recording a row for each utterance as it comes."""
    clips: list[dict[str, Any]] = []
    for source, heard in hearing.recordings():
        rows = (answer.to_json() for answer in hearing.answers(source, heard))
        if heard.is_clip:
            clips += rows
        else:
            _show_clips(clips, alone=False)
            clips = []
            render.timeline_rows(source.name, rows, labels)
    _show_clips(clips, alone=len(hearing.sources) == 1)


def _show_clips(clips: Sequence[dict[str, Any]], *, alone: bool) -> None:
    if alone and clips:
        render.prediction_card(clips[0])
    elif clips:
        render.prediction_rows(clips)


def stream(hearing: "Hearing", labels: Sequence[str], form: Format) -> None:
    """On stdout, each piece as soon as it is there; nothing at all of a recording that cannot be read."""
    answers = (answer for source, heard in hearing.recordings() for answer in hearing.answers(source, heard))
    first = list(islice(answers, 1))
    for piece in form.lines(chain(first, answers), labels):
        typer.echo(piece.encode(*UTF_8), nl=False)


def write(hearing: "Hearing", labels: Sequence[str], form: Format, files: "dict[Source, Path]") -> None:
    """A file for each recording, whole or not at all."""
    for source, heard in hearing.recordings():
        try:
            write_atomic(files[source], _Text(form.lines(heard.answers, labels)))
        except AudioError as error:
            hearing.failed(source, error)


class _Text:
    """Writes pieces of text as they are made."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self.pieces = pieces

    def __call__(self, path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(piece.encode(*UTF_8) for piece in self.pieces)


def draw(hearing: "Hearing", labels: Sequence[str], path: Path) -> None:
    """The timeline of a recording whose answers were kept; its sound is read a second time rather than held."""
    from sercli.audio import reading
    from sercli.evaluation import plots

    rate_hz = 4_000  # plenty for an envelope
    rows = [answer.to_json() | {"text": answer.understood} for answer in hearing.kept or []]
    blocks = reading.stream(hearing.sources[0].path, sample_rate_hz=rate_hz)
    plots.timeline_picture(rows, labels, blocks, rate_hz, path)


def explain(hearing: "Hearing", path: Path, *, by: "Kind | None", at_s: float | None) -> None:
    """What one answer may rest on; the model is loaded a second time, which is quick now.

    Args:
        hearing: whose answers were kept, of one recording.
        path: the PNG to write.
        by: the way; None: as the model allows.
        at_s: a moment of the utterance; None: there is but one.

    Raises:
        SerError: no utterance is there, or it has no answer.
    """
    from sercli._system import devices
    from sercli.evaluation import plots
    from sercli.model import attribution, ensemble

    answer = _spoken_at(hearing.kept or [], at_s)
    if hearing.listening.text is not None:
        answer = replace(answer, asr_confidence=None)  # words that are given were not heard
    system = ensemble.load(hearing.listening.model, devices.pick_device(hearing.listening.device))
    with render.progress("Explaining", None):
        found = attribution.explain(system, answer, hearing.sources[0].path, by=by)
    plots.explanation_picture(found, path, name=Path(answer.path).name, label=str(answer.label))


def _spoken_at(answers: "Sequence[Prediction]", at_s: float | None) -> "Prediction":
    """The one answer, or that of the utterance which holds a moment; where one ends as the next begins, the next.

    Raises:
        SerError: there are several and no moment is given, or nobody speaks then.
    """
    if at_s is None:
        if len(answers) > 1:
            raise SerError(
                f"{answers[0].path} holds {len(answers)} utterances, and --explain draws one; add --at SECONDS, "
                "a moment within the one that is meant."
            )
        return answers[0]
    nearest = min(answers, key=lambda answer: (_distance_s(answer, at_s), -answer.start_s))
    if _distance_s(nearest, at_s) > _ROUNDED_S:
        when = f"{nearest.start_s:g} to {nearest.end_s:g} s"
        raise SerError(f"Nobody speaks at {at_s:g} s of {nearest.path}; the nearest utterance lasts from {when}.")
    return nearest


def _distance_s(answer: "Prediction", at_s: float) -> float:
    return max(answer.start_s - at_s, at_s - answer.end_s, 0.0)
