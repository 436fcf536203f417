"""Predictions as text for other programs, a piece at a time: JSON lines, CSV, subtitles, Audacity's labels."""

import csv
import html
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli.types import Prediction

Lines = Callable[["Iterable[Prediction]", Sequence[str]], Iterator[str]]
"""(predictions, all classes) -> pieces of text, each of whole lines; memory does not grow with the predictions."""

# Characters that some programs (and `str.splitlines`) take for a line end, but JSON does not escape.
_LINE_ENDS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
_SHORTEST_MS = 1  # most players reject a cue of length 0


@dataclass(frozen=True)
class Format:
    """A format that predictions are written in."""

    suffix: str  # of its files
    lines: Lines
    timed: bool = False  # has times but no file names, so one text cannot hold two recordings


def json_lines(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """Yield one JSON object per line."""
    for prediction in predictions:
        yield json.dumps(_json(prediction), ensure_ascii=False).translate(_LINE_ENDS) + "\n"


def _json(prediction: "Prediction") -> dict[str, object]:
    """Return a prediction as JSON-safe values; every key is always present."""
    content = asdict(prediction)
    return {"probs" if key == "probabilities" else key: value for key, value in content.items()}


def csv_rows(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """A header, then one row a prediction with the probability of each class, unrounded."""
    yield _csv_row(["path", "start_s", "end_s", "label", "confidence", *labels, "text", "reason"])
    for prediction in predictions:
        p = prediction
        probs = [p.probabilities.get(label) for label in labels]
        yield _csv_row([p.path, p.start_s, p.end_s, p.label, p.confidence, *probs, p.text, p.reason])


def srt(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """Yield SubRip subtitles. The format has no escapes, so `-->` in the text, which would begin a cue, becomes `→`."""
    for number, (prediction, (start_ms, end_ms)) in enumerate(_cues(predictions), start=1):
        times = f"{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}"
        yield f"{number}\n{times}\n{_caption(prediction).replace('-->', '→')}\n\n"


def vtt(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """Yield WebVTT subtitles, with &, < and > escaped as in HTML."""
    yield "WEBVTT\n\n"
    for prediction, (start_ms, end_ms) in _cues(predictions):
        times = f"{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}"
        yield f"{times}\n{html.escape(_caption(prediction), quote=False)}\n\n"


def audacity(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """A label track for Audacity: start, end and label with tabs between."""
    for prediction, (start_ms, end_ms) in _cues(predictions):
        yield f"{start_ms / 1000:.3f}\t{end_ms / 1000:.3f}\t{_caption(prediction)}\n"


FORMATS = {
    "json": Format(".json", json_lines),
    "csv": Format(".csv", csv_rows),
    "srt": Format(".srt", srt, timed=True),
    "vtt": Format(".vtt", vtt, timed=True),
    "audacity": Format(".txt", audacity, timed=True),
}


def _csv_row(cells: Sequence[object]) -> str:
    """Return a line of CSV. None is an empty cell; both kinds of line break are quoted, being in the terminator."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(["" if cell is None else cell for cell in cells])
    return line.getvalue().removesuffix("\r\n") + "\n"


def _cues(predictions: "Iterable[Prediction]") -> "Iterator[tuple[Prediction, tuple[int, int]]]":
    """The predictions that have a label, with start and end in milliseconds."""
    for prediction in predictions:
        if prediction.label is not None:
            start_ms = round(prediction.start_s * 1000)
            yield prediction, (start_ms, max(round(prediction.end_s * 1000), start_ms + _SHORTEST_MS))


def _caption(prediction: "Prediction") -> str:
    """One line such as `[anger 0.81] stop it now`, without characters that move a cursor or end a line.

    Words that were recognised with little confidence are left out: they would read as if somebody had said them.
    """
    words = " ".join(prediction.clear_text.split())
    caption = f"[{prediction.label} {prediction.confidence:.2f}] {words}".rstrip()
    return "".join(c for c in caption if unicodedata.category(c) != "Cc")


def _clock(ms: int, point: str) -> str:
    """Hours, minutes, seconds and milliseconds.

    >>> _clock(3_723_004, ",")
    '01:02:03,004'
    """
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"
