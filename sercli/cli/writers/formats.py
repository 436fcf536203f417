"""Answers as text for other programs, a piece at a time: JSON lines, CSV, subtitles, Audacity's labels."""

import csv
import html
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli.types import Prediction

Lines = Callable[["Iterable[Prediction]", Sequence[str]], Iterator[str]]
"""Answers and all classes -> pieces of text, each of which ends its line; memory does not grow with the answers."""

UTF_8 = ("utf-8", "backslashreplace")
"""How text becomes bytes, here and everywhere: a name that is not Unicode is written with escapes."""

# What some programs take for the end of a line, as `str.splitlines` does, and JSON leaves as it is.
_LINE_ENDS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
_SHORTEST_MS = 1  # a cue without any length is an error to most players


@dataclass(frozen=True)
class Format:
    """How answers are written."""

    suffix: str  # of a file in it
    lines: Lines
    timed: bool = False  # its times are those of one recording: two recordings cannot be put into one text


def json_lines(answers: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """One object a line."""
    for answer in answers:
        yield json.dumps(answer.to_json(), ensure_ascii=False).translate(_LINE_ENDS) + "\n"


def csv_rows(answers: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """A header, then one row an answer with the probability of each class, unrounded."""
    yield _csv_row(["path", "start_s", "end_s", "label", "confidence", *labels, "text", "reason"])
    for answer in answers:
        probs = [answer.probs.get(label) for label in labels]
        times = [answer.start_s, answer.end_s]
        yield _csv_row([answer.path, *times, answer.label, answer.confidence, *probs, answer.text, answer.reason])


def srt(answers: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """SubRip subtitles. The format has no escapes; an arrow in the words would begin a new cue, so it changes shape."""
    for number, (answer, (start_ms, end_ms)) in enumerate(_cues(answers), start=1):
        times = f"{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}"
        yield f"{number}\n{times}\n{_caption(answer).replace('-->', '→')}\n\n"


def vtt(answers: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """WebVTT subtitles, with &, < and > as HTML has them."""
    yield "WEBVTT\n\n"
    for answer, (start_ms, end_ms) in _cues(answers):
        times = f"{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}"
        yield f"{times}\n{html.escape(_caption(answer), quote=False)}\n\n"


def audacity(answers: "Iterable[Prediction]", labels: Sequence[str]) -> Iterator[str]:
    """A label track for Audacity: start, end and label with tabs between."""
    for answer, (start_ms, end_ms) in _cues(answers):
        yield f"{start_ms / 1000:.3f}\t{end_ms / 1000:.3f}\t{_caption(answer)}\n"


FORMATS = {
    "json": Format(".json", json_lines),
    "csv": Format(".csv", csv_rows),
    "srt": Format(".srt", srt, timed=True),
    "vtt": Format(".vtt", vtt, timed=True),
    "audacity": Format(".txt", audacity, timed=True),
}


def _csv_row(cells: Sequence[object]) -> str:
    """Without a value the cell is empty; line breaks of either kind are quoted, since both stand in the terminator."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(["" if cell is None else cell for cell in cells])
    return line.getvalue().removesuffix("\r\n") + "\n"


def _cues(answers: "Iterable[Prediction]") -> "Iterator[tuple[Prediction, tuple[int, int]]]":
    """Those answers that name an emotion, with start and end in milliseconds."""
    for answer in answers:
        if answer.label is not None:
            start_ms = round(answer.start_s * 1000)
            yield answer, (start_ms, max(round(answer.end_s * 1000), start_ms + _SHORTEST_MS))


def _caption(answer: "Prediction") -> str:
    """One line such as `[anger 0.81] stop it now`, without characters that move a cursor or end a line.

    What was hardly understood is left out: it would read as if somebody had said it.
    """
    words = " ".join(answer.understood.split())
    caption = f"[{answer.label} {answer.confidence:.2f}] {words}".rstrip()
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
