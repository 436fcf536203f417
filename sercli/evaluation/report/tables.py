"""The figures of a review for papers (LaTeX) and for further analysis (one tidy CSV)."""

import csv
import io
import math
from collections.abc import Iterator, Sequence

from sercli.evaluation.report.numbers import MISSING, percent
from sercli.evaluation.results import Calibration, Difference, Figure, Review, Slice, Standing
from sercli.types import Report

COLUMNS = ("system", "against", "by", "of", "figure", "value", "low", "high", "deviation", "n")
"""Of the CSV: see `csv_table`."""

_FIGURES = {"ua": "UA", "wa": "WA", "macro_f1": "Macro-F1", "weighted_f1": "Weighted F1"}
_WHOLE = (
    "ua",
    "wa",
)  # the figures that a paper's table has with interval and deviation: with more it would be too wide
# "[" and "*" after the end of a row would be read as arguments of it.
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
        MISSING: "--",
        "−": "$-$",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
Row = dict[str, str | int | float | None]


def latex(review: Review) -> str:
    r"""Two tables for a paper, with the rules of booktabs: the results with intervals, the recall of each class.

    The document needs `\usepackage{booktabs}`, and for names beyond ASCII a compiler that reads UTF-8.
    """
    note = f"% Needs \\usepackage{{booktabs}}. Made by: {_one_line(review.command)}"
    return "\n".join([note, _results(review), _recalls(review)])


def csv_table(review: Review) -> str:
    """All figures in one long table, a figure a row; shares are fractions, cells without meaning are empty.

    - `system`: whose figure it is; baselines have their rows too.
    - `against`: of a difference the second system; the value is that of `system` minus it.
    - `by`, `of`: on which utterances: empty for all, else "class" and a class or what a slice has in common and its
      value.
    - `figure`: ua, wa, macro_f1, weighted_f1; recall and precision of a class, answered:X for how many of a class were
      called X; ece, nll, brier with the temperature, ece_before, ... without it; ua and wa of slices and differences;
      p_ua, p_holm, p_mcnemar of differences; published_wa; word_error_rate, whose system is a recogniser.
    - `value`, `low`, `high` (95 % interval), `deviation` (over seeds), `n` (utterances; over seeds: summed).
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in _rows(review):
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue()


def escaped(text: str) -> str:
    r"""Text that LaTeX sets as it is.

    >>> escaped("50 % of {a_b}")
    '50 \\% of \\{a\\_b\\}'
    """
    return _one_line(text).translate(_ESCAPES)


def _results(review: Review) -> str:
    """Systems above, baselines below a rule; accuracies with intervals and, over several seeds, deviations."""
    published = any(system.published is not None for system in review.systems)
    head = ["System", *_FIGURES.values(), *(["Published WA"] if published else [])]
    rows = [
        [
            escaped(s.name),
            *(_cell_of(getattr(s, name), whole=name in _WHOLE) for name in _FIGURES),
            *([percent(s.published)] * published),
        ]
        for s in review.systems
    ]
    below = [
        [escaped(b.name), *(percent(getattr(b, name)) for name in _FIGURES), *([MISSING] * published)]
        for b in review.baselines
    ]
    over = [f"{key.replace('_', ' ')}: {value}" for key, value in review.protocol.items() if "sha256" not in key]
    seeded = any(system.n_seeds > 1 for system in review.systems)
    caption = (
        f"{escaped(review.question)} In \\%; in brackets the 95\\,\\% interval"
        f"{', after the sign the standard deviation over seeds' if seeded else ''}. {escaped('; '.join(over))}."
        + (" Leaky: parts share speakers." if review.leaky else "")
    )
    return _table(caption, "results", head, rows, below)


def _recalls(review: Review) -> str:
    """Classes as columns or as rows, whichever makes the narrower table."""
    names = [escaped(system.name) for system in review.systems]
    labels = [escaped(label) for label in review.labels]
    cells = [[percent(system.report.recall[label]) for label in review.labels] for system in review.systems]
    if _width(names, labels) <= _width(labels, names):
        head, rows = ["System", *labels], [[name, *values] for name, values in zip(names, cells, strict=True)]
    else:
        turned = zip(labels, zip(*cells, strict=True), strict=True)
        head, rows = ["Class", *names], [[label, *values] for label, values in turned]
    return _table("Recall of each class in \\%.", "recall", head, rows, [])


def _width(rows: Sequence[str], columns: Sequence[str]) -> int:
    """About how many letters wide a table of percentages is."""
    return max(map(len, rows)) + sum(max(len(name), 4) + 1 for name in columns)


def _table(
    caption: str,
    label: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[Sequence[str]],
) -> str:
    """One floating table; cells are LaTeX already, but for dashes."""

    def lines(part: Sequence[Sequence[str]]) -> list[str]:
        return [
            "  " + " & ".join(cell.replace(MISSING, "--").replace("−", "$-$") for cell in row) + r" \\" for row in part
        ]

    middle = ["  \\midrule", *lines(below)] if below else []
    return "\n".join(
        [
            "\\begin{table*}",
            "  \\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}",
            f"  \\caption{{{caption}}}",
            f"  \\label{{tab:ser-{label}}}",
            f"  \\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            "  \\toprule",
            *lines([head]),
            "  \\midrule",
            *lines(rows),
            *middle,
            "  \\bottomrule",
            "  \\end{tabular}",
            "\\end{table*}",
            "",
        ]
    )


def _cell_of(figure: Figure, *, whole: bool) -> str:
    if not whole:
        return percent(figure.value)
    deviation = "" if figure.deviation is None else f"\\,$\\pm$\\,{percent(figure.deviation)}"
    return f"{percent(figure.value)}{deviation} [{percent(figure.low)}, {percent(figure.high)}]"


def _rows(review: Review) -> Iterator[Row]:
    """All rows of the CSV, as far as they have something in a column."""
    for standing in review.systems:
        yield from _standing_rows(standing)
    for report in review.baselines:
        yield from ({"system": report.name, "figure": f, "value": getattr(report, f), "n": report.n} for f in _FIGURES)
        yield from _class_rows(report.name, report)
    for found in review.differences:
        yield from _difference_rows(found)
    for engine, rate in review.word_errors.items():
        yield {"system": engine, "figure": "word_error_rate", "value": rate}


def _standing_rows(standing: Standing) -> Iterator[Row]:
    for name in _FIGURES:
        figure: Figure = getattr(standing, name)
        yield {"system": standing.name, "figure": name, **_figure(figure), "n": standing.report.n}
    if standing.published is not None:
        yield {"system": standing.name, "figure": "published_wa", "value": standing.published}
    yield from _calibration_rows(standing.name, standing.before, "_before")
    yield from _calibration_rows(standing.name, standing.after, "")
    yield from _class_rows(standing.name, standing.report)
    for found in standing.slices:
        yield from _slice_rows(standing.name, found)


def _calibration_rows(system: str, found: Calibration, suffix: str) -> Iterator[Row]:
    for name in ("ece", "nll", "brier"):
        yield {"system": system, "figure": name + suffix, "value": getattr(found, name)}


def _class_rows(system: str, report: Report) -> Iterator[Row]:
    for label, counts in zip(report.labels, report.confusion, strict=True):
        about: Row = {"system": system, "by": "class", "of": label, "n": sum(counts)}
        yield {**about, "figure": "recall", "value": report.recall[label]}
        yield {**about, "figure": "precision", "value": report.precision[label]}
        for answer, count in zip(report.labels, counts, strict=True):
            yield {**about, "figure": f"answered:{answer}", "value": count}


def _slice_rows(system: str, found: Slice) -> Iterator[Row]:
    for name in ("ua", "wa"):
        about: Row = {"system": system, "by": found.by, "of": found.value, "n": found.n}
        yield {**about, "figure": name, "value": getattr(found, name)}


def _difference_rows(found: Difference) -> Iterator[Row]:
    about: Row = {"system": found.first, "against": found.second}
    yield {**about, "figure": "ua", **_figure(found.ua)}
    yield {**about, "figure": "wa", **_figure(found.wa)}
    for name in ("p_ua", "p_holm", "p_mcnemar"):
        yield {**about, "figure": name, "value": getattr(found, name)}


def _figure(figure: Figure) -> Row:
    return {"value": figure.value, "low": figure.low, "high": figure.high, "deviation": figure.deviation}


def _cell(value: str | int | float | None) -> str | int | float:
    """Plain numbers with all their digits; nothing where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return float(value) if isinstance(value, float) else value


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
