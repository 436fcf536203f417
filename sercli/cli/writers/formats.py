"""Predictions as text for other programs, a piece at a time: JSON lines, CSV, subtitles, Audacity's labels."""

import csv
import html
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from sercli._system.text import clock, harmless

if TYPE_CHECKING:
    from sercli.cli.summaries import Summary
    from sercli.types import Prediction

Lines = Callable[["Iterable[Prediction]", Sequence[str]], Iterator[str]]
"""(predictions, all classes) -> pieces of text, each of whole lines; memory does not grow with the predictions."""

_Row = tuple[Mapping[str, object], Sequence[object]]
"""The cells of the table row that lists the recording, and the cells of a prediction or a summary."""

_MOMENT = ("start_s", "end_s", "label", "confidence", "text")

# Characters that some programs (and `str.splitlines`) take for a line end, but JSON does not escape.
_LINE_ENDS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
_NO_TAGS = str.maketrans("<>{}", "‹›()")
_SHORTEST_MS = 1  # most players reject a cue of length 0


@dataclass(frozen=True)
class Format:
    """A format that predictions are written in."""

    suffix: str  # of its files
    lines: Lines
    summary: Lines | None = None  # of summaries of the predictions; None: the format has none
    timed: bool = False  # has times but no file names, so one text cannot hold two recordings
    encoding: str = "utf-8"  # of its files
    for_players: bool = False  # players look for it under the recording's name without its ending

    def summarised(self) -> "Format":
        """Return the format of summaries, whose files do not take the place of those of predictions."""
        assert self.summary is not None
        return replace(self, suffix=f".summary{self.suffix}", lines=self.summary)


def json_lines(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """Yield one JSON object per line."""
    for prediction in predictions:
        content = asdict(prediction)
        row = content.pop("row")
        yield _json(row, [("probs" if key == "probabilities" else key, value) for key, value in content.items()])


def json_summaries(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """Yield one JSON object a recording, or several where there are speakers; see `summaries`."""
    for one in _summaries(predictions):
        about, shares, mean = _summarised(one, labels)
        moments = [{name: getattr(p, name) for name in _MOMENT} for p in one.moments]
        yield _json(one.row, [*about, ("shares", shares), ("probs", mean if one.mean else {}), ("moments", moments)])


def _json(row: Mapping[str, object], own: Sequence[tuple[str, object]]) -> str:
    return json.dumps(dict(_beside(row, own)), ensure_ascii=False).translate(_LINE_ENDS) + "\n"


def csv_rows(predictions: "Iterable[Prediction]", labels: Sequence[str], *, raw: bool = False) -> Iterator[str]:
    """Yield a header, then one row a prediction with the probability of each class: adapted, not, by audio, by text.

    Args:
        predictions: see `Lines`.
        labels: see `Lines`.
        raw: leave text and numbers as they are, for programs. Otherwise text that a spreadsheet would run as a formula
            begins with ', control characters are shown as escapes, and numbers have 4 decimals.
    """

    def rows() -> Iterator[_Row]:
        for p in predictions:
            parts = (p.probabilities, p.unadapted, p.members.get("acoustic"), p.members.get("linguistic"))
            probs = [(part or {}).get(label) for part in parts for label in labels]
            head = (p.path, p.start_s, p.end_s, p.speaker, p.label, p.confidence)
            yield p.row, (*head, *probs, p.asr_confidence, p.text, p.reason, "; ".join(p.remarks))

    probs = [f"{part}{label}" for part in ("", "unadapted_", "audio_only_", "text_only_") for label in labels]
    head = ("path", "start_s", "end_s", "speaker", "label", "confidence")
    return _csv((*head, *probs, "asr_confidence", "text", "reason", "remarks"), rows(), raw)


def csv_summaries(predictions: "Iterable[Prediction]", labels: Sequence[str], *, raw: bool = False) -> Iterator[str]:
    """Yield a header, then one row a recording, or several where there are speakers, with the strongest moment."""

    def rows() -> Iterator[_Row]:
        for one in _summaries(predictions):
            about, shares, mean = _summarised(one, labels)
            (moment,) = one.moments[:1] or (None,)
            strongest = (getattr(moment, name, None) for name in _MOMENT)
            yield one.row, (*(value for _, value in about), *shares.values(), *mean.values(), *strongest)

    shares = [f"share_{label}" for label in (*labels, "unsure", "none")]
    strongest = [f"strongest_{name}" for name in _MOMENT]
    return _csv(("path", "speaker", "n", "time_s", *shares, *labels, *strongest), rows(), raw)


def _summaries(predictions: "Iterable[Prediction]") -> "Iterator[Summary]":
    from sercli.cli.summaries import summaries

    return chain.from_iterable(summaries(predictions))


def _summarised(
    one: "Summary", labels: Sequence[str]
) -> tuple[list[tuple[str, object]], dict[str, float], dict[str, float | None]]:
    """Return what a summary is of, the share of time of each label, of `unsure` and of none, and mean probabilities."""
    about: list[tuple[str, object]] = [(name, getattr(one, name)) for name in ("path", "speaker", "n", "time_s")]
    shares = {label: one.share(label) for label in (*labels, "unsure")} | {"none": one.share(None)}
    return about, shares, {label: one.mean.get(label) for label in labels}


def _csv(names: Sequence[str], rows: "Iterable[_Row]", raw: bool) -> Iterator[str]:
    written: Callable[[object], object] = (lambda cell: cell) if raw else harmless
    headed = False
    for row, values in rows:
        shown = values if raw else [round(value, 4) if isinstance(value, float) else value for value in values]
        pairs = _beside(row, list(zip(names, shown, strict=True)))
        if not headed:
            yield _csv_row([written(name) for name, _ in pairs])
            headed = True
        yield _csv_row([written(value) for _, value in pairs])
    if not headed:
        yield _csv_row([written(name) for name in names])


def _beside(row: Mapping[str, object], own: Sequence[tuple[str, object]]) -> list[tuple[str, object]]:
    """Return the cells of a table row, then a prediction's; one whose name the table uses is called predicted_NAME.

    The table's path stands for both.

    >>> _beside({"path": "a.wav", "label": "x"}, [("path", "in/a.wav"), ("label", "anger")])
    [('path', 'a.wav'), ('label', 'x'), ('predicted_label', 'anger')]
    """
    pairs = list(row.items())
    for name, value in own:
        called = name
        while called in row:
            called = f"predicted_{called}"
        if not (name == "path" and called != name):
            pairs.append((called, value))
    return pairs


def srt(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """Yield SubRip subtitles.

    The format has no escapes: `-->` in the text, which would begin a cue, becomes `→`, and `<` and `{`, with which many
    players begin a tag, become `‹` and `(`.
    """
    for number, (prediction, (start_ms, end_ms)) in enumerate(_cues(predictions), start=1):
        times = f"{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}"
        yield f"{number}\n{times}\n{_spoken(prediction).replace('-->', '→').translate(_NO_TAGS)}\n\n"


def vtt(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """Yield WebVTT subtitles, with &, < and > escaped as in HTML, and the speaker in the format's own voice tag."""
    yield "WEBVTT\n\n"
    for prediction, (start_ms, end_ms) in _cues(predictions):
        times = f"{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}"
        voice = f"<v {html.escape(_line(prediction.speaker), quote=False)}>" if prediction.speaker else ""
        yield f"{times}\n{voice}{html.escape(_caption(prediction), quote=False)}\n\n"


def audacity(predictions: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """A label track for Audacity: start, end and label with tabs between."""
    for prediction, (start_ms, end_ms) in _cues(predictions):
        yield f"{start_ms / 1000:.3f}\t{end_ms / 1000:.3f}\t{_spoken(prediction)}\n"


FORMATS = {
    "json": Format(".json", json_lines, json_summaries),
    # without the byte order mark spreadsheets garble letters such as ü
    "csv": Format(".csv", csv_rows, csv_summaries, encoding="utf-8-sig"),
    "csv-raw": Format(".csv", partial(csv_rows, raw=True), partial(csv_summaries, raw=True)),
    "srt": Format(".srt", srt, timed=True, for_players=True),
    "vtt": Format(".vtt", vtt, timed=True, for_players=True),
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


def _spoken(prediction: "Prediction") -> str:
    """Return the caption, after the speaker if known: `A: [anger 0.81] stop it now`."""
    caption = _caption(prediction)
    return f"{_line(prediction.speaker)}: {caption}" if prediction.speaker else caption


def _caption(prediction: "Prediction") -> str:
    """One line such as `[anger 0.81] stop it now (ASR confidence 0.45)`, with words and doubt as in the table."""
    return _line(f"[{prediction.label} {prediction.confidence:.2f}] {prediction.text or ''} {prediction.doubt}")


def _line(text: str) -> str:
    """Return a text in one line, without characters that move a cursor."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c) != "Cc")


def _clock(ms: int, point: str) -> str:
    return clock(ms / 1000, 3, point=point, padded=True)
