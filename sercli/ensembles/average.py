"""Decision level: the mean of the members' probabilities."""

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
    """(N, K): the mean over members."""
    mean: Array = np.mean([member.probs for member in members], axis=0)
    return mean
