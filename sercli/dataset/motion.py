"""Motion capture as IEMOCAP has it: text files, a frame a line, after two lines of heads."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from sercli.errors import SerError
from sercli.types import MOCAP, MOTION, Array, Utterance

RATE_HZ = 120
_N_HEADS = 2  # lines


def read(root: Path, utterance: Utterance) -> Array:
    """(n, 189) float32: the frames of an utterance at 120 a second, NaN where there is none or a marker was not seen.

    Raises:
        SerError: a file is missing or is no table of its kind.
    """
    motion = utterance.attributes[MOTION]
    n = max(1, round((motion["end_s"] - motion["start_s"]) * RATE_HZ))
    wanted_s = motion["start_s"] + np.arange(n) / RATE_HZ
    parts = [
        _nearest(root / path, wanted_s, width) for path, width in zip(motion["files"], MOCAP.values(), strict=True)
    ]
    return np.concatenate(parts, axis=1)


def _nearest(path: Path, wanted_s: Array, width: int) -> Array:
    """(n, width): the frame of a file next to each time; NaN where there is none within half a frame."""
    times_s, lines = _opened(path)
    found = np.full((len(wanted_s), width), np.nan, np.float32)
    if not len(times_s):
        return found
    places = np.searchsorted((times_s[1:] + times_s[:-1]) / 2, wanted_s)
    near = np.abs(times_s[places] - wanted_s) < 0.6 / RATE_HZ  # times are rounded
    if near.any():
        found[near] = _numbers(path, [lines[place] for place in places[near]], width)
    return found


@lru_cache(maxsize=len(MOCAP))  # utterances of a dialog follow one another
def _opened(path: Path) -> tuple[Array, list[str]]:
    """Return the time of each frame in seconds, ascending, and its line."""
    try:
        lines = [line for line in path.read_text("ascii").splitlines()[_N_HEADS:] if line.strip()]
        times = np.array([float(line.split(None, 2)[1]) for line in lines])
    except (OSError, ValueError, IndexError) as error:
        raise SerError(f"{path} cannot be read as motion capture: {error}; copy it again from the release.") from None
    order = np.argsort(times, kind="stable")
    return times[order], [lines[place] for place in order]


def _numbers(path: Path, lines: Sequence[str], width: int) -> Array:
    """(n, width) float32: the columns of lines after frame number and time."""
    try:
        found: Array = np.loadtxt(lines, np.float32, comments=None, ndmin=2)[:, 2:]
    except ValueError as error:
        raise SerError(f"{path} cannot be read as motion capture: {error}; copy it again from the release.") from None
    if found.shape[1] != width:
        raise SerError(f"{path}: a frame has {found.shape[1]} numbers, not {width}; copy it again from the release.")
    return found
