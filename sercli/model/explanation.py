"""What a prediction may depend on, for the picture of `ser predict --explain`: dataclasses alone."""

from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True)
class Explanation:
    """The prediction for one utterance, with the weight of each piece that a model read. Times are the recording's."""

    predicted: str  # the most probable class, whose probability occlusion follows
    probs: dict[str, dict[str, float]]  # by "audio", "text" and "together" as far as there are some; each sums to 1
    signal: Array  # (n_samples,) of the utterance
    rate_hz: int
    start_s: float  # of the utterance
    audio: Weighing | None  # None: no model reads audio
    edges_s: Array  # (n + 1,) start of each piece of the audio, and the end of the last one
    text: Weighing | None  # None: no model reads text, or there is none
    words: tuple[str, ...]  # (n,) the pieces of the text
    spans_s: tuple[tuple[float, float], ...]  # (n,) start and end of each word; empty where they are unknown
    asr_confidence: float | None  # in [0, 1]; None: the text was given

    @property
    def length_s(self) -> float:
        """Length of the utterance."""
        return len(self.signal) / self.rate_hz
