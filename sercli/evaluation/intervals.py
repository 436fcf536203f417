"""The uncertainty of metrics over groups of utterances, and tests of two systems on the same utterances.

Utterances of one speaker (or dialogue) are alike, so groups are what varies, not utterances. The variance of a metric
is that of the jackknife: each group is left out once. The interval is Wilson's score interval with the effective number
of utterances that this variance gives, and Student's t for the number of groups. Wilson's interval stays within 0 and 1
and is never zero wide, and with t few groups make it wide enough: `benchmarks/interval_coverage.py` measures how often
it holds the true value. Two systems are compared by flipping, for any of the groups, which of them gave which
predictions: if they do not differ, each such swap is as probable as what was observed.

Seeds are not varied: an estimate is the mean over them, and their deviation is shown beside it.

Sources: Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of positive counts
estimated from survey data" (effective number and t); Wilson 1927; Fisher 1935, "The design of experiments" (flips).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sercli.errors import SerError
from sercli.evaluation.metrics import METRICS, averages
from sercli.evaluation.results import Difference, Estimate, FoldResult, Groups, PooledPredictions, Spread
from sercli.types import Array, Utterance

LEVEL = 0.05  # of significance; intervals are of 1 - LEVEL

_FIGURES = (*METRICS, "macro_f1_all")
_SEED = 2026
_EXACT = 15  # groups; up to here all flips are tried, above as many at random as:
_N_FLIPS = 10_000
FEWEST = 3  # groups; with fewer their variance is too uncertain
_MANY_DIALOGUES = 20  # enough to prefer them to speakers, where a corpus' official parts share speakers
_BLOCK = 4_000_000  # flips times groups that are held at once


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
    for kind, fewest in [*preferred, *((kind, FEWEST) for kind in found)]:
        names = found[kind]
        if all(names) and len(set(names)) >= fewest:
            return kind, [str(name) for name in names]
    return "utterance", [u.id for u in utterances]


@dataclass(frozen=True)
class Grouped:
    """The metrics of a system as observed and without each of the groups."""

    name: str
    groups: Sequence[str]  # (N,) the group of each utterance
    values: dict[str, Array]  # metric -> (S,) one per seed
    without: dict[str, Array]  # metric -> (G,) means over seeds with one group left out
    sizes: dict[str, float]  # metric -> number of utterances on which it rests; see `sizes`
    shares: Array  # (G,) the part of the UA that each group contributes, the mean over seeds

    def estimate(self, metric: str) -> Estimate:
        """The mean over seeds with its interval."""
        values = self.values[metric]
        deviation = float(values.std(ddof=1)) if len(values) > 1 else None
        return Estimate(float(values.mean()), *self.ends(metric), deviation)

    def ends(self, metric: str, level: float = LEVEL) -> tuple[float, float]:
        """Both ends of the interval of 1 - `level`."""
        value = float(self.values[metric].mean())
        size, variance, binomial = self.sizes[metric], _variance(self.without[metric]), value * (1 - value)
        effective = min(size, binomial / variance) if variance > 0 and binomial > 0 else size
        return wilson(value, effective, _t(len(self.shares), level))


def group(predictions: PooledPredictions, groups: Sequence[str], indices: Array | slice = slice(None)) -> Grouped:
    """Measure a system on all groups and without each of them.

    Args:
        predictions: of labelled utterances.
        groups: (N,) the group of each utterance that counts.
        indices: of these N utterances.

    Raises:
        SerError: all utterances are in one group.
    """
    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    n_groups = int(numbers.max()) + 1
    if n_groups < 2:
        raise SerError(f"There is no interval over a single group ('{groups[0]}'); give another grouping.")
    counts = _count(predictions, numbers, indices)
    total = counts.sum(axis=1, keepdims=True)
    occurs = total[0, 0, 0]
    values, without = averages(*total), averages(*(total - counts))
    right = counts[2].mean(axis=1)  # (G, K)
    return Grouped(
        predictions.name,
        groups,
        {metric: values[metric][0] for metric in _FIGURES},
        {metric: without[metric].mean(axis=1) for metric in _FIGURES},
        sizes(occurs),
        (right / np.maximum(occurs, 1)).sum(axis=1) / (occurs > 0).sum(),
    )


def differences(systems: Sequence[tuple[PooledPredictions, Grouped]]) -> tuple[Difference, ...]:
    """The difference of each two systems on the same utterances, in the order of the systems.

    Args:
        systems: predictions with what `group` made of them on the same groups; the highest UA first.
    """
    pairs = list(combinations(systems, 2))
    gaps = [first.shares - second.shares for (_, first), (_, second) in pairs]
    p_ua = [sign_flip(gap) for gap in gaps]
    return tuple(
        Difference(
            first=first.name,
            second=second.name,
            ua=_gap(first, second, "ua"),
            wa=_gap(first, second, "wa"),
            p_ua=p,
            p_holm=corrected,
            better=(int((gap > 1e-9).sum()), int((gap < -1e-9).sum())),
        )
        for ((_, first), (_, second)), gap, p, corrected in zip(pairs, gaps, p_ua, holm(p_ua), strict=True)
    )


def by_fold(predictions: PooledPredictions) -> tuple[FoldResult, ...]:
    """The metrics of each fold and seed; empty if there is only one."""
    ends = np.cumsum([0, *(predictions.folds or [len(predictions.runs[0].ids)])])
    numbers = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    counts = _count(predictions, numbers)  # (3, folds, S, K)
    if counts[0, :, :, 0].size < 2:
        return ()
    values = averages(*counts)
    return tuple(
        FoldResult(
            fold=place + 1 if predictions.folds else None,
            seed=seed,
            n=int(counts[0, place, at].sum()),
            **{metric: float(values[metric][place, at]) for metric in METRICS},
        )
        for at, seed in enumerate(predictions.seeds)
        for place in range(len(ends) - 1)
    )


def over_folds(results: Sequence[FoldResult]) -> dict[str, Spread]:
    """Each metric's mean over folds with its standard deviation; empty if there are fewer than two folds."""
    folds = sorted({one.fold for one in results if one.fold})
    if len(folds) < 2:
        return {}
    found = {}
    for metric in ("ua", "wa", "macro_f1", "weighted_f1"):  # in the order to show them
        means = [np.mean([getattr(one, metric) for one in results if one.fold == fold]) for fold in folds]
        found[metric] = Spread(float(np.mean(means)), float(np.std(means, ddof=1)))
    return found


def sign_flip(gaps: Array) -> float:
    """The two-sided p of a sign-flip test: how often is the sum as far from 0 with other signs?

    All signs are tried for up to 15 gaps, and 10,000 random ones for more, to which the observed ones are added.

    Args:
        gaps: (G,) one independent difference for each group.

    >>> sign_flip(np.array([1.0, 2.0, 3.0]))
    0.25
    """
    n_groups = len(gaps)
    least = abs(gaps.sum()) - 1e-9 * np.abs(gaps).sum()  # equal sums differ by rounding
    if n_groups <= _EXACT:
        bits = np.arange(2 ** (n_groups - 1))[:, None] >> np.arange(n_groups) & 1
        return float((np.abs((1 - 2 * bits) @ gaps) >= least).mean())
    rng, n_extreme, block = np.random.default_rng(_SEED), 1, max(1, _BLOCK // n_groups)
    for start in range(0, _N_FLIPS, block):
        bits = rng.integers(2, size=(min(block, _N_FLIPS - start), n_groups), dtype=np.int8)
        n_extreme += int((np.abs((1 - 2 * bits) @ gaps) >= least).sum())
    return n_extreme / (_N_FLIPS + 1)


def can_tell(groups: Groups, n_systems: int) -> bool:
    """Whether a difference of systems can be significant at all, after the correction for all their comparisons.

    Never over utterances, which are no sample of speakers.
    """
    n_pairs = n_systems * (n_systems - 1) // 2
    least_p = 2.0 ** (1 - groups.n) if groups.n <= _EXACT else 1 / (_N_FLIPS + 1)
    return groups.kind != "utterance" and least_p * n_pairs < LEVEL


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


def _count(predictions: PooledPredictions, numbers: Array, indices: Array | slice = slice(None)) -> Array:
    """(3, G, S, K) for each group, seed and class: how often it is true, predicted, and both.

    The metrics need no more of a confusion matrix, which would have K times K numbers.
    """
    one_hot = np.eye(len(predictions.runs[0].labels))
    counts = np.zeros((3, numbers.max() + 1, len(predictions.runs), len(one_hot)))
    is_true = one_hot[predictions.truth[indices]]
    for seed, is_predicted in enumerate(one_hot[predictions.predicted[:, indices]]):
        for of_kind, one in zip(counts, (is_true, is_predicted, is_true * is_predicted), strict=True):
            np.add.at(of_kind[:, seed], numbers, one)
    return counts


def sizes(occurs: Array) -> dict[str, float]:
    """The number of utterances on which each metric rests: all, or for a mean over classes as many as count in effect.

    The mean of K recalls on n_k utterances each has the variance of a share of K² / (1/n_1 + ... + 1/n_K) utterances.

    Args:
        occurs: (K,) utterances of each class.
    """
    n = occurs[occurs > 0]
    of_mean = float(len(n) ** 2 / (1 / n).sum())
    return {metric: float(n.sum()) if metric in ("wa", "weighted_f1") else of_mean for metric in _FIGURES}


def _variance(without: Array) -> float:
    """The jackknife variance of a metric from its values (G,) without each group."""
    return float((len(without) - 1) * without.var())


def _t(n_groups: int, level: float = LEVEL) -> float:
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return float(stdtrit(n_groups - 1, 1 - level / 2))


def wilson(value: float, size: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share of `size` utterances; the quantile is that of the normal or of Student's t."""
    ratio = quantile**2 / size
    middle = (value + ratio / 2) / (1 + ratio)
    half = (ratio * value * (1 - value) + ratio**2 / 4) ** 0.5 / (1 + ratio)
    return max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half))


def _gap(first: Grouped, second: Grouped, metric: str) -> Estimate:
    """The difference of two systems with its interval, by Student's t over the groups.

    It is at least as wide as the interval of a share that is 0 on as many utterances: systems that never differed can
    differ on others.
    """
    value = float(first.values[metric].mean() - second.values[metric].mean())
    variance, t = _variance(first.without[metric] - second.without[metric]), _t(len(first.shares))
    half = max(t * variance**0.5, t**2 / (first.sizes[metric] + t**2))
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half))
