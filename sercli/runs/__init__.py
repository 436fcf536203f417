"""The run directory: everything that predict needs, each file written atomically."""

from sercli.runs.files import (
    read_arrays,
    read_history,
    read_predictions,
    read_split,
    write_arrays,
    write_history,
    write_predictions,
    write_split,
)
from sercli.runs.info import (
    CROSS_VALIDATION,
    FoldRun,
    RunInfo,
    check_labels,
    fold_runs,
    load_finished,
    load_info,
    load_single,
    write_info,
)
from sercli.runs.lifecycle import check_free, check_there, start, started

__all__ = [
    "CROSS_VALIDATION",
    "FoldRun",
    "RunInfo",
    "check_free",
    "check_labels",
    "check_there",
    "fold_runs",
    "load_finished",
    "load_info",
    "load_single",
    "read_arrays",
    "read_history",
    "read_predictions",
    "read_split",
    "start",
    "started",
    "write_arrays",
    "write_history",
    "write_info",
    "write_predictions",
    "write_split",
]
