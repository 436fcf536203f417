"""The metrics of an evaluation for papers (LaTeX) and for further analysis (one tidy CSV)."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from sercli.evaluation.report.numbers import MISSING, percent
from sercli.evaluation.results import Difference, Estimate, Evaluation, SystemResult
from sercli.types import Report

COLUMNS = ("system", "against", "by", "of", "figure", "value", "low", "high", "deviation", "n")
"""Of the CSV: see `csv_table`."""

TITLES = {
    "ua": "UA",
    "wa": "WA",
    "macro_f1": "Macro-F1",
    "macro_f1_all": "Macro-F1, all classes",
    "weighted_f1": "Weighted F1",
}
_WITH_INTERVAL = ("ua", "wa")  # in LaTeX; with more the table would be too wide
# LaTeX would read "[" and "*" after the end of a row as its arguments.
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
_TABLE = r"""\begin{table*}
  \centering\footnotesize\setlength{\tabcolsep}{4pt}
  \caption{%s}
  \label{tab:ser-%s}
  \begin{tabular}{l%s}
  \toprule
%s
  \bottomrule
  \end{tabular}
\end{table*}
"""
Row = dict[str, str | int | float | None]


def latex(evaluation: Evaluation) -> str:
    r"""Two tables for a paper, with the rules of booktabs: the results with intervals, the recall of each class.

    The document needs `\usepackage{booktabs}`, and for names beyond ASCII a compiler that reads UTF-8.
    """
    note = f"% Needs \\usepackage{{booktabs}}. Made by: {_one_line(evaluation.command)}"
    return "\n".join([note, _results(evaluation), _recalls(evaluation)])


def csv_table(evaluation: Evaluation) -> str:
    """All values in one long table, one per table row; shares are fractions, undefined cells are empty.

    - `system`: a system or a baseline.
    - `against`: the second system of a difference; the value is that of `system` minus it.
    - `by`, `of`: which utterances: empty for all, else "class" and a class, or what a slice has in common and its
      value.
    - `figure`: ua, wa, macro_f1, macro_f1_all, weighted_f1; recall and precision of a class, answered:X for how many of
      a class were predicted as X; ece, nll, brier with temperature scaling, ece_before, ... without it; ua and wa of
      slices and differences; p_ua, p_holm, p_mcnemar of differences; published_wa; word_error_rate, whose system is a
      recogniser.
    - `value`, `low`, `high` (95 % interval), `deviation` (over seeds), `n` (utterances; over seeds: summed).
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(evaluation))
    return text.getvalue()


def differs(evaluation: Evaluation) -> bool:
    """Whether a system predicts a class that does not occur, so that macro-F1 over all classes is another."""
    return any(round(s.macro_f1.value, 3) != round(s.macro_f1_all.value, 3) for s in evaluation.systems)


def escaped(text: str) -> str:
    r"""Text with LaTeX's special characters escaped.

    >>> escaped("50 % of {a_b}")
    '50 \\% of \\{a\\_b\\}'
    """
    return _one_line(text).translate(_ESCAPES)


def _results(evaluation: Evaluation) -> str:
    """The table of systems and, below a rule, baselines; UA and WA with intervals and deviations over seeds."""
    published = any(system.published is not None for system in evaluation.systems)
    metrics = [name for name in TITLES if name != "macro_f1_all" or differs(evaluation)]
    head = ["System", *(TITLES[name] for name in metrics), *(["Published WA"] if published else [])]
    rows = [
        [
            escaped(s.name),
            *(_cell_of(getattr(s, name), interval=name in _WITH_INTERVAL) for name in metrics),
            *([percent(s.published)] * published),
        ]
        for s in evaluation.systems
    ]
    below = [
        [escaped(b.name), *(percent(getattr(b, name)) for name in metrics), *([MISSING] * published)]
        for b in evaluation.baselines
    ]
    over = [f"{key.replace('_', ' ')}: {value}" for key, value in evaluation.protocol.items() if "sha256" not in key]
    several = any(system.n_seeds > 1 for system in evaluation.systems)
    seeded = ", after $\\pm$ the standard deviation over seeds" if several else ""
    caption = (
        f"{escaped(evaluation.question)} In \\%; in brackets the 95\\,\\% interval"
        f"{seeded}. {escaped('; '.join(over))}." + (f" {escaped(evaluation.leak)}" if evaluation.leak else "")
    )
    return _table(caption, "results", [head], rows, below)


def _recalls(evaluation: Evaluation) -> str:
    """The table of recalls, with classes as columns or rows, whichever is narrower."""
    names = [escaped(system.name) for system in evaluation.systems]
    labels = [escaped(label) for label in evaluation.labels]
    cells = [[percent(system.report.recall[label]) for label in evaluation.labels] for system in evaluation.systems]
    if _width(names, labels) <= _width(labels, names):
        head, rows = ["System", *labels], [[name, *values] for name, values in zip(names, cells, strict=True)]
    else:
        transposed = zip(labels, zip(*cells, strict=True), strict=True)
        head, rows = ["Class", *names], [[label, *values] for label, values in transposed]
    return _table("Recall of each class in \\%.", "recall", [head], rows)


def _width(rows: Sequence[str], columns: Sequence[str]) -> int:
    """The approximate width of a table of percentages, in letters."""
    return max(map(len, rows)) + sum(max(len(name), 4) + 1 for name in columns)


def _table(caption: str, label: str, *parts: Sequence[Sequence[str]]) -> str:
    """One floating table; a rule between its parts. The cells are LaTeX but for dashes and minus signs."""
    lines = ["\n".join(f"  {' & '.join(row)} \\\\" for row in part) for part in parts if part]
    body = "\n  \\midrule\n".join(lines).replace(MISSING, "--").replace("−", "$-$")
    return _TABLE % (caption, label, "r" * (len(parts[0][0]) - 1), body)


def _cell_of(estimate: Estimate, *, interval: bool) -> str:
    if not interval:
        return percent(estimate.value)
    deviation = "" if estimate.deviation is None else f"\\,$\\pm$\\,{percent(estimate.deviation)}"
    return f"{percent(estimate.value)}{deviation} [{percent(estimate.low)}, {percent(estimate.high)}]"


def _rows(evaluation: Evaluation) -> Iterator[Row]:
    """All rows of the CSV; columns without a value are left out."""
    for system in evaluation.systems:
        yield from _system_rows(system)
    for report in evaluation.baselines:
        for name in TITLES:
            yield {"system": report.name, "figure": name, "value": getattr(report, name), "n": report.n}
        yield from _class_rows(report.name, report)
    for found in evaluation.differences:
        yield from _difference_rows(found)
    for engine, rate in evaluation.word_errors.items():
        yield {"system": engine, "figure": "word_error_rate", "value": rate}


def _system_rows(system: SystemResult) -> Iterator[Row]:
    about: Row = {"system": system.name}
    for name in TITLES:
        yield {**about, "figure": name, **asdict(getattr(system, name)), "n": system.report.n}
    if system.published is not None:
        yield {**about, "figure": "published_wa", "value": system.published}
    for calibration, suffix in ((system.before, "_before"), (system.after, "")):
        for name, value in asdict(calibration).items():
            yield {**about, "figure": name + suffix, "value": value}
    yield from _class_rows(system.name, system.report)
    for found in system.slices:
        for name in ("ua", "wa"):
            of_slice: Row = {"by": found.by, "of": found.value, "figure": name, "value": getattr(found, name)}
            yield {**about, **of_slice, "n": found.n}


def _class_rows(system: str, report: Report) -> Iterator[Row]:
    for label, counts in zip(report.labels, report.confusion, strict=True):
        about: Row = {"system": system, "by": "class", "of": label, "n": sum(counts)}
        yield {**about, "figure": "recall", "value": report.recall[label]}
        yield {**about, "figure": "precision", "value": report.precision[label]}
        for predicted, count in zip(report.labels, counts, strict=True):
            yield {**about, "figure": f"answered:{predicted}", "value": count}


def _difference_rows(found: Difference) -> Iterator[Row]:
    about: Row = {"system": found.first, "against": found.second}
    yield {**about, "figure": "ua", **asdict(found.ua)}
    yield {**about, "figure": "wa", **asdict(found.wa)}
    for name in ("p_ua", "p_holm", "p_mcnemar"):
        yield {**about, "figure": name, "value": getattr(found, name)}


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
