"""Decision level: audio decides, and text counts as much as the recogniser's confidence allows.

For models that were trained on different corpora, where no common data is there to search a weight on. The weight of
the text is a fixed maximum times the recogniser's confidence, so that text that was hardly recognised, or that is in a
language which the recogniser does not know, changes nothing. Nor does text without emotion: most sentences do not show
how they are meant, and a neutral sentence that is spoken in anger is anger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sercli.errors import MismatchError
from sercli.types import Array, Fraction, Predictions


@dataclass(frozen=True)
class Config:
    """How much text may count."""

    cap: Fraction = 0.35  # weight of text with an ASR confidence of 1; audio has the rest
    # The class of text without emotion: its probability goes to the classes as audio rates them; null: no such class
    background: str | None = "neutral"


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): (1 - w) audio + w text, with w = cap x the utterance's ASR confidence.

    Several audio members count as their mean.

    Raises:
        MismatchError: not exactly one member reads text, or none reads audio.
    """
    texts = [member for member in members if member.modality == "linguistic"]
    audios = [member.probs for member in members if member.modality == "acoustic"]
    if len(texts) != 1 or not audios:
        raise MismatchError(
            "The rule asr-weighted combines one linguistic model with acoustic ones, not "
            f"{len(texts)} linguistic with {len(audios)} acoustic; choose another rule, such as average."
        )
    (text,) = texts
    audio: Array = np.mean(audios, axis=0)
    confidence = np.ones(len(audio)) if text.asr_confidence is None else text.asr_confidence
    weight = (config.cap * confidence)[:, None]  # (N, 1)
    mixed: Array = (1 - weight) * audio + weight * _without_background(text, audio, config.background)
    return mixed


def _without_background(text: Predictions, audio: Array, background: str | None) -> Array:
    """(N, K): the text's probabilities, that of the background class dealt out in proportion to the audio's."""
    if background not in text.labels:
        return text.probs
    column = text.labels.index(background)
    probs = text.probs.copy()
    probs[:, column] = 0
    probs += text.probs[:, column : column + 1] * audio
    return probs
