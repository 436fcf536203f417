"""Decision level: for each utterance, the member with the highest confidence decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sercli.types import Array, Predictions


@dataclass(frozen=True)
class Config:
    """Nothing to set."""


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): the probabilities of the member that has the highest one for any class; the first member wins a tie."""
    stacked = np.stack([member.probs for member in members])  # (M, N, K)
    surest = np.nan_to_num(stacked.max(axis=2), nan=-1).argmax(axis=0)  # (N,)
    return stacked[surest, np.arange(stacked.shape[1])]
