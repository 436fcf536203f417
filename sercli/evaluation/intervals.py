"""How surely a figure is known: bootstrap over groups of utterances, and tests of two systems on the same ones.

Utterances of one speaker (or dialogue) are alike, so that groups are drawn and not utterances. Every system sees the
same draws, which makes the differences between two systems a paired bootstrap. Seeds are not drawn: a figure is the
mean over them, and their spread stands beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sercli.errors import SerError
from sercli.evaluation.metrics import class_numbers
from sercli.evaluation.results import Answers, Difference, Figure
from sercli.types import Array, Utterance

N_DRAWS = 10_000
METRICS = ("wa", "ua", "macro_f1", "weighted_f1")
FEW_GROUPS = 16
"""Below, intervals are too narrow: of 100 over 24 speakers 94 hold the true UA, over 10 90, over 5 84 (simulated)."""

_SEED = 2026
_FEWEST = 3  # groups below which there is nothing to draw from
_MANY_DIALOGUES = 20  # from which on they are drawn where a corpus' own parts share speakers
_BLOCK = 4_000_000  # draws times groups that are held at once


def grouping(utterances: Sequence[Utterance], prefer: str = "speaker") -> tuple[str, list[str]]:
    """What an interval is over, and the group of each utterance.

    Speakers, where at least three are known, else dialogues, sessions, and in the end the utterances themselves, whose
    intervals hold for these speakers alone. A corpus' own parts share speakers between them and have many dialogues:
    there `prefer="session"` takes dialogues or sessions first, where there are at least 20.

    Args:
        utterances: (N,), at least one.
        prefer: "speaker" | "session".

    Returns:
        "speaker" | "dialogue" | "session" | "utterance", and (N,) names.
    """
    assert prefer in ("speaker", "session"), prefer
    found = {
        "speaker": [u.speaker for u in utterances],
        "dialogue": [u.attributes.get("dialogue", u.attributes.get("dialog")) for u in utterances],
        "session": [u.session for u in utterances],
    }
    wanted = [("dialogue", _MANY_DIALOGUES), ("session", _MANY_DIALOGUES)] if prefer == "session" else []
    for kind, fewest in [*wanted, *((kind, _FEWEST) for kind in found)]:
        names = found[kind]
        if all(names) and len(set(names)) >= fewest:
            return kind, [str(name) for name in names]
    return "utterance", [u.id for u in utterances]


@dataclass(frozen=True)
class Resampled:
    """A system's metrics as they are and as they would be on other draws of groups."""

    name: str
    values: dict[str, Array]  # metric -> (S,) one a seed
    draws: dict[str, Array]  # metric -> (B,) means over seeds

    def figure(self, metric: str) -> Figure:
        """The mean over seeds with its interval."""
        values = self.values[metric]
        deviation = float(values.std(ddof=1)) if len(values) > 1 else None
        return _figure(float(values.mean()), self.draws[metric], deviation)


def resample(answers: Answers, groups: Sequence[str], *, n_draws: int = N_DRAWS) -> Resampled:
    """Draw groups with replacement, as many as there are, again and again; the same ones for every system.

    Each group is counted once. A draw is then a sum of counts, weighted by how often each group was drawn.

    Args:
        answers: of N utterances whose labels are known.
        groups: (N,) the group of each.
        n_draws: B.

    Raises:
        SerError: all utterances are in one group.
    """
    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    n_groups = int(numbers.max()) + 1
    if n_groups < 2:
        raise SerError(f"There is no interval over a single group ('{groups[0]}'); give another grouping.")
    counts = _count(answers, numbers, n_groups)
    values = _metrics(counts.sum(axis=0)[None])
    blocks = [
        {metric: of_seeds.mean(axis=1) for metric, of_seeds in _metrics(np.tensordot(weights, counts, 1)).items()}
        for weights in _weights(n_groups, n_draws)
    ]
    return Resampled(
        answers.name,
        {metric: values[metric][0] for metric in METRICS},
        {metric: np.concatenate([block[metric] for block in blocks]) for metric in METRICS},
    )


def figures(answers: Answers, groups: Sequence[str]) -> dict[str, Figure]:
    """WA, UA, macro-F1 and weighted F1 with their intervals.

    Args:
        answers: of N utterances whose labels are known.
        groups: (N,) the group of each; see `grouping`.

    Raises:
        SerError: all utterances are in one group.
    """
    resampled = resample(answers, groups)
    return {metric: resampled.figure(metric) for metric in METRICS}


def differences(systems: Sequence[tuple[Answers, Resampled]]) -> tuple[Difference, ...]:
    """Each two systems on the same utterances, in the order of the systems.

    Args:
        systems: answers with what `resample` made of them on the same groups.
    """
    pairs = [
        (one, other) if one[1].values["ua"].mean() >= other[1].values["ua"].mean() else (other, one)
        for one, other in combinations(systems, 2)
    ]
    p_ua = [_two_sided(first.draws["ua"] - second.draws["ua"]) for (_, first), (_, second) in pairs]
    return tuple(
        Difference(
            first=first.name,
            second=second.name,
            ua=_gap(first, second, "ua"),
            wa=_gap(first, second, "wa"),
            p_ua=p,
            p_mcnemar=mcnemar(its_answers, other_answers),
            p_holm=corrected,
        )
        for ((its_answers, first), (other_answers, second)), p, corrected in zip(pairs, p_ua, holm(p_ua), strict=True)
    )


def mcnemar(first: Answers, second: Answers) -> float:
    """McNemar's exact test: whether two systems are right equally often, on the utterances where they differ in that.

    Of several seeds each utterance has one vote: for the system that is right on it in the larger share of its seeds.
    The test takes utterances for independent of each other, which those of one speaker are not quite.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions".

    Returns:
        the two-sided p; 1 where they differ nowhere.
    """
    from scipy.stats import binomtest

    gap = _n_right(first) * len(second.runs) - _n_right(second) * len(first.runs)  # (N,) of whole numbers
    better, worse = int((gap > 0).sum()), int((gap < 0).sum())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of several tests, each corrected for there being others.

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


def _count(answers: Answers, numbers: Array, n_groups: int) -> Array:
    """(G, S, 3, K) of each group, seed and class: how often it occurs, is answered, and is answered rightly.

    That is what the metrics need of a confusion matrix, in fewer numbers than its K times K.
    """
    truth, k = _truth(answers), len(answers.runs[0].labels)

    def of_groups(chosen: Array, classes: Array) -> Array:
        cells = np.bincount(numbers[chosen] * k + classes[chosen], minlength=n_groups * k)
        return cells.reshape(n_groups, k).astype(np.float64)

    everywhere = np.ones(len(truth), bool)
    counts = []
    for run in answers.runs:
        predicted = run.probs.argmax(axis=1)
        kinds = of_groups(everywhere, truth), of_groups(everywhere, predicted), of_groups(truth == predicted, truth)
        counts.append(np.stack(kinds, axis=1))
    return np.stack(counts, axis=1)


def _metrics(counts: Array) -> dict[str, Array]:
    """The metrics of counts (B, S, 3, K), each (B, S); a class that does not occur in a draw is left out of it."""
    occurs, answered, right = (counts[:, :, place] for place in range(3))
    n, present = occurs.sum(axis=2), occurs > 0
    n_present = present.sum(axis=2)
    f1 = 2 * right / np.maximum(occurs + answered, 1)
    return {
        "wa": right.sum(axis=2) / n,
        "ua": (right / np.maximum(occurs, 1)).sum(axis=2) / n_present,
        "macro_f1": f1.sum(axis=2) / n_present,
        "weighted_f1": (f1 * occurs).sum(axis=2) / n,
    }


def _weights(n_groups: int, n_draws: int) -> Iterator[Array]:
    """How often each group is drawn: blocks of (b, G), each row sums to G; the same ones for equal arguments."""
    rng = np.random.default_rng(_SEED)
    size = max(1, _BLOCK // n_groups)
    for start in range(0, n_draws, size):
        b = min(size, n_draws - start)
        drawn = rng.integers(n_groups, size=(b, n_groups)) + n_groups * np.arange(b)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * n_groups).reshape(b, n_groups).astype(np.float64)


def _figure(value: float, draws: Array, deviation: float | None = None) -> Figure:
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    return Figure(value, low, high, deviation)


def _gap(first: Resampled, second: Resampled, metric: str) -> Figure:
    value = float(first.values[metric].mean() - second.values[metric].mean())
    return _figure(value, first.draws[metric] - second.draws[metric])


def _two_sided(draws: Array) -> float:
    """Twice the share of draws on the rarer side of 0, the observed figure counted as a draw of its own."""
    rarer = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(draws) + 1))


def _truth(answers: Answers) -> Array:
    run = answers.runs[0]
    assert run.truth is not None, f"the utterances of '{answers.name}' have no labels"
    return class_numbers(run.truth, run.labels)


def _n_right(answers: Answers) -> Array:
    """(N,) in how many seeds each utterance is answered rightly."""
    truth = _truth(answers)
    n_right: Array = np.sum([run.probs.argmax(axis=1) == truth for run in answers.runs], axis=0)
    return n_right
