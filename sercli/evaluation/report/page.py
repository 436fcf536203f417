"""The report page: one HTML file that contains everything it needs and loads nothing from the network."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache, partial
from importlib import resources
from itertools import count, groupby

import jinja2
from markupsafe import Markup

from sercli.evaluation import metrics, plots
from sercli.evaluation.published import SOURCE
from sercli.evaluation.report import findings, numbers
from sercli.evaluation.report.tables import TITLES, metrics_of
from sercli.evaluation.results import Difference, Evaluation, Slice
from sercli.runs.settings import reads

_COVERAGES = (0.25, 0.5, 0.75, 1.0)  # at which the table has the risk
_MOST_CURVES = 7  # in one picture
_MOST_PAIRS = 10  # differences in one table
_FILTERS = (
    *(
        metrics.as_count,
        numbers.duration,
        numbers.percent,
        numbers.points,
        numbers.interval,
        numbers.probability,
        numbers.decimals,
        numbers.fact,
    ),
    *(findings.listed, findings.inputs, reads),
)
_GLOBALS = (findings.significant, findings.testable, findings.most_confused, findings.taken_for, findings.risk_at)


def page(evaluation: Evaluation, clips: Mapping[str, bytes] | None = None) -> str:
    """The evaluation as one HTML page, the result first. Equal evaluations give equal bytes.

    Args:
        evaluation: of at least one system.
        clips: id of a mistake -> MP3 to embed; None: the page has no sound.
    """
    assert evaluation.systems, "an evaluation of no system has nothing to show"
    systems = evaluation.systems
    names = [system.name for system in systems]
    script = _text("page.js")
    prefixes = (f"p{n}-" for n in count(1))

    def picture(draw: plots.Draw, label: str) -> Markup:
        return Markup(plots.as_svg(draw, label=label, prefix=next(prefixes)))

    text = _template().render(
        evaluation=evaluation,
        title=f"Emotion recognition on {evaluation.data['corpus']}",
        headline=findings.headline(evaluation),
        findings=findings.findings(evaluation),
        best={name: max(round(getattr(system, name).value, 3) for system in systems) for name in TITLES},
        metrics=metrics_of(evaluation),
        sentences=findings.by_sentence(evaluation),
        memorised=findings.memorised(evaluation),
        commands=findings.commands(evaluation),
        protocol=findings.protocol(evaluation),
        folds=list(dict.fromkeys(one.fold for system in systems for one in system.folds)),
        pairs=_pairs(evaluation),
        source=SOURCE,
        coverages=_COVERAGES,
        by_kind=_by_kind,
        intervals=picture(
            partial(plots.intervals_picture, systems, evaluation.baselines),
            f"UA with its 95 % interval of {findings.listed(names)}; the table of results has the numbers.",
        ),
        curves=picture(
            partial(plots.risk_coverage_picture, systems[:_MOST_CURVES]),
            f"Risk by coverage of {findings.shortened(names)}; the table of confidence has some of the numbers.",
        ),
        confusions=[
            picture(
                partial(plots.confusion_picture, one.report),
                f"Confusion matrix of {one.name}; the table below has its counts.",
            )
            for one in systems
        ],
        reliabilities=[
            picture(
                partial(plots.reliability_picture, one),
                f"Accuracy by confidence of {one.name}; the table of confidence summarises it.",
            )
            for one in systems
        ],
        clips={name: base64.b64encode(mp3).decode() for name, mp3 in (clips or {}).items()},
        css=Markup(_text("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return numbers.printable(text)


def _pairs(evaluation: Evaluation) -> list[tuple[str, list[Difference]]]:
    """The differences with their caption: those of the best system, and the others apart if there are many."""
    every = list(evaluation.differences)
    if len(every) <= _MOST_PAIRS:
        return [("Each pair of systems", every)]
    of_best = [found for found in every if found.first == evaluation.systems[0].name]
    return [("The best system and each other", of_best), ("The other pairs", [d for d in every if d not in of_best])]


def _by_kind(slices: tuple[Slice, ...]) -> list[tuple[str, list[Slice]]]:
    return [(by, list(found)) for by, found in groupby(slices, key=lambda found: found.by)]


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_text),
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.globals.update({function.__name__: function for function in _GLOBALS})
    return environment.get_template("page.html")


def _text(name: str) -> str:
    """A file next to this one."""
    return resources.files("sercli.evaluation.report").joinpath(name).read_text(encoding="utf-8")
