"""What an answer may rest on, as the picture of `ser predict --explain` shows it: dataclasses alone."""

from dataclasses import dataclass
from typing import Literal

from sercli.types import Array

Kind = Literal["attention", "occlusion"]


@dataclass(frozen=True)
class Weighing:
    """How much each piece counted of what one model read.

    Attention is how a network shares out its reading: weights that sum to 1. That it looked somewhere does not mean
    that its answer rests on it (Jain and Wallace 2019, "Attention is not explanation").

    Occlusion is what taking a piece away does: by how much the answer's probability falls without it, below 0 where it
    rises. That is what the answer rests on, piece by piece; what several pieces say alike, or only together, does not
    show.
    """

    kind: Kind
    weights: Array  # (n,) float64


@dataclass(frozen=True)
class Explanation:
    """One utterance's answer with what each model made of the pieces that it read. Times are those of the recording."""

    answer: str  # the likeliest class, whose probability occlusion follows
    probs: dict[str, dict[str, float]]  # of "sound", "words" and "together" those that were asked; each sums to 1
    signal: Array  # (n_samples,) of the utterance
    rate_hz: int
    start_s: float  # where the utterance begins
    sound: Weighing | None  # None: sound was not read
    edges_s: Array  # (n + 1,) where the pieces of the sound begin, and where the last one ends
    language: Weighing | None  # None: words were not read
    words: tuple[str, ...]  # (n,) its pieces
    spans_s: tuple[tuple[float, float], ...]  # (n,) from when to when each word is spoken; empty where nobody knows
    asr_confidence: float | None  # in [0, 1]: how surely the words were heard; None: they were given
