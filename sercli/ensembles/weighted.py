"""Decision level: a weighted mean of the members' probabilities, with weights searched on the validation part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sercli.types import Array, PositiveInt, Predictions


@dataclass(frozen=True)
class Config:
    """How the weights are searched."""

    steps: PositiveInt = 100  # weights of 0, 1/steps, ..., 1 are tried


def fit(members: Sequence[Predictions], y: Array, config: Config) -> dict[str, Array]:
    """Search the weights (M,) with the lowest cross-entropy, adding one member after the other to the mixture.

    The original study took the weight with the best accuracy. Many weights have the same accuracy on a small
    validation part; the cross-entropy differs between them, so that the choice is not left to chance.
    """
    mixture, *others = (member.probs[np.arange(len(y)), y] for member in members)  # (N,) probability of the true class
    weights = np.ones(1)
    tried = np.linspace(0.0, 1.0, config.steps + 1)
    for other in others:
        losses = [-np.log(np.maximum(w * mixture + (1 - w) * other, 1e-12)).mean() for w in tried]
        best = tried[int(np.argmin(losses))]
        mixture = best * mixture + (1 - best) * other
        weights = np.append(best * weights, 1 - best)
    return {"weights": weights}


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): the weighted mean over the members."""
    mean: Array = np.einsum("m,mnk->nk", state["weights"], np.stack([member.probs for member in members]))
    return mean
