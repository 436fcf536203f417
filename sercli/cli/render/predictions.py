"""What `ser predict` found in clips: a row for each, or all that there is to say of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sercli.cli.render.console import plain, show, stdout
from sercli.cli.render.tables import new_table
from sercli.cli.render.text import MISSING, blocks, escaped, figure, folder_of, short_names, shorten

_BAR = 24  # cells of the bar of a certain answer
_MEMBERS = {"sound": "sound alone", "language": "words alone"}


def prediction_rows(rows: Sequence[Mapping[str, Any]], *, console: Console | None = None) -> None:
    """Show what `ser predict` found: path, emotion, confidence and a bar for each class.

    With too many classes for the terminal's width the next three are written instead of bars. What all answers leave
    out is said once, below.

    Args:
        rows: objects as of `--json`: "path", "label" (None: no answer), "confidence", "probs" (class -> probability)
            and, where there is something to say, "reason".
        console: instead of stdout.
    """
    console = console or stdout()
    rows, shared = _shared_reason(rows)
    labels = list(dict.fromkeys(label for row in rows for label in row["probs"]))
    paths = [escaped(str(row["path"])) for row in rows]
    widest = max(len("emotion"), *(cell_len(row["label"] or "") for row in rows), 0)
    layout = _Layout.of(paths, labels, room=console.width - widest - len("0.000") - 3 * 2)  # two blanks per gap
    table = new_table("file", "emotion", "conf.", layout.head, left=2)
    table.columns[-1].justify, table.columns[-1].max_width = "left", layout.scores
    for row, path in zip(rows, shorten([path.removeprefix(layout.folder) for path in paths], layout.path), strict=True):
        found = _bars(row, labels, layout.bar) if layout.bar else _likeliest(row)
        table.add_row(Text(path), plain(row["label"] or MISSING), figure(row.get("confidence")), found)
    show(console, *([Text(f"in {layout.folder}")] if layout.folder else []), table, *([shared] if shared else []))


def prediction_card(row: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Show one clip's answer: the emotion, a bar for each class, the words, and what sound and words say by themselves.

    Args:
        row: object as of `--json`.
        console: instead of stdout.
    """
    console = console or stdout()
    probs, label = row["probs"], row["label"]
    answer = plain(label, "bold green") if label else plain(row.get("reason") or MISSING)
    about: list[RenderableType] = [Text(": ").join([plain(str(row["path"])), answer])]
    if probs:
        about.append(Text())
        about.append(_classes(row))
        about.append(Text())
    if row.get("text"):
        about.append(Text("words: ") + said(row))
    if label and row.get("reason"):
        about.append(plain(row["reason"], "dim"))
    show(console, *about)


def said(row: Mapping[str, Any]) -> Text:
    """The words in one line, and how far they can be trusted where that is not fully."""
    words = plain(" ".join((row.get("text") or "").split()))
    trust = row.get("asr_confidence")
    return words if trust in (None, 1) else Text.assemble(words, (f"  (trust {figure(trust, 2)})", "dim"))


def _shared_reason(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], Text | None]:
    """The one reason that all answers have, and the rows without it."""
    reasons = {row.get("reason") for row in rows if row["label"]}
    (reason,) = reasons if len(reasons) == 1 else (None,)
    if reason is None:
        return list(rows), None
    return [{**row, "reason": None} if row["label"] else row for row in rows], plain(reason, "dim")


def _classes(row: Mapping[str, Any]) -> Table:
    """Probability and bar of each class, the likeliest in another colour; each member's own where both were asked."""
    members = {name: row[key] for key, name in _MEMBERS.items() if all(map(row.get, _MEMBERS))}
    table = new_table("emotion", "prob.", "", *members)
    table.columns[2].justify = "left"
    best = max(row["probs"], key=row["probs"].__getitem__)
    for label, p in row["probs"].items():
        style = "bold green" if label == best else "blue"
        bar = Text(blocks(p, _BAR).ljust(_BAR), style)
        table.add_row(plain(label), figure(p), bar, *(figure(own[label]) for own in members.values()))
    return table


@dataclass(frozen=True)
class _Layout:
    """How the width of a prediction table is shared between paths and scores, in characters."""

    path: int
    scores: int
    bar: int  # width of one class's bar; 0: words instead of bars
    head: str
    folder: str  # what all paths begin with and the table leaves out; "" while paths fit

    @classmethod
    def of(cls, paths: Sequence[str], labels: Sequence[str], room: int) -> "_Layout":
        """Paths come first, while bars keep 24 characters together and each the width of its class's short name."""
        short, longest = short_names(labels), max(map(cell_len, paths), default=0)
        least = max(24 // max(len(labels), 3), *map(cell_len, short), 3)
        bar = max(least, min(10, (room - longest + 1) // max(len(labels), 1) - 1))
        scores = len(labels) * (bar + 1) - 1
        if not labels or room - scores < min(longest, 20):
            bar, scores, head = 0, room - min(longest, room // 2), "next likeliest" if labels else ""
        else:
            head = " ".join(set_cell_size(name, bar) for name in short)
        folder = folder_of(paths) if longest > room - scores else ""
        return cls(path=room - scores, scores=scores, bar=bar, head=head, folder=folder)


def _bars(row: Mapping[str, Any], labels: Sequence[str], width: int) -> Text:
    """A bar for each class, the answer's in another colour; then the reason, if one is given."""
    bars = []
    for label in labels if row["probs"] else ():
        style = "bold green" if label == row["label"] else "blue"
        bars.append(Text(blocks(row["probs"].get(label, 0.0), width).ljust(width), style))
    return _with_reason(Text(" ").join(bars), row)


def _likeliest(row: Mapping[str, Any]) -> Text:
    """The three likeliest classes after the answer, in words."""
    others = sorted((-p, label) for label, p in row["probs"].items() if label != row["label"])
    return _with_reason(plain(", ".join(f"{label} {figure(-p)}" for p, label in others[:3])), row)


def _with_reason(found: Text, row: Mapping[str, Any]) -> Text:
    reason = plain(row.get("reason") or "", "dim")
    return Text("\n" if found and reason else "").join([found, reason])
