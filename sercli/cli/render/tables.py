"""Results as tables on stdout: datasets, metrics, confusion matrices, trials."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from textwrap import fill
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sercli._system.text import MISSING
from sercli.cli.render import console as streams
from sercli.cli.render.console import bar, figure, new_table, plain, short_names, show
from sercli.evaluation.metrics import METRICS, as_count
from sercli.types import Remark, Report

if TYPE_CHECKING:
    from sercli.evaluation.results import Evaluation, SystemResult
    from sercli.training.tuning import Trials

_METRIC_OF = {"WA": "wa", "UA": "ua", "macro-F1": "macro_f1", "weighted F1": "weighted_f1"}  # of the columns
_SPARED = ("ECE", "weighted F1", "macro-F1", "n", "± seeds")  # columns left out on a narrow terminal, in this order
_BAR = 3  # the column of the bar in a table of classes, left out on a narrow terminal
_SHORT_NAME = 12  # characters in a line of a system's name, at least
_INTERVAL = "95 % of UA"

# Minimum share of a row for each colour; medium lightness, readable on dark and light terminals.
_HEAT = (
    (0.75, "#ffffff on #0068b8"),
    (0.5, "#ffffff on #1f74ad"),
    (0.25, "#ffffff on #3f6f94"),
    (0.1, "#ffffff on #5b6b7a"),
)


def distribution_table(before: Mapping[str, int], after: Mapping[str, int], mapping: Mapping[str, str | None]) -> None:
    """Show the class counts of a corpus before and after labels were mapped.

    Args:
        before: count of each native label.
        after: count of each label of the dataset, in its order.
        mapping: native label -> label of the dataset; None or missing: left out.
    """
    native = new_table("label", "n", "share", "", "becomes", sides="lrrll")
    for label, n in sorted(before.items(), key=lambda item: (-item[1], item[0])):
        native.add_row(plain(label), *_counted(n, before), plain(mapping.get(label) or MISSING))
    chosen = new_table("label", "n", "share", "", sides="lrrl")
    for label, n in after.items():
        chosen.add_row(plain(label), *_counted(n, after))
    for title, table, counts in (("Labels of the corpus", native, before), ("Labels of the dataset", chosen, after)):
        table.add_section()
        table.add_row("all", str(sum(counts.values())))
        if not _fits(table):
            table.columns.pop(_BAR)
        show(Text(title, "bold"), table)


def dataset_summary(facts: Mapping[str, str | int | float | None], remarks: Iterable[Remark]) -> None:
    """Show the facts of a prepared dataset, and its remarks counted by reason with the first example.

    Args:
        facts: name and value, such as {"corpus": "emodb", "utterances": 535, "speakers": 10, "hours": 0.41}.
        remarks: of the corpus reader.
    """
    about = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        about.add_row(plain(name, "bold"), plain(figure(value, digits=2)))
    show(about)
    if found := counted(remarks):
        table = new_table("n", "", "why", "first", sides="rlll")
        for n, kind, reason, first in found:
            table.add_row(str(n), kind, plain(reason), plain(first))
        show(Text("Remarks", "bold"), table)


def counted(remarks: Iterable[Remark]) -> list[tuple[int, str, str, str]]:
    """Return the number, kind, reason and first source of remarks, for each reason."""
    sources: dict[tuple[str, str], list[str]] = {}
    for remark in remarks:
        sources.setdefault((remark.kind, remark.reason), []).append(remark.source)
    return [(len(where), kind, reason, where[0]) for (kind, reason), where in sources.items()]


def systems_table(reports: Sequence[Report], baselines: Sequence[Report], *, title: str) -> None:
    """Show one row per system, then one per baseline; the best of several systems is bold."""
    table = _scores(_METRIC_OF, [reports], baselines)
    show(Text(title, "bold"), table, *_notes(table, reports, baselines))


def evaluation_table(evaluation: "Evaluation", headline: str, *, remark: str = "") -> None:
    """Show one row per system with the interval of its UA, then one per baseline, a remark, and the headline.

    Systems of one modality are together, in falling order of UA. The deviation over seeds has a column only where there
    are some.
    """
    reports = [system.report for system in evaluation.systems]
    modalities = sorted({s.modality for s in evaluation.systems}, key=lambda name: (name == "both", name))
    groups = [[s for s in evaluation.systems if s.modality == modality] for modality in modalities]
    seeds = ["± seeds"] if any(report.n_seeds > 1 for report in reports) else []
    columns = ("WA", "UA", _INTERVAL, "macro-F1", "weighted F1", "ECE", *seeds)
    table = _scores(columns, groups, evaluation.baselines)
    if not _fits(table):
        _narrow(table)
    where = plain(f"{evaluation.data.get('corpus', '')}: {_division(evaluation)}", "dim")
    notes = [*_notes(table, reports, evaluation.baselines), *([plain(remark)] if remark else [])]
    show(where, table, *notes, plain(headline, "bold"))
    compared = [(s.name, s.published) for s in evaluation.systems if s.published]
    if compared:
        from sercli.evaluation.published import SOURCE

        beside = new_table("system", "n", "WA", "published WA")
        for name, found in compared:
            beside.add_row(plain(name), str(found.ours.n), figure(found.ours.wa), figure(found.wa))
        title = "Session 5 alone, beside the original study, whose validation part shares speakers with its train part"
        show(plain(title, "bold"), beside, plain(SOURCE, "dim"))


def _scores(
    columns: Iterable[str], groups: Sequence[Sequence["Report | SystemResult"]], baselines: Iterable[Report]
) -> Table:
    """A row for each system, the groups apart, then one for each baseline; the best of several systems is bold."""
    columns, systems = tuple(columns), list(chain(*groups))
    best = {name: max(_value(one, name) for one in systems) for name in METRICS} if len(systems) > 1 else {}
    table = new_table("system", "n", *columns)
    for group in groups:
        for one in group:
            n = one.n if isinstance(one, Report) else one.report.n
            table.add_row(plain(one.name), str(n), *(_cell(one, column, best) for column in columns))
        table.add_section()
    for report in baselines:
        cells = (_cell(report, column, {}) for column in columns)
        table.add_row(plain(report.name), str(report.n), *cells, style="dim")
    return table


def _cell(of: "Report | SystemResult", column: str, best: Mapping[str, float]) -> Text:
    """A cell of a table of systems; empty where a report alone does not tell."""
    if name := _METRIC_OF.get(column):
        value = _value(of, name)
        return Text(figure(value), "bold" if value == best.get(name) else "")
    if isinstance(of, Report):
        return Text()
    if column == _INTERVAL:
        return Text(f"{of.ua.low:.3f}–{of.ua.high:.3f}")
    return Text(figure(of.after.ece if column == "ECE" else of.ua.deviation))


def _value(of: "Report | SystemResult", name: str) -> float:
    metric = getattr(of, name)  # a number, or an estimate
    return float(getattr(metric, "value", metric))


def _narrow(table: Table) -> None:
    """Fold the heads of a table of systems at blanks and hyphens, but never numbers."""
    table.padding = (0, 0, 0, 0)
    for column in table.columns[1:]:
        head = str(column.header)
        words = ["0.000–0.000"] if head == _INTERVAL else ["0.000", *head.replace("-", "- ").split()]
        column.width = max(map(len, words))


def _notes(table: Table, reports: Sequence[Report], baselines: Sequence[Report]) -> list[RenderableType]:
    """Sentences below a table of systems, without those columns that the terminal is too narrow for."""
    left_out = []
    columns = {str(column.header): column for column in table.columns}
    names = [cell for cell in columns["system"].cells if isinstance(cell, Text)]
    longest = max(map(len, names))
    for name in _SPARED:
        if name in columns and _too_wide(table) > max(longest - _SHORT_NAME, 0):
            table.columns.remove(columns[name])
            left_out.append(name)
    if (surplus := _too_wide(table)) > 0:
        for text in names:
            text.plain = fill(text.plain, longest - surplus)  # at hyphens, where there are some
    narrow = [plain(f"Left out on a narrow terminal: {', '.join(left_out)}.", "dim")] if left_out else []
    return [*narrow, *_absent([*reports, *baselines]), *_all_classes(reports)]


def _division(evaluation: "Evaluation") -> str:
    """The origin of the test part in a few words."""
    protocol = evaluation.protocol
    found = [f"{name} {protocol[name]}" for name in ("split", "folds", "fold", "seeds") if name in protocol]
    return ", ".join(found) or str(protocol.get("test part", ""))


def class_table(report: Report) -> None:
    """Show count, recall, precision and F1 of each class."""
    table = new_table("class", "n", "recall", "precision", "F1")
    for label, counts in zip(report.labels, report.confusion, strict=True):
        values = (figure(of_class[label]) for of_class in (report.recall, report.precision, report.f1))
        table.add_row(plain(label), as_count(sum(counts)), *values)
    show(plain(f"Classes of {report.name}{_seeds(report)}", "bold"), table, *_absent([report]))


def confusion_table(report: Report) -> None:
    """Show the confusion matrix: rows truth, columns prediction, in each cell a count and its share of the row.

    On a narrow terminal column names get shorter, then shares go below counts, then the columns into several tables.
    """
    every = range(len(report.labels))
    short = short_names(report.labels)
    title = plain(f"{report.name}: rows truth, columns prediction{_seeds(report)}", "bold")
    for names, between in ((report.labels, " "), (short, " "), (short, "\n")):
        table = _confusion(report, every, names, between)
        if _fits(table):
            show(title, table)
            return
    for columns in _parts(every, lambda part: _fits(_confusion(report, part, short, " "))):
        which = plain(f", {report.labels[columns[0]]} to {report.labels[columns[-1]]}")
        show(title + which, _confusion(report, columns, short, " "))


def _seeds(report: Report) -> str:
    return f", mean over {report.n_seeds} seeds" if report.n_seeds > 1 else ""


def trials_table(trials: "Trials") -> None:
    """Show the trials of a search in their order, best first."""
    table = new_table("rank", "valid UA", "state", "parameters", sides="rrll")
    for rank, trial in enumerate(trials, start=1):
        settings = "  ".join(f"{name}={_setting(value)}" for name, value in trial.params.items())
        table.add_row(str(rank), figure(trial.value), plain(trial.state.name.lower()), plain(settings or MISSING))
    console, below = streams.stdout(), []
    if Measurement.get(console, console.options.update(max_width=100_000), table).minimum > console.width:
        cells = table.columns.pop().cells
        below = [Text(f"{rank}: ") + cell for rank, cell in enumerate(cells, start=1) if isinstance(cell, Text)]
    show(Text("Best trials", "bold"), table, *below)


def _setting(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _counted(n: int, counts: Mapping[str, int]) -> list[RenderableType]:
    """The cells count, share and bar, the bar relative to the largest count."""
    share = n / max(sum(counts.values()), 1)
    percent = f"{share:.1%}" if share >= 0.0005 or not n else "<0.1%"
    return [str(n), percent, bar(n / max(*counts.values(), 1), 12)]


def _absent(reports: Iterable[Report]) -> list[RenderableType]:
    """A sentence that names the classes that the averages leave out, if any."""
    names = ", ".join(dict.fromkeys(label for r in reports for label in r.labels if r.recall[label] is None))
    return [plain(f"UA and macro-F1 leave out {names}: no utterance here has this label.", "dim")] if names else []


def _all_classes(reports: Sequence[Report]) -> list[RenderableType]:
    """A sentence with macro-F1 over all classes, predicted ones too, if it is another for any system."""
    if all(figure(r.macro_f1) == figure(r.macro_f1_all) for r in reports):
        return []
    values = ", ".join(f"{r.name} {figure(r.macro_f1_all)}" for r in reports)
    what = "with classes that are predicted but do not occur (as scikit-learn has it)"
    return [plain(f"macro-F1 {what}: {values}.", "dim")]


def _confusion(report: Report, columns: Sequence[int], names: Sequence[str], between: str) -> Table:
    """The chosen columns of the confusion matrix, with `between` between a count and its share."""
    table = new_table("", *(names[k] for k in columns), "n")
    for column in table.columns:
        column.no_wrap = True
    for row, label in enumerate(report.labels):
        counts = report.confusion[row]
        cells = [_heat(counts[k], sum(counts), between, diagonal=k == row) for k in columns]
        table.add_row(plain(label), *cells, as_count(sum(counts)))
    return table


def _heat(count: float, total: float, between: str, *, diagonal: bool) -> Text:
    """One cell of the confusion matrix; a small share is <1% and not 0%."""
    share = count / total if total else 0.0
    percent = MISSING if not total else "<1%" if 0 < share < 0.005 else f"{share:.0%}"
    colour = next((style for least, style in _HEAT if share >= least), "" if count else "dim")
    return Text(f"{as_count(count)}{between}{percent:>4}", f"bold {colour}" if diagonal else colour, justify="right")


def _fits(table: Table) -> bool:
    return _too_wide(table) <= 0


def _too_wide(table: Table) -> int:
    """The characters by which a table is wider than the terminal; negative: narrower."""
    console = streams.stdout()
    return Measurement.get(console, console.options.update(max_width=100_000), table).maximum - console.width


def _parts(columns: Sequence[int], fits: Callable[[Sequence[int]], bool]) -> Iterator[Sequence[int]]:
    """Consecutive columns, as many in each part as fit, at least one."""
    while columns:
        size = next((n for n in range(len(columns), 1, -1) if fits(columns[:n])), 1)
        yield columns[:size]
        columns = columns[size:]
