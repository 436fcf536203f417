"""The WA that the original study reports on IEMOCAP with four classes, from its README.

https://github.com/PiotrSobczak/speech-emotion-recognition
"""

import re
from collections.abc import Sequence

from sercli.types import FOUR

CORPUS = "iemocap"

SESSION_5 = {
    "acoustic-spectrogram": 0.553,
    "acoustic-lld": 0.532,
    "linguistic-lstm": 0.589,
    "linguistic-bilstm": 0.594,
    "linguistic": 0.631,
    "max-confidence": 0.667,
    "average": 0.688,
    "weighted": 0.690,
    "feature": 0.711,
}
"""Tested on the 1241 utterances of session 5; the validation part, every 10th of the rest, shares training speakers."""


def published(name: str, corpus: str, labels: Sequence[str]) -> float | None:
    """The WA of the original study for a system on session 5, as a share; None if it reports none.

    Args:
        name: of a preset or rule, as `evaluate` shows it; what follows in brackets is ignored.
        corpus: the test data.
        labels: of the system.

    >>> published("average (human words)", "iemocap", ("neutral", "happiness", "sadness", "anger"))
    0.688
    """
    if corpus != CORPUS or set(labels) != set(FOUR):
        return None
    return SESSION_5.get(re.sub(r" \(.*\)$", "", name))
