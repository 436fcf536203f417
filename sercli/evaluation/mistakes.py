"""The most confident wrong predictions of a system: those to listen to first."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from sercli.audio.reading import read
from sercli.audio.soundfiles import as_mp3
from sercli.errors import AudioError, SerError
from sercli.evaluation.inputs import EvaluationInputs
from sercli.evaluation.results import Evaluation, Mistake, PooledPredictions
from sercli.types import SAMPLE_RATE_HZ, Array, Utterance

_MOST, _N_CLIPS = 20, 5
_LONGEST_S = 15


def mistakes(predictions: PooledPredictions, utterances: Sequence[Utterance]) -> tuple[Mistake, ...]:
    """The 20 most confident mistakes, in falling order of confidence.

    With several seeds the mean of their probabilities counts, so a mistake of a single training is not listed.

    Args:
        predictions: of N labelled utterances.
        utterances: (N,) the same ones.
    """
    labels = predictions.runs[0].labels
    probs: Array = np.mean([run.probs for run in predictions.runs], axis=0)
    runs = predictions.runs
    names = dict.fromkeys(name for run in runs for name in run.members)
    members = {name: np.mean([run.members[name] for run in runs if name in run.members], axis=0) for name in names}
    wrong = np.flatnonzero(probs.argmax(axis=1) != predictions.truth)
    chosen = wrong[np.argsort(-probs[wrong].max(axis=1), kind="stable")][:_MOST]
    return tuple(
        Mistake(
            id=u.id,
            path=u.audio,
            start_s=u.start_s,
            # a person's transcript, else a recogniser's
            words=u.text,
            truth=labels[predictions.truth[place]],
            answer=labels[int(probs[place].argmax())],
            confidence=float(probs[place].max()),
            members={
                name: (labels[int(of_member[place].argmax())], float(of_member[place].max()))
                for name, of_member in members.items()
                if np.isfinite(of_member[place]).all()  # NaN: that member had no input
            },
            speaker=u.speaker,
        )
        for place, u in ((place, utterances[place]) for place in chosen.tolist())
    )


def clips(evaluation: Evaluation, inputs: EvaluationInputs) -> dict[str, bytes]:
    """Id -> MP3 of the first seconds of the best system's five most confident mistakes, as far as they can be read.

    Raises:
        SerError: the dataset was not found.
    """
    if inputs.dataset is None:
        raise SerError("--with-audio needs the runs' dataset, which was not found; give it with --data.")
    found = {}
    wanted = (one.id for one in evaluation.systems[0].mistakes[:_N_CLIPS] if one.path is not None)
    for u in inputs.dataset.select(wanted):
        with suppress(AudioError):
            path = Path(inputs.dataset.info.root, u.audio or "")
            signal = read(path, start_s=u.start_s, end_s=u.end_s)
            found[u.id] = as_mp3(signal[: _LONGEST_S * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    return found
