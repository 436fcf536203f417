"""Groups of predictions with the same voice or room, which are adapted together."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sercli.model import adaptation
from sercli.model.inference import Ensemble, Model
from sercli.speakers import clustering
from sercli.types import NEUTRAL, Adapted, Array, Group, Prediction, Predictions, Way

LIVE = 100
"""Utterances of a stream that one is adapted to at most, so that memory and time do not grow."""


@dataclass(frozen=True)
class Adapter:
    """Adapts predictions to what shifts all of a group.

    Attributes:
        model: that made the predictions; one that cannot adapt leaves them as they are.
        way: as in `sercli.load`. A group of fewer than `adaptation.LEAST` utterances is not adapted to.
        resting: predictions for clips of the same voice that are known to be neutral: all are adapted to them first,
            however small the group is.
    """

    model: Model | Ensemble
    way: Way
    resting: Sequence[Prediction] = ()

    @property
    def is_of_use(self) -> bool:
        """Whether a large enough group is adapted to."""
        return self.way != "none" and self.model.can_adapt

    def adapted(
        self, predictions: Iterable[Prediction], group: Group, *, min_confidence: float = 0.0
    ) -> list[Prediction]:
        """Return predictions in their order, each adapted to its group.

        Args:
            predictions: those without probabilities are left as they are.
            group: what those of a group have in common; of one recording: all are a group. One whose speaker is not
                known belongs to none.
            min_confidence: below this probability the label is "unsure".
        """
        found = list(predictions)
        places: dict[str | None, list[int]] = {}
        for n, one in enumerate(found):
            name = {"recording": "", "folder": str(Path(one.path).parent), "speaker": one.speaker}[group]
            if one.probabilities and name is not None:
                places.setdefault(name, []).append(n)
        for own in places.values():
            anew = self._together([found[n] for n in own], group, min_confidence)
            for n, one in zip(own, anew, strict=True):
                found[n] = one
        return found

    def so_far(self, predictions: Iterable[Prediction], *, min_confidence: float) -> Iterator[Prediction]:
        """Yield predictions of a stream as they come, each adapted to the last ones up to itself."""
        group: deque[Prediction] = deque(maxlen=LIVE)
        for one in predictions:
            if one.probabilities:
                group.append(one)
                *_, one = self.adapted(group, "recording", min_confidence=min_confidence)
            yield one

    def _together(self, group: Sequence[Prediction], kind: Group, min_confidence: float) -> Sequence[Prediction]:
        """Return the predictions of one group, all with probabilities, adapted."""
        model, resting = self.model, self.resting
        enough = self.way != "none" and len(group) >= adaptation.LEAST
        if not model.can_adapt or not (enough or resting):
            return group
        how = Adapted(kind, len(group), self.way) if enough else Adapted("voice", len(resting), "neutral")
        if enough and resting:
            how = replace(how, how=f"neutral, {self.way}")

        def change(member: str, probs: Array, expected: Array) -> Array:
            if resting:
                heard = _table([one.members[member] if member else _plain(one) for one in resting], model.labels)
                probs = adaptation.at_rest(probs, expected, resting=heard, neutral=model.labels.index(NEUTRAL))
            return adaptation.by_group(probs, expected, way=self.way) if enough else probs

        anew = model.adapted(_as_table(model, group), change)
        by_label = [dict(zip(model.labels, row, strict=True)) for row in anew.probs.tolist()]
        return [
            replace(one.labelled(probabilities, min_confidence), adapted=how, unadapted=_plain(one))
            for one, probabilities in zip(group, by_label, strict=True)
        ]


def with_speakers(predictions: Sequence[Prediction], voices: Array, n_speakers: int | None) -> list[Prediction]:
    """Return the predictions of one recording with the speakers of their voices (N, E); None: how many is found."""
    lengths_s = [one.end_s - one.start_s for one in predictions]
    numbers = clustering.assign(voices, lengths_s, n_speakers=n_speakers).tolist()
    return [replace(one, speaker=clustering.name(n)) for one, n in zip(predictions, numbers, strict=True)]


def _as_table(model: Model | Ensemble, predictions: Sequence[Prediction]) -> Predictions:
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
