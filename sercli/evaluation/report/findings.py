"""What a review says, in words: which system is best, by how much, how surely, and where it fails."""

from collections.abc import Sequence
from dataclasses import dataclass

from sercli.evaluation.report.numbers import decimals, interval, percent, points, probability
from sercli.evaluation.results import Difference, Figure, Review, Standing
from sercli.types import Report

_LEVEL = 0.05  # of significance, after the correction
_HALF = 0.5  # share of the utterances for which the risk is told


@dataclass(frozen=True)
class Finding:
    """An answer to one of a reader's questions."""

    asks: str
    says: str


@dataclass(frozen=True)
class Confused:
    """Two classes that are taken for one another."""

    one: str
    other: str
    one_as_other: float  # share of the utterances of `one` that are called `other`
    other_as_one: float | None  # None: no utterance of `other`


def headline(review: Review) -> str:
    """The answer in one sentence."""
    best, *others = review.systems
    level = f"UA {percent(best.ua.value)} %, where guessing has {percent(_guess(review))} %"
    if not others:
        return f"{best.name}: {level}."
    apart = difference_of(review, best.name, others[0].name)
    if apart is None:
        return f"{best.name} is ahead ({level}); whether by chance was not tested."
    if significant(apart):
        return f"{best.name} is best: {level}, and {points(apart.ua.value)} points over the next."
    return f"{best.name} is ahead ({level}), but cannot be told apart from {listed(_equals(review))}."


def findings(review: Review) -> tuple[Finding, ...]:
    """The answer at length, one question of a reader's after the other."""
    best = review.systems[0]
    found = [Finding("How good is it?" if len(review.systems) == 1 else "Which is best?", _level(review, best))]
    if len(review.systems) > 1:
        found += [Finding("By how much?", _lead(review)), Finding("How surely?", _surety(review))]
    found += [Finding("Where does it fail?", _failures(best)), Finding("Can its confidence be trusted?", _trust(best))]
    return tuple(found)


def difference_of(review: Review, first: str, second: str) -> Difference | None:
    """The comparison of two systems, as `first` minus `second` whichever way round it was made; None: not made."""
    for found in review.differences:
        if (found.first, found.second) == (first, second):
            return found
        if (found.first, found.second) == (second, first):
            return Difference(
                first, second, _turned(found.ua), _turned(found.wa), found.p_ua, found.p_mcnemar, found.p_holm
            )
    return None


def significant(difference: Difference) -> bool:
    """Whether a difference would hardly be seen among so many comparisons if there were none."""
    return difference.p_holm < _LEVEL


def most_confused(report: Report) -> Confused | None:
    """The two classes that take the largest shares from one another; None where there is no mistake."""
    shares = _shares(report)
    pairs = [(i, j) for i in range(len(report.labels)) for j in range(i)]
    sums = {pair: (shares[pair[0]][pair[1]] or 0) + (shares[pair[1]][pair[0]] or 0) for pair in pairs}
    if not any(sums.values()):
        return None
    i, j = max(pairs, key=lambda pair: sums[pair])
    if (shares[i][j] or 0) < (shares[j][i] or 0):
        i, j = j, i
    forth = shares[i][j]
    assert forth is not None, "a class that takes part has utterances"
    return Confused(report.labels[i], report.labels[j], forth, shares[j][i])


def taken_for(report: Report, label: str) -> tuple[str, float] | None:
    """The wrong class that a class is most often called, with the share of its utterances; None: it never is."""
    row = report.labels.index(label)
    wrong = [(count, other) for other, count in zip(report.labels, report.confusion[row], strict=True)]
    count, other = max((pair for pair in wrong if pair[1] != label), key=lambda pair: pair[0], default=(0, ""))
    return (other, count / sum(report.confusion[row])) if count else None


def risk_at(curve: Sequence[tuple[float, float]], share: float) -> float | None:
    """The share of wrong answers among the surest `share` of all; None where the curve does not reach so far."""
    return next((risk for answered, risk in sorted(curve) if answered >= share - 1e-9), None)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _level(review: Review, best: Standing) -> str:
    """The figures of a system, what they mean, and what needs no model."""
    present = [recall for recall in best.report.recall.values() if recall is not None]
    text = (
        f"{best.name}: UA {percent(best.ua.value)} % (95 % interval {interval(best.ua)}), "
        f"WA {percent(best.wa.value)} % ({interval(best.wa)})."
        f" UA is the mean recall over the {len(present)} classes, WA the share of all utterances that are right."
    )
    guess = _guess(review)
    if best.ua.low <= guess:
        return f"{text} The interval reaches down to guessing ({percent(guess)} %): it may have learned nothing."
    return f"{text} Guessing gives a UA of {percent(guess)} %, which is outside the interval."


def _lead(review: Review) -> str:
    best, second, *_ = review.systems
    apart = difference_of(review, best.name, second.name)
    if apart is None:
        return f"{points(best.ua.value - second.ua.value)} points of UA over the next, {second.name}."
    return (
        f"{points(apart.ua.value)} points of UA over the next, {second.name} (95 % interval of the difference "
        f"{interval(apart.ua)}), and {points(apart.wa.value)} points of WA ({interval(apart.wa)})."
    )


def _surety(review: Review) -> str:
    """Whether the lead may be chance, and which of the other systems are significantly worse."""
    best, second, *others = review.systems
    apart = difference_of(review, best.name, second.name)
    if apart is None:
        return "The two were not compared on the same utterances: the lead may be chance."
    n = len(review.differences)
    corrected = f", corrected for {n} comparisons (Holm)" if n > 1 else ""
    says = f"p = {probability(apart.p_holm)}".replace("= <", "<") + f" by paired bootstrap{corrected}: "
    if significant(apart):
        says += f"a lead like this over {second.name} is unlikely to be chance."
    else:
        says += f"{best.name} and {second.name} cannot be told apart on these utterances."
        if apart.p_ua < _LEVEL:
            says += " Taken alone the difference would count; among so many comparisons it does not."
    return f"{says} {_of_the_others(review)}".rstrip() if others else says


def _of_the_others(review: Review) -> str:
    """All systems but the best and the next, by whether they are significantly worse than the best."""
    best, _, *others = review.systems
    worse = [s.name for s in others if (d := difference_of(review, best.name, s.name)) is not None and significant(d)]
    equal = [name for name in _equals(review) if name in {s.name for s in others}]
    parts = [f"{best.name} is significantly better than {listed(worse)}."] if worse else []
    if equal:
        also = "Nor can it" if not worse else "It cannot"
        parts.append(f"{also} be told apart from {listed(equal)}.")
    return " ".join(parts)


def _failures(best: Standing) -> str:
    """The worst slice, the worst class, the pair that is confused most."""
    parts = []
    if best.worst is not None:
        worst = best.worst
        parts.append(
            f"Worst slice: {worst.by} {worst.value}, UA {percent(worst.ua)} % on {worst.n:,} utterances "
            f"({points(worst.ua - best.ua.value)} points)."
        )
    recalls = {label: recall for label, recall in best.report.recall.items() if recall is not None}
    weakest = min(recalls, key=lambda label: recalls[label])
    parts.append(f"Least recognised: {weakest}, {percent(recalls[weakest])} % of its utterances.")
    pair = most_confused(best.report)
    if pair is None:
        parts.append("No two classes are confused.")
        return " ".join(parts)
    text = f"Most confused: {pair.one} and {pair.other}; {percent(pair.one_as_other)} % of {pair.one} is called "
    back = pair.other_as_one
    text += pair.other if back is None else f"{pair.other}, {percent(back)} % of {pair.other} is called {pair.one}"
    return " ".join([*parts, f"{text}."])


def _trust(best: Standing) -> str:
    text = (
        f"Confidence and accuracy lie {percent(best.after.ece)} points apart on average (ECE; "
        f"{percent(best.before.ece)} before the temperature); negative log-likelihood {decimals(best.after.nll)}."
    )
    half, all_ = risk_at(best.risk_coverage, _HALF), risk_at(best.risk_coverage, 1.0)
    if half is None or all_ is None:
        return text
    return f"{text} Among the surer half of its answers {percent(half)} % are wrong, among all {percent(all_)} %."


def _guess(review: Review) -> float:
    """The highest UA that needs no model."""
    return max((report.ua for report in review.baselines), default=1 / len(review.labels))


def _equals(review: Review) -> list[str]:
    """The systems that the best was compared with and is not significantly better than."""
    best, *others = review.systems
    found = [(system.name, difference_of(review, best.name, system.name)) for system in others]
    return [name for name, difference in found if difference is not None and not significant(difference)]


def _turned(figure: Figure) -> Figure:
    return Figure(-figure.value, -figure.high, -figure.low, figure.deviation)


def _shares(report: Report) -> list[list[float | None]]:
    """(K, K) the confusion as shares of the true class; None in the row of a class without utterances."""
    return [[count / sum(row) if sum(row) else None for count in row] for row in report.confusion]
