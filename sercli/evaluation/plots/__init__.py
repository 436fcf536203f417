"""Pictures as PNG: drawn by Agg without pyplot's state, written whole or not at all, reproducible."""

from sercli.evaluation.plots.results import confusion_picture, history_picture, trials_picture
from sercli.evaluation.plots.timeline import timeline_picture

__all__ = ["confusion_picture", "history_picture", "timeline_picture", "trials_picture"]
