"""Decision level: the mean of the members' probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sercli.ensembles._mean import mean
from sercli.types import Array, Predictions


@dataclass(frozen=True)
class Config:
    """Nothing to set."""


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): the mean over the members that have input."""
    return mean(members)
