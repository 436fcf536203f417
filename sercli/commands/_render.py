"""Everything that people see: notes and progress on stderr, results as tables on stdout.

The only module that imports rich; commands import it inside their functions. Names, paths and labels are shown letter
by letter, never read as markup. Each function takes another console where a test or a caller has one.
"""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from sercli.types import EpochResult, Remark, Report

_MISSING = "–"
_ASCII = str.maketrans("–…█▉▊▋▌▍▎▏", "-~#######-")  # for a stream that is not UTF-8
_HEAT = (
    (0.75, "#ffffff on #0068b8"),
    (0.5, "#ffffff on #1f74ad"),
    (0.25, "#ffffff on #3f6f94"),
    (0.1, "#ffffff on #5b6b7a"),
)
"""From which share of a row on a cell has which colour; mid lightness, so that dark and light terminals both do."""


def note(message: str, *, console: Console | None = None) -> None:
    """Say one line on stderr."""
    _show(console or _err(), _plain(_one_line(message)))


def warn(message: str, *, console: Console | None = None) -> None:
    """Say one line on stderr that begins with "warning:"."""
    _show(console or _err(), Text.assemble(("warning: ", "bold yellow"), _plain(_one_line(message))))


@contextmanager
def progress(description: str, total: int | None, *, console: Console | None = None) -> Iterator[Callable[..., None]]:
    """A bar on stderr that goes away at the end; nothing at all where stderr is not a terminal.

    Args:
        description: what is under way.
        total: how many steps there are; None where nobody knows.
        console: instead of stderr.

    Yields:
        `advance(n=1, **fields)`: n steps are done; the fields are shown behind the bar.
    """
    console = console or _err()
    said = TextColumn("{task.fields[said]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), said)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=sys.stdout.isatty()
    ) as bar:  # redirected, results would go where the bar is: away from the file or pipe that stdout is
        task = bar.add_task(_plain(description).plain, total=total, said="")

        def advance(n: int = 1, **fields: object) -> None:
            bar.update(task, advance=n, said=_plain("  ".join(f"{key} {value}" for key, value in fields.items())).plain)

        yield advance


@contextmanager
def training_progress(
    name: str, epochs: int, *, console: Console | None = None
) -> Iterator[Callable[[EpochResult, bool], None]]:
    """Live figures of a training on stderr; where that is no terminal, one plain line every 10th epoch.

    Args:
        name: of the model.
        epochs: upper bound; early stopping may end sooner.
        console: instead of stderr.

    Yields:
        `update(result, best)`: an epoch is over, and whether it is the best so far.
    """
    console = console or _err()
    training = _Training(name, epochs)
    if not console.is_terminal:

        def say(result: EpochResult, best: bool) -> None:
            training.add(result, best)
            if result.epoch % 10 == 0:
                note(f"{name}: {training.line()}", console=console)

        yield say
        return
    redirect = sys.stdout.isatty()
    with Live(training.panel(), console=console, transient=True, auto_refresh=False, redirect_stdout=redirect) as live:

        def draw(result: EpochResult, best: bool) -> None:
            training.add(result, best)
            live.update(training.panel(), refresh=True)

        yield draw


def distribution_table(
    before: Mapping[str, int],
    after: Mapping[str, int],
    mapping: Mapping[str, str | None],
    *,
    console: Console | None = None,
) -> None:
    """Show the class counts of a corpus before and after the choice of labels.

    Args:
        before: count of each native label.
        after: count of each label that the dataset has, in the dataset's order.
        mapping: what each native label becomes; None or missing: left out.
        console: instead of stdout.
    """
    native = _table("label", "n", "share", "", "becomes")
    for label, n in sorted(before.items(), key=lambda item: (-item[1], item[0])):
        native.add_row(_plain(label), *_counted(n, before), _plain(mapping.get(label) or _MISSING))
    chosen = _table("label", "n", "share", "")
    for label, n in after.items():
        chosen.add_row(_plain(label), *_counted(n, after))
    for title, table, counts in (("Before the choice of labels", native, before), ("After it", chosen, after)):
        for column in table.columns[3:]:
            column.justify = "left"
        table.add_section()
        table.add_row("all", str(sum(counts.values())))
        _show(console or _out(), Text(title, "bold"), table)


def dataset_summary(
    facts: Mapping[str, str | int | float | None], remarks: Iterable[Remark], *, console: Console | None = None
) -> None:
    """Show what a prepared dataset holds, and what was skipped or odd, counted by reason with its first example.

    Args:
        facts: name and value, such as {"corpus": "emodb", "utterances": 535, "speakers": 10, "hours": 0.41}.
        remarks: of the corpus reader.
        console: instead of stdout.
    """
    about = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        about.add_row(_plain(name, "bold"), _plain(_value(value, digits=2)))
    _show(console or _out(), about)
    sources: dict[tuple[str, str], list[str]] = {}
    for remark in remarks:
        sources.setdefault((remark.kind, remark.reason), []).append(remark.source)
    if sources:
        table = _table("n", "", "why", "first", left=0)
        for (kind, reason), where in sources.items():
            table.add_row(str(len(where)), kind, _plain(reason), _plain(where[0]))
        for column in table.columns[1:]:
            column.justify = "left"
        _show(console or _out(), Text("Remarks", "bold"), table)


def systems_table(reports: Sequence[Report], baselines: Sequence[Report], *, console: Console | None = None) -> None:
    """Show one row a system and below it one a baseline; the best of several systems is bold."""
    names = ("wa", "ua", "macro_f1", "weighted_f1")
    best = {name: max((getattr(report, name) for report in reports), default=0.0) for name in names}
    table = _table("system", "n", "WA", "UA", "macro-F1", "weighted F1")
    for report in reports:
        cells = [(_value(getattr(report, name)), getattr(report, name) == best[name]) for name in names]
        bold = [Text(text, "bold" if first and len(reports) > 1 else "") for text, first in cells]
        table.add_row(_plain(report.name), str(report.n), *bold)
    table.add_section()
    for report in baselines:
        values = [_value(getattr(report, name)) for name in names]
        table.add_row(_plain(report.name), str(report.n), *values, style="dim")
    _show(console or _out(), table, *_absent([*reports, *baselines]))


def class_table(report: Report, *, console: Console | None = None) -> None:
    """Show count, recall, precision and F1 of each class."""
    table = _table("class", "n", "recall", "precision", "F1")
    for k, label in enumerate(report.labels):
        n, answered = sum(report.confusion[k]), sum(row[k] for row in report.confusion)
        f1 = 2 * report.confusion[k][k] / (n + answered) if n else None
        table.add_row(_plain(label), str(n), _value(report.recall[label]), _value(report.precision[label]), _value(f1))
    _show(console or _out(), _plain(f"Classes of {report.name}", "bold"), table, *_absent([report]))


def confusion_table(report: Report, *, console: Console | None = None) -> None:
    """Show the confusion matrix: rows truth, columns prediction, each cell a count and its share of the row.

    A narrow terminal gets short column names, then shares below counts, then the columns in several tables.
    """
    console = console or _out()
    every = range(len(report.labels))
    short = _short(report.labels)
    title = _plain(f"{report.name}: rows truth, columns prediction", "bold")
    for names, between in ((report.labels, " "), (short, " "), (short, "\n")):
        table = _confusion(report, every, names, between)
        if _fits(table, console):
            _show(console, title, table)
            return
    for columns in _parts(every, lambda part: _fits(_confusion(report, part, short, " "), console)):
        which = _plain(f", {report.labels[columns[0]]} to {report.labels[columns[-1]]}")
        _show(console, title + which, _confusion(report, columns, short, " "))


def prediction_rows(rows: Sequence[Mapping[str, Any]], *, console: Console | None = None) -> None:
    """Show what `ser predict` found: path, emotion, confidence and a bar for each class.

    With too many classes for the terminal's width the next three are written instead of bars.

    Args:
        rows: objects as of `--json`: "path", "label" (None: no answer), "confidence", "probs" (class -> probability)
            and, where there is something to say, "reason".
        console: instead of stdout.
    """
    console = console or _out()
    labels = list(dict.fromkeys(label for row in rows for label in row["probs"]))
    paths = [_plain(str(row["path"])).plain for row in rows]
    widest = max(len("emotion"), *(cell_len(row["label"] or "") for row in rows), 0)
    layout = _Layout.of(paths, labels, room=console.width - widest - len("0.000") - 3 * 2)  # two blanks per gap
    table = _table("file", "emotion", "conf.", layout.head, left=2)
    table.columns[-1].justify, table.columns[-1].max_width = "left", layout.scores
    for row, path in zip(rows, shorten([path.removeprefix(layout.folder) for path in paths], layout.path), strict=True):
        found = _bars(row, labels, layout.bar) if layout.bar else _likeliest(row)
        table.add_row(Text(path), _plain(row["label"] or _MISSING), _value(row.get("confidence")), found)
    _show(console, *([Text(f"in {layout.folder}")] if layout.folder else []), table)


def trials_table(rows: Sequence[Mapping[str, Any]], *, console: Console | None = None) -> None:
    """Show the trials of a search, best first.

    Args:
        rows: in the order to show them: "value" (None: none), "state" and "params" (name -> value).
        console: instead of stdout.
    """
    table = _table("rank", "value", "state", "parameters", left=0)
    table.columns[2].justify = table.columns[3].justify = "left"
    for rank, row in enumerate(rows, start=1):
        settings = "  ".join(f"{name}={_setting(value)}" for name, value in row["params"].items())
        table.add_row(str(rank), _value(row["value"]), _plain(row["state"]), _plain(settings or _MISSING))
    _show(console or _out(), Text("Best trials", "bold"), table)


def shorten(paths: Sequence[str], width: int) -> list[str]:
    """Cut the middle out of what is wider than `width`; different paths that would then look alike stay whole.

    >>> shorten(["corpus/actor/clip.wav", "a.wav"], 12)
    ['corp…lip.wav', 'a.wav']
    >>> shorten(["corpus/a1/clip.wav", "corpus/a2/clip.wav"], 12)
    ['corpus/a1/clip.wav', 'corpus/a2/clip.wav']
    """
    tail = 2 * (width - 1) // 3
    alike: dict[str, set[str]] = {}
    cut = []
    for path in paths:
        if cell_len(path) > width > 3:
            cut.append(f"{set_cell_size(path, width - 1 - tail)}…{set_cell_size(path[::-1], tail)[::-1]}")
        else:
            cut.append(path)
        alike.setdefault(cut[-1], set()).add(path)
    return [look if len(alike[look]) == 1 else path for path, look in zip(paths, cut, strict=True)]


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
        short, longest = _short(labels), max(map(cell_len, paths), default=0)
        least = max(24 // max(len(labels), 3), *map(cell_len, short), 3)
        bar = max(least, min(10, (room - longest + 1) // max(len(labels), 1) - 1))
        scores = len(labels) * (bar + 1) - 1
        if not labels or room - scores < min(longest, 20):
            bar, scores, head = 0, room - min(longest, room // 2), "next likeliest" if labels else ""
        else:
            head = " ".join(set_cell_size(name, bar) for name in short)
        folder = _folder(paths) if longest > room - scores else ""
        return cls(path=room - scores, scores=scores, bar=bar, head=head, folder=folder)


class _Training:
    """What the figures of a training are so far, and how they look."""

    def __init__(self, name: str, epochs: int) -> None:
        self.name, self.epochs = name, epochs
        self.last: EpochResult | None = None
        self.best: EpochResult | None = None
        self.seconds: list[float] = []

    def add(self, result: EpochResult, best: bool) -> None:
        self.last = result
        self.best = result if best else self.best
        self.seconds.append(result.seconds)

    def figures(self) -> list[str]:
        train, valid, uar = (
            (self.last.train_loss, self.last.valid_loss, self.last.valid_uar) if self.last else [None] * 3
        )
        best = f"{_value(self.best.valid_uar)} (epoch {self.best.epoch})" if self.best else _MISSING
        return [
            f"train loss {_value(train)}",
            f"valid loss {_value(valid)}",
            f"valid UA {_value(uar)}",
            f"best UA {best}",
        ]

    def left(self) -> str:
        if self.last is None:
            return ""
        seconds = sum(self.seconds) / len(self.seconds) * (self.epochs - self.last.epoch)
        return f"at most {timedelta(seconds=round(seconds))} left"

    def line(self) -> str:
        assert self.last is not None
        return ", ".join([f"epoch {self.last.epoch}/{self.epochs}", *self.figures(), self.left()])

    def panel(self) -> RenderableType:
        epoch = self.last.epoch if self.last else 0
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self.epochs, completed=epoch, width=24)
        head.add_row(_plain(self.name, "bold"), bar, f"{epoch}/{self.epochs}", self.left())
        return Group(head, Text("  ".join(self.figures())))


@cache
def _out() -> Console:
    return Console(highlight=False)


@cache
def _err() -> Console:
    return Console(stderr=True, highlight=False)  # one for all: it prints above a live display instead of through it


def _show(console: Console, *renderables: RenderableType) -> None:
    """Print; on a stream that is not UTF-8 with plain characters, and escapes for what it cannot hold."""
    if console.options.ascii_only:
        with console.capture() as captured:
            _print(console, renderables)
        text = captured.get().translate(_ASCII)
        console.file.write(text.encode(console.encoding, "backslashreplace").decode(console.encoding))
    else:
        _print(console, renderables)


def _print(console: Console, renderables: Sequence[RenderableType]) -> None:
    """Sentences are one line, however long; what holds a table ends with a blank line."""
    for renderable in renderables:
        console.print(renderable, soft_wrap=isinstance(renderable, Text))
    if any(isinstance(renderable, Table) for renderable in renderables):
        console.print()


def _plain(text: str, style: str = "") -> Text:
    """Text as it stands: no markup; control characters and lone surrogates (odd file names) become escapes."""
    odd = {"Cc", "Cs", "Zl", "Zp"}
    return Text("".join(ascii(c)[1:-1] if unicodedata.category(c) in odd else c for c in text), style)


def _one_line(message: str) -> str:
    return " ".join(message.splitlines())


def _value(value: str | int | float | None, digits: int = 3) -> str:
    if value is None or value != value:  # NaN is the only value that differs from itself
        return _MISSING
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _setting(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(*columns: str, left: int = 1) -> Table:
    """A table whose first `left` columns are words and whose other ones are numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for k, name in enumerate(columns):
        table.add_column(_plain(name), justify="left" if k < left else "right", overflow="fold")
    return table


def _counted(n: int, counts: Mapping[str, int]) -> list[RenderableType]:
    """The cells count, share and bar, the bar as a part of the largest count's."""
    share = n / max(sum(counts.values()), 1)
    percent = f"{share:.1%}" if share >= 0.0005 or not n else "<0.1%"
    return [str(n), percent, Text(_blocks(n / max(*counts.values(), 1), 12).ljust(12), "blue")]


def _blocks(share: float, width: int) -> str:
    """A bar in eighths of a character."""
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _absent(reports: Iterable[Report]) -> list[RenderableType]:
    """The sentence that says which classes the averages leave out."""
    names = dict.fromkeys(label for r in reports for label in r.labels if r.recall[label] is None)
    if not names:
        return []
    return [_plain(f"UA and macro-F1 leave out {', '.join(names)}: no utterance here has this label.", "dim")]


def _short(labels: Sequence[str]) -> list[str]:
    """The shortest beginnings, of three letters at least, that no other label shares."""
    lengths = [
        next((n for n in range(3, len(label)) if not any(o.startswith(label[:n]) for o in labels if o != label)), None)
        for label in labels
    ]
    return [label[:n] for label, n in zip(labels, lengths, strict=True)]


def _confusion(report: Report, columns: Sequence[int], names: Sequence[str], between: str) -> Table:
    """Some columns of the confusion matrix, with `between` a count and its share."""
    table = _table("", *(names[k] for k in columns), "n")
    for column in table.columns:
        column.no_wrap = True
    for row, label in enumerate(report.labels):
        counts = report.confusion[row]
        cells = [_heat(counts[k], sum(counts), between, diagonal=k == row) for k in columns]
        table.add_row(_plain(label), *cells, str(sum(counts)))
    return table


def _heat(count: int, total: int, between: str, *, diagonal: bool) -> Text:
    """One cell of the confusion matrix; a few of many are not called 0 %."""
    share = count / total if total else 0.0
    percent = _MISSING if not total else "<1%" if 0 < share < 0.005 else f"{share:.0%}"
    colour = next((style for least, style in _HEAT if share >= least), "" if count else "dim")
    return Text(f"{count}{between}{percent:>4}", f"bold {colour}" if diagonal else colour, justify="right")


def _fits(table: Table, console: Console) -> bool:
    unbounded = console.options.update(max_width=100_000)
    return Measurement.get(console, unbounded, table).maximum <= console.width


def _parts(columns: Sequence[int], fits: Callable[[Sequence[int]], bool]) -> Iterator[Sequence[int]]:
    """Consecutive columns, in each part as many as fit, one at least."""
    while columns:
        size = next((n for n in range(len(columns), 1, -1) if fits(columns[:n])), 1)
        yield columns[:size]
        columns = columns[size:]


def _bars(row: Mapping[str, Any], labels: Sequence[str], width: int) -> Text:
    """A bar for each class, the answer's in another colour; then the reason, if one is given."""
    bars = []
    for label in labels if row["probs"] else ():
        style = "bold green" if label == row["label"] else "blue"
        bars.append(Text(_blocks(row["probs"].get(label, 0.0), width).ljust(width), style))
    return _with_reason(Text(" ").join(bars), row)


def _likeliest(row: Mapping[str, Any]) -> Text:
    """The three likeliest classes after the answer, in words."""
    others = sorted((-p, label) for label, p in row["probs"].items() if label != row["label"])
    return _with_reason(_plain(", ".join(f"{label} {_value(-p)}" for p, label in others[:3])), row)


def _with_reason(found: Text, row: Mapping[str, Any]) -> Text:
    reason = _plain(row.get("reason") or "", "dim")
    return Text("\n" if found and reason else "").join([found, reason])


def _folder(paths: Sequence[str]) -> str:
    """The folder that several paths share, with its separator; "" where there is none."""
    folders = [os.path.dirname(path) for path in paths]  # noqa: PTH120 - as the user wrote them
    if len(paths) < 2 or len({os.path.isabs(folder) for folder in folders}) > 1:  # noqa: PTH117
        return ""
    common = os.path.commonpath(folders) if all(folders) else ""
    return f"{common}{os.sep}" if common and all(path.startswith(common + os.sep) for path in paths) else ""
