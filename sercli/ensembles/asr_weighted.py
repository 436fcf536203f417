"""Decision level: sound decides, and words add to it as far as they can be trusted.

For members that come from different corpora, on which no weight can be searched. The weight of the words is a bound
times the recogniser's confidence, so that words which were hardly understood, or in a language that it does not know,
change nothing. Nor do words without emotion: most sentences say nothing of how they are meant, and a neutral one
spoken in anger is anger.
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
    # What words believe of this class goes to whatever sound says; null: it counts like any other class.
    background: str | None = "neutral"


def fit(members: Sequence[Predictions], y: Array, config: Config) -> dict[str, Array]:
    """Nothing is learned: the state is the configuration."""
    return {"cap": np.array(config.cap), "background": np.array(config.background or "")}


def combine(members: Sequence[Predictions], state: dict[str, Array]) -> Array:
    """(N, K): (1 - w) sound + w words, w = cap times how far an utterance's words can be trusted.

    The words' probability of the background class is dealt out as sound deals its own.
    """
    sound, words = members
    trust = np.ones(len(words.probs)) if words.asr_confidence is None else words.asr_confidence
    weight = (float(state["cap"]) * trust)[:, None]  # (N, 1)
    said = words.probs
    if str(state["background"]) in sound.labels:
        background = sound.labels.index(str(state["background"]))
        said = said.copy()
        said[:, background] = 0
        said += words.probs[:, background : background + 1] * sound.probs
    mixed: Array = (1 - weight) * sound.probs + weight * said
    return mixed
