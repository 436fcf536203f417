"""The uncertainty of metrics: bootstrap over groups of utterances, and tests of two systems on the same utterances.

Utterances of one speaker (or dialogue) are alike, so groups are drawn, not utterances. All systems share the same
draws, which makes the difference between two systems a paired bootstrap. Seeds are not drawn: an estimate is the mean
over them, and their deviation is shown beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sercli.errors import SerError
from sercli.evaluation.metrics import METRICS, averages, class_numbers
from sercli.evaluation.results import Difference, Estimate, PooledPredictions
from sercli.types import Array, Utterance

N_DRAWS = 10_000
FEW_GROUPS = 16
"""Below, intervals are too narrow: of 100 over 24 speakers 94 hold the true UA, over 10 90, over 5 84 (simulated)."""

_SEED = 2026
_FEWEST = 3  # groups; with fewer there is nothing to draw from
_MANY_DIALOGUES = 20  # enough to prefer them to speakers, where a corpus' official parts share speakers
_BLOCK = 4_000_000  # draws times groups that are held at once


def grouping(utterances: Sequence[Utterance], prefer: str = "speaker") -> tuple[str, list[str]]:
    """What an interval is over, and the group of each utterance.

    Speakers if at least three are known, else dialogues, sessions, and finally single utterances, whose intervals hold
    for these speakers alone. The official parts of a corpus share speakers and have many dialogues: `prefer="session"`
    then takes dialogues or sessions first, if there are at least 20.

    Args:
        utterances: (N,), at least one.
        prefer: "speaker" | "session".

    Returns:
        "speaker" | "dialogue" | "session" | "utterance", and (N,) names.
    """
    found = {
        "speaker": [u.speaker for u in utterances],
        "dialogue": [u.attributes.get("dialogue", u.attributes.get("dialog")) for u in utterances],
        "session": [u.session for u in utterances],
    }
    preferred = [("dialogue", _MANY_DIALOGUES), ("session", _MANY_DIALOGUES)] if prefer == "session" else []
    for kind, fewest in [*preferred, *((kind, _FEWEST) for kind in found)]:
        names = found[kind]
        if all(names) and len(set(names)) >= fewest:
            return kind, [str(name) for name in names]
    return "utterance", [u.id for u in utterances]


@dataclass(frozen=True)
class Resampled:
    """The metrics of a system as observed and on other draws of groups."""

    name: str
    values: dict[str, Array]  # metric -> (S,) one per seed
    draws: dict[str, Array]  # metric -> (D,) means over seeds, one per draw

    def estimate(self, metric: str) -> Estimate:
        """The mean over seeds with its interval."""
        values = self.values[metric]
        deviation = float(values.std(ddof=1)) if len(values) > 1 else None
        return _estimate(float(values.mean()), self.draws[metric], deviation)


def resample(predictions: PooledPredictions, groups: Sequence[str], *, n_draws: int = N_DRAWS) -> Resampled:
    """Draw groups with replacement, as many as there are, D times; the same draws for every system.

    The counts of each group are taken once. A draw is the sum of them, weighted by how often each group was drawn.

    Args:
        predictions: of N labelled utterances.
        groups: (N,) the group of each.
        n_draws: D.

    Raises:
        SerError: all utterances are in one group.
    """
    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    n_groups = int(numbers.max()) + 1
    if n_groups < 2:
        raise SerError(f"There is no interval over a single group ('{groups[0]}'); give another grouping.")
    counts = _count(predictions, numbers, n_groups)
    values = _averages(counts.sum(axis=0)[None])
    blocks = [
        {metric: of_seeds.mean(axis=1) for metric, of_seeds in _averages(np.tensordot(weights, counts, 1)).items()}
        for weights in _weights(n_groups, n_draws)
    ]
    return Resampled(
        predictions.name,
        {metric: values[metric][0] for metric in METRICS},
        {metric: np.concatenate([block[metric] for block in blocks]) for metric in METRICS},
    )


def differences(systems: Sequence[tuple[PooledPredictions, Resampled]]) -> tuple[Difference, ...]:
    """The difference of each two systems on the same utterances, in the order of the systems.

    Args:
        systems: predictions with what `resample` made of them on the same groups; the highest UA first.
    """
    pairs = list(combinations(systems, 2))
    p_ua = [_two_sided(first.draws["ua"] - second.draws["ua"]) for (_, first), (_, second) in pairs]
    return tuple(
        Difference(
            first=first.name,
            second=second.name,
            ua=_gap(first, second, "ua"),
            wa=_gap(first, second, "wa"),
            p_ua=p,
            p_mcnemar=mcnemar(of_first, of_second),
            p_holm=corrected,
        )
        for ((of_first, first), (of_second, second)), p, corrected in zip(pairs, p_ua, holm(p_ua), strict=True)
    )


def mcnemar(first: PooledPredictions, second: PooledPredictions) -> float:
    """The two-sided p of McNemar's exact test: are two systems correct equally often where only one of them is?

    With several seeds each utterance has one vote: for the system that is correct in the larger share of its seeds.
    The test assumes independent utterances, which those of one speaker are not quite.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions".

    Returns:
        p; 1 where the systems are correct on the same utterances.
    """
    from scipy.stats import binomtest

    gap = _n_right(first) * len(second.runs) - _n_right(second) * len(first.runs)  # (N,) integers
    better, worse = int((gap > 0).sum()), int((gap < 0).sum())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of several tests, corrected for their number.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def truth_index(predictions: PooledPredictions) -> Array:
    """(N,) the true class numbers."""
    run = predictions.runs[0]
    assert run.truth is not None, f"the utterances of '{predictions.name}' have no labels"
    return class_numbers(run.truth, run.labels)


def _count(predictions: PooledPredictions, numbers: Array, n_groups: int) -> Array:
    """(G, S, 3, K) for each group, seed and class: how often it is true, predicted, and both.

    The metrics need no more of a confusion matrix, which would have K times K numbers.
    """
    truth, n_classes = truth_index(predictions), len(predictions.runs[0].labels)
    counts = np.zeros((n_groups, len(predictions.runs), 3, n_classes))
    one_hot = np.eye(n_classes)
    for seed, run in enumerate(predictions.runs):
        is_true, is_predicted = one_hot[truth], one_hot[run.probs.argmax(axis=1)]
        np.add.at(counts[:, seed], numbers, np.stack([is_true, is_predicted, is_true * is_predicted], axis=1))
    return counts


def _averages(counts: Array) -> dict[str, Array]:
    """The metrics of counts (D, S, 3, K), each (D, S)."""
    return averages(*(counts[:, :, place] for place in range(3)))


def _weights(n_groups: int, n_draws: int) -> Iterator[Array]:
    """How often each group is drawn: blocks of (d, G), each row sums to G; the same ones for equal arguments."""
    rng = np.random.default_rng(_SEED)
    size = max(1, _BLOCK // n_groups)
    for start in range(0, n_draws, size):
        d = min(size, n_draws - start)
        drawn = rng.integers(n_groups, size=(d, n_groups)) + n_groups * np.arange(d)[:, None]
        yield np.bincount(drawn.ravel(), minlength=d * n_groups).reshape(d, n_groups).astype(np.float64)


def _estimate(value: float, draws: Array, deviation: float | None = None) -> Estimate:
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    return Estimate(value, low, high, deviation)


def _gap(first: Resampled, second: Resampled, metric: str) -> Estimate:
    value = float(first.values[metric].mean() - second.values[metric].mean())
    return _estimate(value, first.draws[metric] - second.draws[metric])


def _two_sided(draws: Array) -> float:
    """Twice the share of draws on the rarer side of 0, the observed value counted as one more draw."""
    rarer = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(draws) + 1))


def _n_right(predictions: PooledPredictions) -> Array:
    """(N,) in how many seeds each utterance is predicted correctly."""
    truth = truth_index(predictions)
    n_right: Array = np.sum([run.probs.argmax(axis=1) == truth for run in predictions.runs], axis=0)
    return n_right
