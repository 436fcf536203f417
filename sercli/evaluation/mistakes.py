"""The wrong answers that a system was surest of: those to listen to first."""

from collections.abc import Sequence

import numpy as np

from sercli.evaluation.metrics import class_numbers
from sercli.evaluation.results import Answers, Mistake
from sercli.types import Array, Predictions, Utterance


def mistakes(answers: Answers, utterances: Sequence[Utterance], n: int = 20) -> tuple[Mistake, ...]:
    """The most confident mistakes, the surest first.

    Of several seeds the mean of their probabilities counts: what one training alone gets wrong is not in the list.

    Args:
        answers: of N utterances whose labels are known.
        utterances: (N,) the same ones.
        n: how many, at most.
    """
    run = answers.runs[0]
    assert run.truth is not None, f"the utterances of '{answers.name}' have no labels"
    probs = np.mean([one.probs for one in answers.runs], axis=0)
    members = _members(answers.runs)
    wrong = np.flatnonzero(probs.argmax(axis=1) != class_numbers(run.truth, run.labels))
    surest = wrong[np.argsort(-probs[wrong].max(axis=1), kind="stable")][:n]
    return tuple(
        Mistake(
            id=utterances[place].id,
            path=utterances[place].audio,
            start_s=utterances[place].start_s,
            words=_words(utterances[place]),
            truth=run.truth[place],
            answer=run.labels[int(probs[place].argmax())],
            confidence=float(probs[place].max()),
            members={
                modality: (run.labels[int(of_member[place].argmax())], float(of_member[place].max()))
                for modality, of_member in members.items()
                if np.isfinite(of_member[place]).all()  # NaN: that member had no input
            },
        )
        for place in surest.tolist()
    )


def _members(runs: Sequence[Predictions]) -> dict[str, Array]:
    """What each member says, (N, K), the mean over those seeds that tell it."""
    names = dict.fromkeys(name for run in runs for name in run.members)
    return {name: np.mean([run.members[name] for run in runs if name in run.members], axis=0) for name in names}


def _words(utterance: Utterance) -> str | None:
    """A person's transcript, else a recogniser's."""
    return utterance.transcripts.get("human") or next(iter(utterance.transcripts.values()), None)
