"""Groups of predictions with the same voice or room, which are adapted together."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np

from sercli.model import adaptation
from sercli.model.adaptation import Change
from sercli.speakers import clustering
from sercli.types import NEUTRAL, Adapted, Array, Prediction, Predictions, Way

LIVE = 100
"""Utterances of a stream that one is adapted to at most, so that memory and time do not grow."""


class Adapts(Protocol):
    """A model whose predictions can be adapted to a group, if `can_adapt`."""

    labels: tuple[str, ...]  # (K,) the classes in the order of the probabilities
    can_adapt: bool

    def adapted(self, predictions: Predictions, change: Change, /) -> Predictions:
        """Return predictions with the probabilities of members that can adapt changed, and combined anew."""


def adapted(
    model: Adapts,
    predictions: Sequence[Prediction],
    way: Way,
    group: Literal["recording", "folder", "speaker"],
    *,
    min_confidence: float = 0.0,
) -> list[Prediction]:
    """Return the predictions of one group, adapted to what shifts them all.

    A group of fewer than `adaptation.LEAST` utterances, or of a model that cannot adapt, is returned as it is.
    """
    n = sum(1 for one in predictions if one.probabilities)
    if way == "none" or not model.can_adapt or n < adaptation.LEAST:
        return list(predictions)
    how = Adapted(group, n, way)

    def change(_: str, probs: Array, expected: Array) -> Array:
        return adaptation.by_group(probs, expected, way=way)

    return changed(model, predictions, change, how, min_confidence=min_confidence)


def adapted_so_far(
    model: Adapts, predictions: Iterable[Prediction], way: Way, *, min_confidence: float
) -> Iterator[Prediction]:
    """Yield predictions of a stream as they come, each adapted to the last ones up to itself."""
    group: deque[Prediction] = deque(maxlen=LIVE)
    for one in predictions:
        if one.probabilities:
            group.append(one)
            *_, one = adapted(model, group, way, "recording", min_confidence=min_confidence)
        yield one


def with_speakers(predictions: Sequence[Prediction], voices: Array, n_speakers: int | None) -> list[Prediction]:
    """Return the predictions of one recording with the speakers of their voices (N, E); None: how many is found."""
    lengths_s = [one.end_s - one.start_s for one in predictions]
    numbers = clustering.assign(voices, lengths_s, n_speakers=n_speakers).tolist()
    return [replace(one, speaker=clustering.name(n)) for one, n in zip(predictions, numbers, strict=True)]


def changed(
    model: Adapts, predictions: Sequence[Prediction], change: Change, how: Adapted, *, min_confidence: float = 0.0
) -> list[Prediction]:
    """Return predictions with the probabilities by audio changed; those without probabilities are left as they are.

    Args:
        model: that made the predictions, and can adapt.
        predictions: of any recordings.
        change: gets the probabilities of all at once.
        how: describes the change.
        min_confidence: below this probability the label is "unsure".
    """
    places = [n for n, one in enumerate(predictions) if one.probabilities]
    found = list(predictions)
    if places:
        anew = model.adapted(_together(model, [predictions[n] for n in places]), change)
        for row, n in enumerate(places):
            probabilities = dict(zip(model.labels, anew.probs[row].tolist(), strict=True))
            labelled = found[n].labelled(probabilities, min_confidence)
            found[n] = replace(labelled, adapted=how, unadapted=found[n].probabilities)
    return found


def at_rest(
    model: Adapts, predictions: Sequence[Prediction], resting: Sequence[Prediction], *, min_confidence: float
) -> list[Prediction]:
    """Return predictions adapted to a voice, by those for clips of it that are known to be neutral."""

    def change(member: str, probs: Array, expected: Array) -> Array:
        heard = table([one.members[member] if member else one.probabilities for one in resting], model.labels)
        return adaptation.at_rest(probs, expected, resting=heard, neutral=model.labels.index(NEUTRAL))

    how = Adapted("voice", len(resting), "neutral")
    return changed(model, predictions, change, how, min_confidence=min_confidence)


def by_key(
    model: Adapts,
    predictions: Iterable[Prediction],
    key: Callable[[Prediction], str | None],
    way: Way,
    group: Literal["recording", "folder", "speaker"],
    *,
    min_confidence: float = 0.0,
) -> list[Prediction]:
    """Return predictions in their order, each adapted to the group that its key names; None: it belongs to none."""
    found = list(predictions)
    members: dict[str, list[int]] = {}
    for n, one in enumerate(found):
        if (name := key(one)) is not None:
            members.setdefault(name, []).append(n)
    for places in members.values():
        anew = adapted(model, [found[n] for n in places], way, group, min_confidence=min_confidence)
        for n, one in zip(places, anew, strict=True):
            found[n] = one
    return found


def _together(model: Adapts, predictions: Sequence[Prediction]) -> Predictions:
    """Return predictions as one table; the members' probabilities are NaN where one had no input."""
    names = dict.fromkeys(name for one in predictions for name in one.members)
    confidence = np.array([1.0 if one.asr_confidence is None else one.asr_confidence for one in predictions])
    return Predictions(
        tuple(map(str, range(len(predictions)))),
        model.labels,
        table([one.probabilities for one in predictions], model.labels),
        asr_confidence=confidence,
        members={name: table([one.members.get(name) for one in predictions], model.labels) for name in names},
    )


def table(rows: Sequence[Mapping[str, float] | None], labels: Sequence[str]) -> Array:
    """(N, K) float64; a row of NaN where there is none."""
    return np.array([[np.nan if row is None else row[label] for label in labels] for row in rows])
