"""The results of an evaluation as LaTeX tables for a paper, with the rules of booktabs."""

from collections.abc import Sequence

from sercli.evaluation.published import SOURCE
from sercli.evaluation.report.findings import by_sentence, commands, listed, protocol, settings_apart
from sercli.evaluation.report.numbers import MISSING, duration, percent, points, probability
from sercli.evaluation.report.tables import TITLES, metrics_of
from sercli.evaluation.results import Difference, Estimate, Evaluation

_WITH_INTERVAL = ("ua", "wa")  # with more the table would be too wide
_MOST_PAIRS = 10  # differences that are all shown; if there are more, those of the best system
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


def latex(evaluation: Evaluation) -> str:
    r"""The tables for a paper, with the rules of booktabs, and the settings as a list for its appendix.

    The document needs `\usepackage{booktabs}`, and for names beyond ASCII a compiler that reads UTF-8.
    """
    made = [f"% {_one_line(command)}" for command in commands(evaluation)]
    parts = (_results, _folds, _classes, _differences, _published, _sentences, _systems, _settings)
    tables = [text for part in parts if (text := part(evaluation))]
    return "\n".join(["% Needs \\usepackage{booktabs}. Made by:", *made, *tables])


def escaped(text: str) -> str:
    r"""Text with LaTeX's special characters escaped.

    >>> escaped("50 % of {a_b}")
    '50 \\% of \\{a\\_b\\}'
    """
    return _one_line(text).translate(_ESCAPES)


def _results(evaluation: Evaluation) -> str:
    """The table of systems and, below a rule, baselines; UA and WA with intervals and deviations over seeds."""
    metrics = metrics_of(evaluation)
    rows = [
        [escaped(s.name), *(_cell_of(getattr(s, name), interval=name in _WITH_INTERVAL) for name in metrics)]
        for s in evaluation.systems
    ]
    below = [[escaped(b.name), *(percent(getattr(b, name)) for name in metrics)] for b in evaluation.baselines]
    over = f"in brackets the 95 % interval over {evaluation.groups.n} {evaluation.groups.kind}s"
    leak = f" {evaluation.leak}" if evaluation.leak else ""
    caption = (
        f"Recognition of {listed(evaluation.labels)} on {evaluation.data['corpus']}: unweighted and weighted accuracy "
        f"(UA, WA) and F1 in %, {over}. {protocol(evaluation)}{leak}"
    )
    return _table(caption, "results", [["System", *metrics.values()]], rows, below)


def _folds(evaluation: Evaluation) -> str:
    """Mean and deviation over folds, then UA and WA of each fold and seed."""
    systems = [system for system in evaluation.systems if system.folds]
    means = [
        [
            escaped(s.name),
            *(_spread(over.mean, over.deviation) for over in s.over_folds.values()),
        ]
        for s in systems
        if s.over_folds
    ]
    tables = []
    if means:
        head = ["System", *(TITLES[name] for name in systems[0].over_folds)]
        tables.append(_table("Mean and standard deviation over folds, in %.", "folds", [head], means))
    folds = list(dict.fromkeys(one.fold for system in systems for one in system.folds))
    trained = [(s.name, seed, s.folds) for s in systems for seed in dict.fromkeys(one.seed for one in s.folds)]
    for metric in ("ua", "wa") if systems else ():
        cells = [
            [percent({one.fold: getattr(one, metric) for one in of if one.seed == seed}.get(fold)) for fold in folds]
            for _, seed, of in trained
        ]
        names = [f"{name}, {seed if ',' in seed else f'seed {seed}'}" for name, seed, _ in trained]
        columns = [f"fold {fold}" if fold else "all" for fold in folds]
        caption = f"{TITLES[metric]} of each fold and seed, in %."
        tables.append(_matrix(caption, f"{metric}-folds", "Fold", columns, names, cells))
    return "\n".join(tables)


def _classes(evaluation: Evaluation) -> str:
    """The tables of recall, precision and F1 of each class."""
    tables = []
    for name, title in (("recall", "Recall"), ("precision", "Precision"), ("f1", "F1")):
        of_system = [getattr(system.report, name) for system in evaluation.systems]
        cells = [[percent(values[label]) for label in evaluation.labels] for values in of_system]
        systems = [system.name for system in evaluation.systems]
        tables.append(_matrix(f"{title} of each class, in %.", name, "Class", evaluation.labels, systems, cells))
    return "\n".join(tables)


def _differences(evaluation: Evaluation) -> str:
    """The table of differences and p values: of all pairs, or of the best system with each other if there are many."""
    every = evaluation.differences
    best = [found for found in every if found.first == evaluation.systems[0].name]
    if not every:
        return ""
    head = ["First", "Second", "UA", "WA", "$p$", "$p$ (Holm)", "$p$ (McNemar)"]
    which = "the best system and each other" if len(every) > _MOST_PAIRS else "each two systems"
    caption = (
        f"Differences of {which} in percentage points, in brackets the 95 % interval; p of UA by sign flips over "
        f"{evaluation.groups.n} {evaluation.groups.kind}s, corrected for {len(every)} "
        f"comparison{'s' * (len(every) > 1)} (Holm), and McNemar's, which takes utterances for independent."
    )
    rows = [_difference_cells(found) for found in (best if len(every) > _MOST_PAIRS else every)]
    return _table(caption, "differences", [head], rows)


def _difference_cells(found: Difference) -> list[str]:
    gaps = [f"{points(gap.value)} [{percent(gap.low)}, {percent(gap.high)}]" for gap in (found.ua, found.wa)]
    p_values = [probability(p).replace("<", "$<$") for p in (found.p_ua, found.p_holm, found.p_mcnemar)]
    return [escaped(found.first), escaped(found.second), *gaps, *p_values]


def _published(evaluation: Evaluation) -> str:
    """The table of our WA on session 5 beside that of the original study."""
    found = [(s.name, s.published) for s in evaluation.systems if s.published]
    if not found:
        return ""
    caption = (
        f"WA on session 5 ({found[0][1].ours.n} utterances) in %, beside that of the original study ({SOURCE}), whose "
        "validation part shares speakers with its train part."
    )
    rows = [[escaped(name), percent(one.ours.wa), percent(one.wa), points(one.ours.wa - one.wa)] for name, one in found]
    return _table(caption, "published", [["System", "WA here", "Published WA", "Difference"]], rows)


def _sentences(evaluation: Evaluation) -> str:
    """The table of UA on utterances with a sentence of the train part and on the others."""
    found = by_sentence(evaluation)
    if not found:
        return ""
    head = ["System", "$n$ seen", "UA seen", "$n$ new", "UA new"]
    rows = [
        [escaped(name), str(seen.n), percent(seen.ua), str(new.n), percent(new.ua)]
        for name, (seen, new) in found.items()
    ]
    caption = "UA in % on utterances whose sentence (the same prompt or words) is in the train part, and on new ones."
    return _table(caption, "sentences", [head], rows)


def _systems(evaluation: Evaluation) -> str:
    """The table of parameters, training time and hardware."""
    rows = [
        [escaped(s.name), f"{made.parameters:,}", duration(made.seconds), escaped(made.hardware or MISSING)]
        for s in evaluation.systems
        if (made := s.training)
    ]
    caption = (
        "Trained parameters (without pretrained networks that compute features), training time of all folds and seeds "
        "(without that of features and members), and hardware."
    )
    return _table(caption, "systems", [["System", "Parameters", "Time", "Hardware"]], rows) if rows else ""


def _settings(evaluation: Evaluation) -> str:
    """The settings, first those that all systems share."""
    items = [
        f"  \\item[{escaped(name)}] {escaped('; '.join(f'{key}: {value}' for key, value in settings.items()))}."
        for name, settings in settings_apart(evaluation).items()
        if settings
    ]
    return "\n".join([r"\begin{description}\footnotesize", *items, r"\end{description}", ""]) if items else ""


def _matrix(
    caption: str,
    label: str,
    corner: str,
    columns: Sequence[str],
    systems: Sequence[str],
    cells: Sequence[Sequence[str]],
) -> str:
    """A table with systems as rows, or as columns if that is narrower."""
    names, heads = ([escaped(name) for name in each] for each in (systems, columns))
    if _width(names, heads) <= _width(heads, names):
        head, rows = ["System", *heads], [[name, *values] for name, values in zip(names, cells, strict=True)]
    else:
        transposed = zip(heads, zip(*cells, strict=True), strict=True)
        head, rows = [corner, *names], [[one, *values] for one, values in transposed]
    return _table(caption, label, [head], rows)


def _width(rows: Sequence[str], columns: Sequence[str]) -> int:
    """The approximate width of a table of percentages, in letters."""
    return max(map(len, rows)) + sum(max(len(name), 4) + 1 for name in columns)


def _table(caption: str, label: str, *parts: Sequence[Sequence[str]]) -> str:
    """One floating table; a rule between its parts. The cells are LaTeX but for dashes and minus signs."""
    lines = ["\n".join(f"  {' & '.join(row)} \\\\" for row in part) for part in parts if part]
    body = "\n  \\midrule\n".join(lines).replace(MISSING, "--").replace("−", "$-$")
    return _TABLE % (escaped(caption), label, "r" * (len(parts[0][0]) - 1), body)


def _cell_of(estimate: Estimate, *, interval: bool) -> str:
    ends = f" [{percent(estimate.low)}, {percent(estimate.high)}]" if interval else ""
    return f"{_spread(estimate.value, estimate.deviation)}{ends}"


def _spread(value: float, deviation: float | None) -> str:
    return percent(value) if deviation is None else f"{percent(value)}\\,$\\pm$\\,{percent(deviation)}"


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
