"""All values of an evaluation as one tidy CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict

from sercli._system.text import harmless
from sercli.evaluation.metrics import METRICS
from sercli.evaluation.results import Evaluation, SystemResult
from sercli.types import Report

COLUMNS = ("system", "against", "by", "of", "seed", "figure", "value", "low", "high", "deviation", "n")

TITLES = {
    "ua": "UA",
    "wa": "WA",
    "macro_f1": "Macro-F1",
    "macro_f1_all": "Macro-F1, all classes",
    "weighted_f1": "Weighted F1",
}
Row = dict[str, str | int | float | None]


def csv_table(evaluation: Evaluation) -> str:
    """All values in one long table, one per table row; shares are fractions, undefined cells are empty.

    Names that a spreadsheet would run as a formula begin with '.

    - `system`: a system or a baseline.
    - `against`: the second system of a difference; the value is that of `system` minus it.
    - `by`, `of`: which utterances: empty for all, else "class" and a class, "fold" and its number (or "mean": the mean
      over folds and its deviation), or what a slice has in common and its value.
    - `seed`: of one training; empty: the mean over seeds.
    - `figure`: ua, wa, macro_f1, macro_f1_all, weighted_f1; recall, precision and f1 of a class, answered:X for how
      many of a class were predicted as X; ece, nll, brier with temperature scaling, ece_before, ... without it; ua, wa
      and gap (to the UA of all utterances over the same classes) of slices; ua and wa of differences; p_ua, p_holm;
      published_wa of the original study; seen, the utterances whose sentence is in training; parameters,
      training_s, hardware, command and setting:X of a system; word_error_rate, whose system is a recogniser.
    - `value`, `low`, `high` (95 % interval), `deviation` (over seeds; over folds), `n` (utterances).
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: harmless(value) for name, value in row.items()} for row in _rows(evaluation))
    return text.getvalue()


def metrics_of(evaluation: Evaluation) -> dict[str, str]:
    """The metrics to show with their titles; macro-F1 over all classes only where it is another."""
    shown = any(round(s.macro_f1.value, 3) != round(s.macro_f1_all.value, 3) for s in evaluation.systems)
    return {name: title for name, title in TITLES.items() if name != "macro_f1_all" or shown}


def each_fold(evaluation: Evaluation, metric: str) -> tuple[list[str], dict[tuple[str, str], list[float | None]]]:
    """The names of all folds, and a metric on each of them by the name and the seed of a system."""
    folds = dict.fromkeys(one.fold for system in evaluation.systems for one in system.folds)
    found: dict[tuple[str, str], dict[int | None, float | None]] = {}
    for system in evaluation.systems:
        for one in system.folds:
            found.setdefault((system.name, one.seed), dict.fromkeys(folds))[one.fold] = getattr(one, metric)
    names = [f"fold {fold}" if fold else "all" for fold in folds]
    return names, {seed: [*values.values()] for seed, values in found.items()}


def _rows(evaluation: Evaluation) -> Iterator[Row]:
    """All rows of the CSV; columns without a value are left out."""
    for system in evaluation.systems:
        yield from _system_rows(system)
    for report in evaluation.baselines:
        about: Row = {"system": report.name, "n": report.n}
        yield from ({**about, "figure": name, "value": getattr(report, name)} for name in TITLES)
        yield from _class_rows(report.name, report)
    for found in evaluation.differences:
        pair: Row = {"system": found.first, "against": found.second}
        yield from ({**pair, "figure": name, **asdict(getattr(found, name))} for name in ("ua", "wa"))
        yield from ({**pair, "figure": p, "value": getattr(found, p)} for p in ("p_ua", "p_holm"))
    for engine, errors in evaluation.word_errors.items():
        yield {"system": engine, "figure": "word_error_rate", "value": errors.rate}


def _system_rows(system: SystemResult) -> Iterator[Row]:
    about: Row = {"system": system.name}
    for name in TITLES:
        yield {**about, "figure": name, **asdict(getattr(system, name)), "n": system.report.n}
    for calibration, suffix in ((system.before, "_before"), (system.after, "")):
        yield from ({**about, "figure": f"{name}{suffix}", "value": v} for name, v in asdict(calibration).items())
    yield from _class_rows(system.name, system.report)
    for one in system.folds:
        about_fold: Row = {
            **about,
            "by": "fold" if one.fold else "",
            "of": one.fold or "",
            "seed": one.seed,
            "n": one.n,
        }
        yield from ({**about_fold, "figure": name, "value": getattr(one, name)} for name in METRICS)
    for name, over in system.over_folds.items():
        yield {**about, "by": "fold", "of": "mean", "figure": name, "value": over.mean, "deviation": over.deviation}
    for found in system.slices:
        about_slice: Row = {**about, "by": found.by, "of": found.value, "n": found.n}
        yield {**about_slice, "figure": "ua", "value": found.ua, "low": found.low, "high": found.high}
        yield from ({**about_slice, "figure": name, "value": getattr(found, name)} for name in ("wa", "gap"))
    if system.published:
        ours = system.published.ours
        yield {**about, "by": ours.by, "of": ours.value, "figure": "published_wa", "value": system.published.wa}
    if system.n_seen is not None:
        yield {**about, "figure": "seen", "value": system.n_seen, "n": system.report.n}
    if made := system.training:
        values: Row = {"parameters": made.parameters, "training_s": made.seconds, "hardware": made.hardware}
        values |= {"command": made.command, **{f"setting:{name}": value for name, value in made.settings.items()}}
        yield from ({**about, "figure": name, "value": value} for name, value in values.items())


def _class_rows(system: str, report: Report) -> Iterator[Row]:
    for label, counts in zip(report.labels, report.confusion, strict=True):
        about: Row = {"system": system, "by": "class", "of": label, "n": round(sum(counts))}
        for name in ("recall", "precision", "f1"):
            yield {**about, "figure": name, "value": getattr(report, name)[label]}
        for predicted, count in zip(report.labels, counts, strict=True):
            yield {**about, "figure": f"answered:{predicted}", "value": count}
