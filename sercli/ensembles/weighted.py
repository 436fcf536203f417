"""Decision level: a weighted mean of the members' probabilities, with weights searched on the validation part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sercli.types import Array, PositiveInt, Predictions


@dataclass(frozen=True)
class Config:
    """How the weights are searched."""

    steps: PositiveInt = 100  # weights are multiples of 1/steps


def fit(members: Sequence[Predictions], y: Array, config: Config) -> dict[str, Array]:
    """Search the weights (M,), which sum to 1, with the lowest cross-entropy.

    All divisions of what two members weigh together are tried, for one pair after the other until nothing changes. The
    cross-entropy is convex in the weights, so that this ends near the lowest one of all.

    The original study took the weight with the best accuracy. Many weights have the same accuracy on a small
    validation part; the cross-entropy differs between them, so that the choice is not left to chance.
    """
    of_truth = np.stack([member.probs[np.arange(len(y)), y] for member in members])  # (M, N)
    counts = np.zeros(len(members), np.int64)  # weights times `steps`
    counts[0], before = config.steps, None
    while before != counts.tolist():
        before = counts.tolist()
        for first, second in combinations(range(len(members)), 2):
            tried = np.tile(counts, (counts[first] + counts[second] + 1, 1))  # one division of their weight a row
            tried[:, first] = np.arange(len(tried))
            tried[:, second] = tried[::-1, first]
            losses = -np.log(np.maximum(tried / config.steps @ of_truth, 1e-12)).mean(axis=1)
            counts = tried[int(np.argmin(losses))]
    return {"weights": counts / config.steps}


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): the weighted mean over the members that have input; they share the weight of those that have none."""
    probs = np.stack([member.probs for member in members])
    weights = np.where(np.isnan(probs), 0, state["weights"][:, None, None])
    weights = np.where(
        weights.sum(axis=0) > 0, weights, ~np.isnan(probs)
    )  # all that are left weigh 0: they count alike
    return (weights * np.nan_to_num(probs)).sum(axis=0) / weights.sum(axis=0)
