"""Groups of predictions with the same voice or room, which are adapted together."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from sercli.model import adaptation
from sercli.model.inference import Ensemble, Model
from sercli.speakers import clustering
from sercli.types import NEUTRAL, Adapted, Array, Prediction, Predictions, Way

LIVE = 100
"""Utterances of a stream that one is adapted to at most, so that memory and time do not grow."""


def adapted(
    model: Model | Ensemble,
    predictions: Sequence[Prediction],
    way: Way,
    group: Literal["recording", "folder", "speaker"],
    *,
    resting: Sequence[Prediction] = (),
    min_confidence: float = 0.0,
) -> list[Prediction]:
    """Return the predictions of one group, adapted to what shifts them all.

    Args:
        model: that made the predictions; one that cannot adapt leaves them as they are.
        predictions: of the group; those without probabilities are left as they are.
        way: as in `sercli.load`. A group of fewer than `adaptation.LEAST` utterances is not adapted to.
        group: what the utterances have in common.
        resting: predictions for clips of the same voice that are known to be neutral: they are adapted to first,
            however small the group is.
        min_confidence: below this probability the label is "unsure".
    """
    places = [n for n, one in enumerate(predictions) if one.probabilities]
    together = way != "none" and len(places) >= adaptation.LEAST
    if not places or not model.can_adapt or not (together or resting):
        return list(predictions)
    how = Adapted(group, len(places), way) if together else Adapted("voice", len(resting), "neutral")
    if together and resting:
        how = replace(how, how=f"neutral, {way}")

    def change(member: str, probs: Array, expected: Array) -> Array:
        if resting:
            heard = _table([one.members[member] if member else _plain(one) for one in resting], model.labels)
            probs = adaptation.at_rest(probs, expected, resting=heard, neutral=model.labels.index(NEUTRAL))
        return adaptation.by_group(probs, expected, way=way) if together else probs

    anew = model.adapted(_together(model, [predictions[n] for n in places]), change)
    found = list(predictions)
    for row, n in enumerate(places):
        probabilities = dict(zip(model.labels, anew.probs[row].tolist(), strict=True))
        labelled = found[n].labelled(probabilities, min_confidence)
        found[n] = replace(labelled, adapted=how, unadapted=_plain(found[n]))
    return found


def adapted_so_far(
    model: Model | Ensemble,
    predictions: Iterable[Prediction],
    way: Way,
    *,
    resting: Sequence[Prediction] = (),
    min_confidence: float,
) -> Iterator[Prediction]:
    """Yield predictions of a stream as they come, each adapted to the last ones up to itself."""
    group: deque[Prediction] = deque(maxlen=LIVE)
    for one in predictions:
        if one.probabilities:
            group.append(one)
            *_, one = adapted(model, group, way, "recording", resting=resting, min_confidence=min_confidence)
        yield one


def with_speakers(predictions: Sequence[Prediction], voices: Array, n_speakers: int | None) -> list[Prediction]:
    """Return the predictions of one recording with the speakers of their voices (N, E); None: how many is found."""
    lengths_s = [one.end_s - one.start_s for one in predictions]
    numbers = clustering.assign(voices, lengths_s, n_speakers=n_speakers).tolist()
    return [replace(one, speaker=clustering.name(n)) for one, n in zip(predictions, numbers, strict=True)]


def by_key(
    model: Model | Ensemble,
    predictions: Iterable[Prediction],
    key: Callable[[Prediction], str | None],
    way: Way,
    group: Literal["recording", "folder", "speaker"],
    *,
    resting: Sequence[Prediction] = (),
    min_confidence: float = 0.0,
) -> list[Prediction]:
    """Return predictions in their order, each adapted to the group that its key names; None: it belongs to none."""
    found = list(predictions)
    members: dict[str, list[int]] = {}
    for n, one in enumerate(found):
        if (name := key(one)) is not None:
            members.setdefault(name, []).append(n)
    for places in members.values():
        together = [found[n] for n in places]
        anew = adapted(model, together, way, group, resting=resting, min_confidence=min_confidence)
        for n, one in zip(places, anew, strict=True):
            found[n] = one
    return found


def _together(model: Model | Ensemble, predictions: Sequence[Prediction]) -> Predictions:
    """Return predictions as one table; the members' probabilities are NaN where one had no input."""
    names = dict.fromkeys(name for one in predictions for name in one.members)
    confidence = np.array([1.0 if one.asr_confidence is None else one.asr_confidence for one in predictions])
    return Predictions(
        tuple(map(str, range(len(predictions)))),
        model.labels,
        _table([_plain(one) for one in predictions], model.labels),
        asr_confidence=confidence,
        members={name: _table([one.members.get(name) for one in predictions], model.labels) for name in names},
    )


def _plain(prediction: Prediction) -> dict[str, float]:
    """Return the probabilities of a prediction before it was adapted."""
    return prediction.probabilities if prediction.unadapted is None else prediction.unadapted


def _table(rows: Sequence[Mapping[str, float] | None], labels: Sequence[str]) -> Array:
    """(N, K) float64; a row of NaN where there is none."""
    return np.array([[np.nan if row is None else row[label] for label in labels] for row in rows])
