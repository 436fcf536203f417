"""Decision level: the mean of the members' probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sercli.types import Array, Predictions


@dataclass(frozen=True)
class Config:
    """Nothing to set."""


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): the mean over the members."""
    mean: Array = np.mean([member.probs for member in members], axis=0)
    return mean
