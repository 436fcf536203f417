"""The WA that the original study reports on IEMOCAP with four classes, from its README."""

import re
from collections.abc import Sequence

import numpy as np

from sercli.evaluation import slices
from sercli.evaluation.results import PooledPredictions, Published
from sercli.evaluation.slices import Part
from sercli.model.papers import PAPERS, UNKNOWN
from sercli.types import FOUR, Utterance

SOURCE = "https://github.com/PiotrSobczak/speech-emotion-recognition"
CORPUS, SESSION = "iemocap", "Ses05"

# Tested on the 1241 utterances of session 5; the validation part, every 10th of the rest, shares training speakers.
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


def published(system: PooledPredictions, utterances: Sequence[Utterance]) -> Published | None:
    """The WA of the original study for a system, beside that of ours on session 5; None if it reports none.

    Args:
        system: named after a preset or rule, as `evaluate` shows it; what follows in brackets is ignored.
        utterances: (N,) its test data.
    """
    wa = SESSION_5.get(_preset(system.name))
    session_5 = [place for place, u in enumerate(utterances) if u.corpus == CORPUS and u.session == SESSION]
    if wa is None or not session_5 or set(system.runs[0].labels) != set(FOUR):
        return None
    (ours,) = slices.slices(system, [Part("session", SESSION, np.array(session_5))], system.runs[0].ids)
    return Published(wa, ours)


def protocols(systems: Sequence[PooledPredictions], utterances: Sequence[Utterance]) -> list[str]:
    """Return what the paper of each system reports on the corpus and how that was measured, a sentence each."""
    if {u.corpus for u in utterances} != {CORPUS}:
        return []
    papers = {system.name: PAPERS[own] for system in systems if (own := _preset(system.name)) in PAPERS}
    return [
        f"{name}: {paper.authors} {paper.year} report {paper.figure}. Protocol: {paper.protocol}. "
        f"Caveat: {paper.caveat}."
        for name, paper in papers.items()
        if paper.figure != UNKNOWN
    ]


def _preset(system: str) -> str:
    return re.sub(r" \(.*\)$", "", system)
