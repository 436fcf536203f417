"""Decision level: for each utterance the member that is surest decides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sercli.types import Array, Predictions

LEARNS = False


@dataclass(frozen=True)
class Config:
    """Nothing to set."""


def fit(members: Sequence[Predictions], y: Array, config: Config) -> dict[str, Array]:
    """Nothing is learned."""
    return {}


def combine(members: Sequence[Predictions], state: dict[str, Array]) -> Array:
    """(N, K): the row of the member with the highest probability for any class; the first wins a tie."""
    stacked = np.stack([member.probs for member in members])  # (M, N, K)
    surest = stacked.max(axis=2).argmax(axis=0)  # (N,)
    chosen: Array = stacked[surest, np.arange(stacked.shape[1])]
    return chosen
