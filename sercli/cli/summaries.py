"""What a recording, and each speaker in it, comes to: shares of time, mean probabilities, the strongest moments."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sercli.types import NEUTRAL, UNSURE, Prediction

_MOMENTS = 3


@dataclass
class Summary:
    """The utterances of a recording, or of one speaker in it, added one by one."""

    path: str  # of the recording
    speaker: str | None = None  # None: all
    n: int = 0  # utterances
    time_s: float = 0.0  # their time
    spent_s: defaultdict[str | None, float] = field(default_factory=lambda: defaultdict(float))  # label -> time
    weighted_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))  # time x probability
    moments: list[Prediction] = field(default_factory=list)  # the most confident utterances that are not neutral
    row: dict[str, object] = field(default_factory=dict)  # cells of the table that all its rows have in common

    def add(self, p: Prediction) -> None:
        """Count an utterance."""
        seconds = p.end_s - p.start_s
        self.row = {name: cell if self.row.get(name, cell) == cell else None for name, cell in p.row.items()}
        self.n += 1
        self.time_s += seconds
        self.spent_s[p.label] += seconds
        for label, probability in p.probabilities.items():
            self.weighted_s[label] += seconds * probability
        if p.label not in (None, UNSURE, NEUTRAL):
            self.moments = sorted([*self.moments, p], key=lambda one: -(one.confidence or 0.0))[:_MOMENTS]

    def share(self, label: str | None) -> float:
        """Return the share of time of a label; None: of utterances without one."""
        return self.spent_s[label] / self.time_s if self.time_s else 0.0

    @property
    def mean(self) -> dict[str, float]:
        """The mean probability of each class over the time that has probabilities; empty without any."""
        total_s = sum(self.weighted_s.values())
        return {label: weighted_s / total_s for label, weighted_s in self.weighted_s.items()}


def summaries(predictions: Iterable[Prediction]) -> Iterator[list[Summary]]:
    """Yield for each recording its summary, then one for each speaker; a single one where one speaker says all.

    A recording is over when the next begins; those of a table, whose rows may come in any order, at the end.
    """
    found: dict[str, dict[str | None, Summary]] = {}
    for p in predictions:
        if found and not p.row and p.path not in found:
            yield from map(_without_doubles, found.values())
            found = {}
        of_recording = found.setdefault(p.path, {})
        for speaker in dict.fromkeys((None, p.speaker)):
            of_recording.setdefault(speaker, Summary(p.path, speaker)).add(p)
    yield from map(_without_doubles, found.values())


def _without_doubles(found: dict[str | None, Summary]) -> list[Summary]:
    everything, *speakers = found.values()
    return speakers if len(speakers) == 1 and speakers[0].n == everything.n else [everything, *speakers]
