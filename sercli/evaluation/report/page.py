"""The report page: one HTML file that contains everything it needs and loads nothing from the network."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from itertools import count

from markupsafe import Markup

from sercli.evaluation import plots
from sercli.evaluation.reliability import THRESHOLDS
from sercli.evaluation.report.numbers import printable
from sercli.evaluation.report.tables import each_fold, metrics_of
from sercli.evaluation.report.templates import template, text
from sercli.evaluation.results import Evaluation


def page(evaluation: Evaluation, clips: Mapping[str, bytes] | None = None) -> str:
    """The evaluation as one HTML page, the result first. Equal evaluations give equal bytes.

    Args:
        evaluation: of at least one system.
        clips: id of a mistake -> MP3 to embed; None: the page has no sound.
    """
    assert evaluation.systems, "an evaluation of no system has nothing to show"
    script, numbers = text("page.js"), count(1)

    def picture(draw: Callable[..., None], label: str, *shown: object) -> Markup:
        return Markup(plots.as_svg(draw, *shown, label=label, prefix=f"p{next(numbers)}-"))

    html = template("page.html").render(
        evaluation=evaluation,
        metrics=metrics_of(evaluation),
        each_fold=each_fold,
        thresholds=THRESHOLDS,
        picture=picture,
        plots=plots,
        clips={name: base64.b64encode(mp3).decode() for name, mp3 in (clips or {}).items()},
        css=Markup(text("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return printable(html)
