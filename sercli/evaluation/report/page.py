"""The report page: one HTML file that holds all it needs and asks no network for anything."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import groupby

import jinja2
from markupsafe import Markup

from sercli.evaluation import plots
from sercli.evaluation.report import findings, numbers
from sercli.evaluation.report.pictures import Album
from sercli.evaluation.results import Review, Slice, Standing
from sercli.types import Report

_FILTERS = {
    "percent": numbers.percent,
    "points": numbers.points,
    "interval": numbers.interval,
    "p_value": numbers.probability,
    "decimals": numbers.decimals,
    "fact": numbers.fact,
    "listed": findings.listed,
    "plain": lambda key: key.replace("_", " "),
}
_SIDES = {"acoustic": "sound", "linguistic": "words", "both": "sound and words"}
_FIGURES = ("ua", "wa", "macro_f1", "weighted_f1")
_SHARES = (0.25, 0.5, 0.75, 1.0)  # of the utterances, for which the risk is tabled


@dataclass(frozen=True)
class _ClassRow:
    """A class as one system knows it."""

    label: str
    n: int  # utterances, of one seed
    recall: float | None
    precision: float | None
    f1: float | None
    taken_for: tuple[str, float] | None


@dataclass(frozen=True)
class _Chapter:
    """A system with what its part of the page shows of it."""

    standing: Standing
    anchor: str
    classes: tuple[_ClassRow, ...]
    confused: findings.Confused | None
    slices: tuple[tuple[str, tuple[Slice, ...]], ...]  # by what they have in common
    risks: tuple[float | None, ...]  # at `_SHARES`
    confusion: Markup
    reliability: Markup | None


def page(review: Review) -> str:
    """The whole evaluation as one HTML page, the answer first. The same review gives the same bytes.

    Args:
        review: with one system at least.
    """
    assert review.systems, "a review of no system has nothing to show"
    album = Album()
    intervals, curves = _overview(review, album)
    chapters = [_chapter(standing, place, album) for place, standing in enumerate(review.systems, start=1)]
    script = _text("page.js")
    text = _template().render(
        review=review,
        title=f"Emotion recognition on {review.data['corpus']}" if "corpus" in review.data else "Emotion recognition",
        headline=findings.headline(review),
        findings=findings.findings(review),
        counts=_counts(review.systems[0]),
        best=_best(review.systems),
        significant=findings.significant,
        figures=_FIGURES,
        shares=_SHARES,
        sides=_SIDES,
        intervals=intervals,
        curves=curves,
        chapters=chapters,
        css=Markup(_text("page.css")) + album.css(),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return numbers.printable(text)


def _overview(review: Review, album: Album) -> tuple[Markup, Markup | None]:
    """The pictures in which all systems are."""
    names = findings.listed([system.name for system in review.systems])
    intervals = plots.as_svg(
        lambda svg: plots.intervals_picture(review.systems, review.baselines, svg),
        label=f"UA with its 95 % interval of {names}; the figures are in the table of results.",
    )
    curved = [system for system in review.systems if system.risk_coverage]
    if not curved:
        return album.add(intervals), None
    curves = plots.as_svg(
        lambda svg: plots.risk_coverage_picture(curved, svg),
        label=f"Share of wrong answers by share of answered utterances of {names}; some figures are in the table.",
    )
    return album.add(intervals), album.add(curves)


def _chapter(standing: Standing, place: int, album: Album) -> _Chapter:
    confusion = plots.as_svg(
        lambda svg: plots.confusion_picture(standing.report, svg),
        label=f"Confusion matrix of {standing.name}; its counts are in the table below.",
    )
    reliability = plots.as_svg(
        lambda svg: plots.reliability_picture(standing, svg),
        label=f"Accuracy by confidence of {standing.name}; its figures are in the table of confidence.",
    )
    return _Chapter(
        standing=standing,
        anchor=f"system-{place}",
        classes=tuple(_class_rows(standing)),
        confused=findings.most_confused(standing.report),
        slices=tuple((by, tuple(found)) for by, found in groupby(standing.slices, key=lambda found: found.by)),
        risks=tuple(findings.risk_at(standing.risk_coverage, share) for share in _SHARES),
        confusion=album.add(confusion),
        reliability=album.add(reliability) if standing.reliability else None,
    )


def _class_rows(standing: Standing) -> list[_ClassRow]:
    report = standing.report
    return [
        _ClassRow(
            label=label,
            n=n,
            recall=report.recall[label],
            precision=report.precision[label],
            f1=_f1(report, k),
            taken_for=findings.taken_for(report, label),
        )
        for k, (label, n) in enumerate(_counts(standing).items())
    ]


def _f1(report: Report, k: int) -> float | None:
    """Of one class; None where it has no utterance, as in `metrics.report`."""
    occurs, answered = sum(report.confusion[k]), sum(row[k] for row in report.confusion)
    return 2 * report.confusion[k][k] / (occurs + answered) if occurs else None


def _counts(standing: Standing) -> dict[str, int]:
    """Utterances of each class: the confusion matrix has them once for each seed."""
    report = standing.report
    return {label: sum(row) // standing.n_seeds for label, row in zip(report.labels, report.confusion, strict=True)}


def _best(systems: Sequence[Standing]) -> dict[str, float]:
    """The highest value of each figure, as tables round it, to be set in bold where there are several systems."""
    return {name: max(round(getattr(system, name).value, 3) for system in systems) for name in _FIGURES}


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_text),
    )
    environment.filters.update(_FILTERS)
    return environment.get_template("page.html")


def _text(name: str) -> str:
    """A file that lies beside this one."""
    return resources.files("sercli.evaluation.report").joinpath(name).read_text(encoding="utf-8")
