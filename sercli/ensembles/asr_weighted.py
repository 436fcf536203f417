"""Decision level: audio decides, text counts as the recogniser is sure of it; a person's text counts as sure.

For models that were trained on different corpora, where no common data is there to search a weight on. The weight of
the text is a fixed maximum times the recogniser's confidence, so that text that was hardly recognised, or that is in a
language which the recogniser does not know, changes nothing. Nor does text without emotion: most sentences do not show
how they are meant, and a neutral sentence that is spoken in anger is anger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sercli.ensembles._mean import mean
from sercli.errors import MismatchError
from sercli.types import Array, Fraction, Predictions

WEIGHS_CONFIDENCE = True


@dataclass(frozen=True)
class Config:
    """How much text may count."""

    cap: Fraction = 0.35  # weight of text with an ASR confidence of 1; audio has the rest
    # The class of text without emotion: its probability goes to the classes as audio rates them; null: no such class
    background: str | None = "neutral"


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): (1 - w) audio + w text, with w = cap x the utterance's ASR confidence.

    Several members of a kind count as their mean, and all that do not read text alone as audio. Where one of the two is
    missing, the other decides.

    Raises:
        MismatchError: no member reads text alone, or all do.
    """
    texts = [member for member in members if member.modality == "linguistic"]
    audios = [member for member in members if member.modality != "linguistic"]
    if not texts or not audios:
        raise MismatchError(
            f"The rule asr-weighted combines linguistic models with others, not {len(texts)} linguistic with "
            f"{len(audios)} others; choose another rule, such as average."
        )
    text, audio, labels = mean(texts), mean(audios), texts[0].labels
    confidence = np.ones(len(audio)) if texts[0].asr_confidence is None else texts[0].asr_confidence
    weight = (config.cap * confidence)[:, None]  # (N, 1)
    read = text.copy()
    if config.background in labels:  # its probability is dealt out in proportion to the audio's
        column = labels.index(config.background)
        read[:, column] = 0
        read += text[:, column : column + 1] * audio
    mixed = (1 - weight) * audio + weight * read
    return np.where(np.isnan(text), audio, np.where(np.isnan(audio), text, mixed))
