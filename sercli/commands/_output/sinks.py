"""Where answers go: the screen, stdout for other programs, a file for each recording, a picture."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sercli.commands import _render
from sercli.commands._output.formats import UTF_8, Format
from sercli.errors import AudioError
from sercli.files import write_atomic

if TYPE_CHECKING:
    from sercli.commands._hearing import Hearing
    from sercli.model.listeners import Source


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
            _render.timeline_rows(source.name, rows, labels)
    _show_clips(clips, alone=len(hearing.sources) == 1)


def _show_clips(clips: Sequence[dict[str, Any]], *, alone: bool) -> None:
    if alone and clips:
        _render.prediction_card(clips[0])
    elif clips:
        _render.prediction_rows(clips)


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
    from sercli.dataset import audio
    from sercli.evaluation import plots

    rate_hz = 4_000  # plenty for an envelope
    rows = [answer.to_json() | {"text": answer.understood} for answer in hearing.kept or []]
    blocks = audio.stream(hearing.sources[0].path, sample_rate_hz=rate_hz)
    plots.timeline_picture(rows, labels, blocks, rate_hz, path)
