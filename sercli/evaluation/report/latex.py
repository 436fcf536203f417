"""The results of an evaluation as LaTeX tables for a paper, with the rules of booktabs."""

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from sercli._system.text import MISSING
from sercli.evaluation.report.tables import each_fold, metrics_of
from sercli.evaluation.report.templates import template
from sercli.evaluation.results import Evaluation

# LaTeX would read "[" and "*" after the end of a row as its arguments.
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",  # OT1, the usual encoding of fonts, has no straight quotes
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
        MISSING: "--",
        "−": "$-$",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
_Rows = Mapping[str, Sequence[float | None]]


def latex(evaluation: Evaluation) -> str:
    r"""The tables for a paper, with the rules of booktabs, and the settings as a list for its appendix.

    The document needs `\usepackage{booktabs}`, and for names beyond ASCII a compiler that reads UTF-8.
    """
    return template("tables.tex", left="<", right=">", finalize=_finalize).render(
        evaluation=evaluation,
        metrics=metrics_of(evaluation),
        by_class=_by_class,
        each_fold=_each_fold,
        narrower=_narrower,
        comment=lambda command: Markup(_one_line(command)),
    )


def escaped(text: str) -> str:
    r"""Text with LaTeX's special characters escaped, and what stands between backticks as typewriter.

    >>> escaped("50 % of {a_b} by `c`")
    '50 \\% of \\{a\\_b\\} by \\texttt{c}'
    """
    return re.sub("`([^`]+)`", r"\\texttt{\1}", _one_line(text).translate(_ESCAPES))


def _finalize(value: object) -> Markup:
    """What the template writes for a value: text escaped, pieces of the template as they are."""
    return value if isinstance(value, Markup) else Markup(escaped(str(value)))


def _by_class(evaluation: Evaluation, metric: str) -> _Rows:
    return {system.name: [*getattr(system.report, metric).values()] for system in evaluation.systems}


def _each_fold(evaluation: Evaluation, metric: str) -> tuple[list[str], _Rows]:
    folds, found = each_fold(evaluation, metric)
    named = ((name, seed if "," in seed else f"seed {seed}", values) for (name, seed), values in found.items())
    return folds, {f"{name}, {seed}": values for name, seed, values in named}


def _narrower(corner: str, columns: Sequence[str], systems: _Rows) -> tuple[str, Sequence[str], _Rows]:
    """The corner, the heads and the rows of a table with systems as rows, or as columns if that is narrower."""
    if _width([*systems], columns) <= _width(columns, [*systems]):
        return "System", columns, systems
    return corner, [*systems], dict(zip(columns, zip(*systems.values(), strict=True), strict=True))


def _width(rows: Sequence[str], columns: Sequence[str]) -> int:
    """The approximate width of a table of percentages, in letters."""
    return max(len(escaped(name)) for name in rows) + sum(max(len(escaped(name)), 4) + 1 for name in columns)


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
