"""Motion capture as a fixed number of frames: markers on the face, the head's rotation and shift, markers on the hands.

The frames of an utterance are divided into as many parts of like length as frames are wanted, and each part is its mean
(Tripathi, Tripathi and Beigi 2018, "Multi-modal emotion recognition on IEMOCAP with neural networks": 200 x 189).
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from sercli.contracts import Extractor
from sercli.types import Array

INPUT = "motion"
VERSION = 1
DTYPE = "float32"


@dataclass(frozen=True)
class Config:
    """How many frames."""

    n_frames: Annotated[int, Meta(ge=1, le=4096)] = 200  # of an utterance, however long it is


def make(config: Config, device: str) -> Extractor:
    """Return the extractor: (n, 189) at 120 frames a second, NaN where a marker was not seen, to (n_frames, 189)."""
    return lambda recorded: [_resampled(frames, config.n_frames) for frames in recorded]


def _resampled(frames: Array, n_frames: int) -> Array:
    """(n_frames, 189) float32: gaps are filled from both sides, a marker that was never seen is 0."""
    edges = np.linspace(0, len(frames), n_frames + 1)
    part = np.clip(np.searchsorted(edges, np.arange(len(frames)), side="right") - 1, 0, n_frames - 1)  # of each frame
    seen = ~np.isnan(frames)
    totals, counts = np.zeros((n_frames, frames.shape[1])), np.zeros((n_frames, frames.shape[1]))
    np.add.at(totals, part, np.where(seen, frames, 0))
    np.add.at(counts, part, seen)
    found = np.zeros((n_frames, frames.shape[1]), np.float32)
    for column in np.flatnonzero(counts.any(axis=0)):
        filled = np.flatnonzero(counts[:, column])
        means = totals[filled, column] / counts[filled, column]
        found[:, column] = np.interp(np.arange(n_frames), filled, means)
    return found
