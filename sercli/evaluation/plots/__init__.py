"""Pictures as PNG, or as SVG for a page: without the state of pyplot, written atomically, reproducible."""

from sercli.evaluation.plots.attribution import explanation_picture
from sercli.evaluation.plots.figure import as_svg
from sercli.evaluation.plots.results import confusion_picture, history_picture, trials_picture
from sercli.evaluation.plots.systems import intervals_picture, reliability_picture, risk_coverage_picture
from sercli.evaluation.plots.timeline import timeline_picture

__all__ = [
    "as_svg",
    "confusion_picture",
    "explanation_picture",
    "history_picture",
    "intervals_picture",
    "reliability_picture",
    "risk_coverage_picture",
    "timeline_picture",
    "trials_picture",
]
