"""Decision level: sound decides, and words add to it as far as they can be trusted.

For members that come from different corpora, on which no weight can be searched. The weight of the words is a bound
times the recogniser's confidence, so that words which were hardly understood, or in a language that it does not know,
change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sercli.types import Array, Fraction, Predictions

LEARNS = False


@dataclass(frozen=True)
class Config:
    """How much words may count."""

    cap: Fraction = 0.35  # weight of fully trusted words; sound has the rest


def fit(members: Sequence[Predictions], y: Array, config: Config) -> dict[str, Array]:
    """Nothing is learned: the bound is the configuration's."""
    return {"cap": np.array(config.cap)}


def combine(members: Sequence[Predictions], state: dict[str, Array]) -> Array:
    """(N, K): (1 - w) sound + w words, w = cap times how far an utterance's words can be trusted."""
    sound, words = members
    trust = np.ones(len(words.ids)) if words.trust is None else words.trust
    weight = (float(state["cap"]) * trust)[:, None]  # (N, 1)
    mixed: Array = (1 - weight) * sound.probs + weight * words.probs
    return mixed
