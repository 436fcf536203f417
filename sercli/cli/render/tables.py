"""Results as tables on stdout: datasets, scores, confusion matrices, trials."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sercli.cli.render.console import plain, show, stdout
from sercli.cli.render.text import MISSING, blocks, figure, short_names
from sercli.types import Remark, Report

if TYPE_CHECKING:
    from sercli.evaluation.results import Review, Standing

_INTERVAL = 3  # the place of the interval among the figures of a review

_HEAT = (
    (0.75, "#ffffff on #0068b8"),
    (0.5, "#ffffff on #1f74ad"),
    (0.25, "#ffffff on #3f6f94"),
    (0.1, "#ffffff on #5b6b7a"),
)
"""From which share of a row on a cell has which colour; mid lightness, so that dark and light terminals both do."""

_FIGURES = ("wa", "ua", "macro_f1", "weighted_f1")


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
    native = new_table("label", "n", "share", "", "becomes")
    for label, n in sorted(before.items(), key=lambda item: (-item[1], item[0])):
        native.add_row(plain(label), *_counted(n, before), plain(mapping.get(label) or MISSING))
    chosen = new_table("label", "n", "share", "")
    for label, n in after.items():
        chosen.add_row(plain(label), *_counted(n, after))
    for title, table, counts in (("Before the choice of labels", native, before), ("After it", chosen, after)):
        for column in table.columns[3:]:
            column.justify = "left"
        table.add_section()
        table.add_row("all", str(sum(counts.values())))
        show(console or stdout(), Text(title, "bold"), table)


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
        about.add_row(plain(name, "bold"), plain(figure(value, digits=2)))
    show(console or stdout(), about)
    sources: dict[tuple[str, str], list[str]] = {}
    for remark in remarks:
        sources.setdefault((remark.kind, remark.reason), []).append(remark.source)
    if sources:
        table = new_table("n", "", "why", "first", left=0)
        for (kind, reason), where in sources.items():
            table.add_row(str(len(where)), kind, plain(reason), plain(where[0]))
        for column in table.columns[1:]:
            column.justify = "left"
        show(console or stdout(), Text("Remarks", "bold"), table)


def systems_table(
    reports: Sequence[Report], baselines: Sequence[Report], *, title: str, console: Console | None = None
) -> None:
    """Show one row a system and below it one a baseline; the best of several systems is bold."""
    names = _FIGURES
    best = {name: max((getattr(report, name) for report in reports), default=0.0) for name in names}
    table = new_table("system", "n", "WA", "UA", "macro-F1", "weighted F1")
    for report in reports:
        cells = [(figure(getattr(report, name)), getattr(report, name) == best[name]) for name in names]
        bold = [Text(text, "bold" if first and len(reports) > 1 else "") for text, first in cells]
        table.add_row(plain(report.name), str(report.n), *bold)
    table.add_section()
    for report in baselines:
        values = [figure(getattr(report, name)) for name in names]
        table.add_row(plain(report.name), str(report.n), *values, style="dim")
    show(console or stdout(), Text(title, "bold"), table, *_absent([*reports, *baselines]))


def review_table(review: "Review", headline: str, *, console: Console | None = None) -> None:
    """Show one row a system with the interval of its UA, the baselines below, and the answer in a sentence.

    Acoustic systems, linguistic ones and ensembles stand apart, in each the one with the highest UA first. What only
    some evaluations have gets a column only there: the deviation over seeds, the original study's WA.
    """
    systems = review.systems
    seeds, published = any(s.n_seeds > 1 for s in systems), any(s.published is not None for s in systems)
    extra = [*(["± seeds"] if seeds else []), *(["orig. WA"] if published else [])]
    table = new_table("system", "n", "WA", "UA", "95 % of UA", "macro F1", "wght. F1", "ECE", *extra)
    best = {name: max(getattr(s, name).value for s in systems) for name in _FIGURES}
    for modality in ("acoustic", "linguistic", "both"):
        for s in systems:
            if s.modality == modality:
                more = [*([figure(s.ua.deviation)] if seeds else []), *([figure(s.published)] if published else [])]
                table.add_row(*_standing(s, best if len(systems) > 1 else {}), *more)
        table.add_section()
    for report in review.baselines:
        wa, ua, macro, weighted = (figure(getattr(report, name)) for name in _FIGURES)
        table.add_row(plain(report.name), str(report.n), wa, ua, "", macro, weighted, "", style="dim")
    console = console or stdout()
    if not _fits(table, console):
        _narrow(table)
    absent = _absent([*(s.report for s in systems), *review.baselines])
    where = plain(f"{review.data.get('corpus', '')}: {_division(review)}", "dim")
    show(console, where, table, *absent, plain(headline, "bold"))
    if published:
        show(console, plain("orig. WA: the original study's, on session 5, with a leaky validation part.", "dim"))


def _narrow(table: Table) -> None:
    """Fold the heads of a review, and names where that is not enough, but never figures."""
    table.padding = (0, 0, 0, 0)
    for place, column in enumerate(table.columns[1:]):
        column.width = len("0.000–0.000" if place == _INTERVAL else "0.000")


def _standing(standing: "Standing", best: Mapping[str, float]) -> list[RenderableType]:
    """The cells of one system; what is best of all is bold."""
    wa, ua, macro, weighted = (
        Text(figure(getattr(standing, name).value), "bold" if getattr(standing, name).value == best.get(name) else "")
        for name in _FIGURES
    )
    interval = f"{standing.ua.low:.3f}–{standing.ua.high:.3f}"
    n = str(standing.report.n // standing.n_seeds)
    return [plain(standing.name), n, wa, ua, interval, macro, weighted, figure(standing.after.ece)]


def _division(review: "Review") -> str:
    """How the test part came to be, in a few words."""
    known = ("split", "folds", "fold", "seeds")
    found = [f"{name} {review.protocol[name]}" for name in known if name in review.protocol]
    return ", ".join(found) or str(review.protocol.get("test part", ""))


def class_table(report: Report, *, console: Console | None = None) -> None:
    """Show count, recall, precision and F1 of each class."""
    table = new_table("class", "n", "recall", "precision", "F1")
    for k, label in enumerate(report.labels):
        n, answered = sum(report.confusion[k]), sum(row[k] for row in report.confusion)
        f1 = 2 * report.confusion[k][k] / (n + answered) if n else None
        table.add_row(plain(label), str(n), figure(report.recall[label]), figure(report.precision[label]), figure(f1))
    show(console or stdout(), plain(f"Classes of {report.name}", "bold"), table, *_absent([report]))


def confusion_table(report: Report, *, console: Console | None = None) -> None:
    """Show the confusion matrix: rows truth, columns prediction, each cell a count and its share of the row.

    A narrow terminal gets short column names, then shares below counts, then the columns in several tables.
    """
    console = console or stdout()
    every = range(len(report.labels))
    short = short_names(report.labels)
    title = plain(f"{report.name}: rows truth, columns prediction", "bold")
    for names, between in ((report.labels, " "), (short, " "), (short, "\n")):
        table = _confusion(report, every, names, between)
        if _fits(table, console):
            show(console, title, table)
            return
    for columns in _parts(every, lambda part: _fits(_confusion(report, part, short, " "), console)):
        which = plain(f", {report.labels[columns[0]]} to {report.labels[columns[-1]]}")
        show(console, title + which, _confusion(report, columns, short, " "))


def trials_table(rows: Sequence[Mapping[str, Any]], *, console: Console | None = None) -> None:
    """Show the trials of a search, best first.

    Args:
        rows: in the order to show them: "value" (None: none), "state" and "params" (name -> value).
        console: instead of stdout.
    """
    table = new_table("rank", "value", "state", "parameters", left=0)
    table.columns[2].justify = table.columns[3].justify = "left"
    for rank, row in enumerate(rows, start=1):
        settings = "  ".join(f"{name}={_setting(value)}" for name, value in row["params"].items())
        table.add_row(str(rank), figure(row["value"]), plain(row["state"]), plain(settings or MISSING))
    show(console or stdout(), Text("Best trials", "bold"), table)


def new_table(*columns: str, left: int = 1) -> Table:
    """A table whose first `left` columns are words and whose other ones are numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for k, name in enumerate(columns):
        table.add_column(plain(name), justify="left" if k < left else "right", overflow="fold")
    return table


def _setting(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _counted(n: int, counts: Mapping[str, int]) -> list[RenderableType]:
    """The cells count, share and bar, the bar as a part of the largest count's."""
    share = n / max(sum(counts.values()), 1)
    percent = f"{share:.1%}" if share >= 0.0005 or not n else "<0.1%"
    return [str(n), percent, Text(blocks(n / max(*counts.values(), 1), 12).ljust(12), "blue")]


def _absent(reports: Iterable[Report]) -> list[RenderableType]:
    """The sentence that says which classes the averages leave out."""
    names = dict.fromkeys(label for r in reports for label in r.labels if r.recall[label] is None)
    if not names:
        return []
    return [plain(f"UA and macro-F1 leave out {', '.join(names)}: no utterance here has this label.", "dim")]


def _confusion(report: Report, columns: Sequence[int], names: Sequence[str], between: str) -> Table:
    """Some columns of the confusion matrix, with `between` a count and its share."""
    table = new_table("", *(names[k] for k in columns), "n")
    for column in table.columns:
        column.no_wrap = True
    for row, label in enumerate(report.labels):
        counts = report.confusion[row]
        cells = [_heat(counts[k], sum(counts), between, diagonal=k == row) for k in columns]
        table.add_row(plain(label), *cells, str(sum(counts)))
    return table


def _heat(count: int, total: int, between: str, *, diagonal: bool) -> Text:
    """One cell of the confusion matrix; a few of many are not called 0 %."""
    share = count / total if total else 0.0
    percent = MISSING if not total else "<1%" if 0 < share < 0.005 else f"{share:.0%}"
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
