"""Decision level: a weighted mean of the members' probabilities, the weight searched on the validation part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sercli.types import Array, PositiveInt, Predictions


@dataclass(frozen=True)
class Config:
    """How the weight is searched."""

    steps: PositiveInt = 100  # the first member's weight is tried at 0, 1/steps, ..., 1


def fit(members: Sequence[Predictions], y: Array, config: Config) -> dict[str, Array]:
    """Find the weight of the first of two members with the lowest cross-entropy.

    The original study took the weight with the best accuracy. Many weights share one accuracy on a small validation
    part; the cross-entropy tells them apart and does not decide by chance.
    """
    first, second = (member.probs[np.arange(len(y)), y] for member in members)  # (N,) probability of the truth
    tried = np.linspace(0.0, 1.0, config.steps + 1)
    losses = [-np.log(np.maximum(weight * first + (1 - weight) * second, 1e-12)).mean() for weight in tried]
    best = tried[int(np.argmin(losses))]
    return {"weights": np.array([best, 1 - best])}


def combine(members: Sequence[Predictions], state: dict[str, Array]) -> Array:
    """(N, K): the weighted mean over members."""
    mixed: Array = np.einsum("m,mnk->nk", state["weights"], np.stack([member.probs for member in members]))
    return mixed
