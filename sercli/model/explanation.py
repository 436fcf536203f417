"""What a prediction may depend on, for the picture of `ser predict --explain`: dataclasses alone."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sercli.types import Array

Kind = Literal["attention", "occlusion"]


@dataclass(frozen=True)
class Weighing:
    """The weight of each piece of one model's input.

    Attention is how a network distributes its attention: weights that sum to 1. High attention does not mean that the
    prediction depends on it (Jain and Wallace 2019, "Attention is not explanation").

    Occlusion is the effect of removing a piece: by how much the probability of the predicted class falls without it,
    below 0 where it rises. The prediction depends on these pieces one by one; occlusion does not show what several
    pieces say alike, or only together.
    """

    kind: Kind
    weights: Array  # (n,) float64
    source: str  # what the model reads: "audio" or "text", with a number where several members read it
    edges_s: Array = field(default_factory=lambda: np.zeros(0))  # (n + 1,) of audio: where its pieces begin and end


@dataclass(frozen=True)
class Explanation:
    """The prediction for one utterance, with the weight of each piece that a model read. Times are the recording's."""

    predicted: str  # the most probable class, whose probability occlusion follows
    probs: dict[str, dict[str, float]]  # by each source, and "together" if there are several; each sums to 1
    signal: Array  # (n_samples,) of the utterance
    rate_hz: int
    start_s: float  # of the utterance
    audio: tuple[Weighing, ...]  # one for each model that reads audio
    text: tuple[Weighing, ...]  # one for each model that reads text, if there is some
    words: tuple[str, ...]  # (n,) the pieces of the text
    spans_s: tuple[tuple[float, float], ...]  # (n,) start and end of each word; empty where they are unknown
    asr_confidence: float | None  # in [0, 1]; None: the text was given

    @property
    def length_s(self) -> float:
        """Length of the utterance."""
        return len(self.signal) / self.rate_hz
