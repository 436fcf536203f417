"""Everything that people see in a terminal: notes and progress on stderr, results as tables on stdout.

Only this package imports rich; commands import it inside their functions, so that `ser --help` stays quick. Names,
paths and labels are shown as they are, never read as markup. Tests pass a console of their own.
"""

from sercli.cli.render.console import note, warn, write
from sercli.cli.render.live import live_view
from sercli.cli.render.predictions import in_short, prediction_card, prediction_rows
from sercli.cli.render.progress import progress, repetition_progress, stages, training_progress
from sercli.cli.render.tables import (
    class_table,
    confusion_table,
    counted,
    dataset_summary,
    distribution_table,
    evaluation_table,
    systems_table,
    trials_table,
)
from sercli.cli.render.timeline import summary_rows, timeline_rows

__all__ = [
    "class_table",
    "confusion_table",
    "counted",
    "dataset_summary",
    "distribution_table",
    "evaluation_table",
    "in_short",
    "live_view",
    "note",
    "prediction_card",
    "prediction_rows",
    "progress",
    "repetition_progress",
    "stages",
    "summary_rows",
    "systems_table",
    "timeline_rows",
    "training_progress",
    "trials_table",
    "warn",
    "write",
]
