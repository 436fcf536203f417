"""The metrics on slices of the utterances: where a system does well, and where it fails."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sercli._system.text import natural
from sercli.evaluation.intervals import FEWEST, LEVEL, group, sizes, wilson
from sercli.evaluation.results import PooledPredictions, Slice
from sercli.types import Array, Utterance

MOST = 20  # values of one kind that are all shown; if there are more, only the worst
_N_WORST = 10
_FEWEST_SHOWN = 10  # utterances, for a slice to be among the worst of many
_FEWEST = 30  # utterances, for a slice to be the worst of all; and as a share of all utterances:
_SMALLEST = 0.05
_USUAL = ("sex", "style", "intensity")  # attributes, shown first
_NOT = ("part", "sentiment", "version")  # the split itself, a coarser label, the number of the take
_MOST_OF_ATTRIBUTE = 8  # values: an attribute with more is a name, not a category
# The upper end of each bin, with its name.
_LENGTHS_S = ((2, "under 2 s"), (4, "2 to 4 s"), (8, "4 to 8 s"), (np.inf, "8 s and more"))
_WORDS = ((1, "none"), (5, "1 to 4"), (10, "5 to 9"), (20, "10 to 19"), (np.inf, "20 and more"))
_RATES = ((1e-9, "none"), (0.25 + 1e-9, "up to 25 %"), (0.5 + 1e-9, "up to 50 %"), (np.inf, "over 50 %"))

SEEN, NEW = "in training", "new"  # sentences, in the order to show them

_Bins = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Part:
    """A subset of the utterances."""

    by: str
    value: str
    indices: Array  # (n,) ascending


def parts(
    utterances: Sequence[Utterance],
    *,
    levels: Mapping[str, float | None] | None = None,
    word_errors: Mapping[str, float] | None = None,
) -> tuple[Part, ...]:
    """The subsets of the utterances by everything that has at least two values, in the order to show them.

    By sex, style (scripted or improvised), intensity and every other categorical attribute; by speaker and session; by
    length, number of words, speech level, and word errors of the recogniser. An utterance whose value is unknown is in
    no subset of that kind. A kind whose subsets have one class each, such as finer labels, repeats the recalls and is
    left out; so is a subset that is all utterances of one speaker, who has one already.

    Args:
        utterances: (N,).
        levels: id -> level of the active speech in dBFS; None where it could not be measured.
        word_errors: id -> the recogniser's word error rate.
    """
    made = []
    for name in _attributes(utterances):
        made += _by_value(name, [_text(u.attributes.get(name)) for u in utterances])
    made += _by_value("speaker", [u.speaker for u in utterances])
    made += _by_value("session", [u.session for u in utterances])
    made += _by_bin("length", [_seconds(u) for u in utterances], _LENGTHS_S)
    made += _by_bin("words", [None if u.text is None else len(u.text.split()) for u in utterances], _WORDS)
    loudness = [(levels or {}).get(u.id) for u in utterances]
    made += _by_bin("level", loudness, _terciles(loudness))
    made += _by_bin("word errors", [(word_errors or {}).get(u.id) for u in utterances], _RATES)
    of_speakers = [part.indices.tolist() for part in made if part.by == "speaker"]
    made = [part for part in made if part.by == "speaker" or part.indices.tolist() not in of_speakers]
    repeated = {part.by for part in made} if len({u.label for u in utterances}) > 1 else set()
    repeated -= {part.by for part in made if len({utterances[i].label for i in part.indices}) > 1}
    return tuple(part for part in made if part.by not in repeated)


def by_sentence(predictions: PooledPredictions) -> list[Part]:
    """The utterances whose sentence a training utterance has, and the others; none if one of the two is empty."""
    if predictions.seen is None:
        return []
    values = [SEEN if i in predictions.seen else NEW for i in predictions.runs[0].ids]
    return _by_value("sentence", values)


def slices(predictions: PooledPredictions, subsets: Sequence[Part], groups: Sequence[str]) -> tuple[Slice, ...]:
    """A system's metrics on each subset, the mean over seeds.

    The interval of a subset is over its groups if it has at least three, else over its utterances: then it holds for
    these groups alone. A subset is worse than all if such an interval, corrected for the number of subsets
    (Bonferroni), is below their UA; one of two groups never is, because more than the two cannot be told from them.

    Args:
        predictions: of N labelled utterances.
        subsets: of the same utterances, from `parts`.
        groups: (N,) the group of each, from `intervals.grouping`.
    """
    from scipy.special import ndtri

    levels = (LEVEL, LEVEL / max(len(subsets), 1))
    recalls = predictions.report().recall
    made = []
    for part in subsets:
        report = predictions.report(part.indices)
        absent = tuple(label for label, recall in report.recall.items() if recall is None)
        level = float(np.mean([r for label, r in recalls.items() if r is not None and label not in absent]))
        own = [groups[i] for i in part.indices]
        n_groups = len(set(own))
        if n_groups >= FEWEST:
            grouped = group(predictions, own, part.indices)
            interval, corrected = (grouped.ends("ua", one) for one in levels)
        else:
            size = sizes(np.sum(report.confusion, axis=1))["ua"]
            interval, corrected = (wilson(report.ua, size, float(ndtri(1 - one / 2))) for one in levels)
        counts = {label: round(sum(row)) for label, row in zip(report.labels, report.confusion, strict=True)}
        about = (part.by, part.value, report.n, report.wa, report.ua, *interval, report.ua - level)
        worse = n_groups != 2 and corrected[1] < level
        made.append(Slice(*about, absent, report.recall, counts, n_groups, worse))
    return tuple(made)


def worst(found: Sequence[Slice], n: int, absent: Sequence[str] = ()) -> Slice | None:
    """The slice with the lowest UA of those that are worse than all, are large enough and have every class.

    Args:
        found: of one system.
        n: utterances in all.
        absent: classes that occur in none of them.

    Returns:
        the worst slice with at least 30 utterances and 5 % of all, the first of equals; None if there is none.
    """
    able = [s for s in found if s.n >= max(_FEWEST, _SMALLEST * n) and set(s.absent) <= set(absent)]
    return min((s for s in able if s.worse), key=lambda s: s.ua, default=None)


def shown(found: Sequence[Slice]) -> tuple[Slice, ...]:
    """The slices to show: all, or of a kind with more than 20 values the ten furthest below all, of 10 utterances."""
    n_values = Counter(s.by for s in found)
    kept = []
    for by, n in n_values.items():
        of_kind = [s for s in found if s.by == by]
        if n > MOST:
            of_kind = sorted((s for s in of_kind if s.n >= _FEWEST_SHOWN), key=lambda s: s.gap)[:_N_WORST]
        kept.extend(of_kind)
    return tuple(kept)


def notes(subsets: Sequence[Part]) -> tuple[str, ...]:
    """Sentences about what `shown` leaves out."""
    n_values = Counter(part.by for part in subsets)
    return tuple(
        f"There are {n} {by}s: for each system the {_N_WORST} furthest below all utterances are shown, "
        f"out of those with at least {_FEWEST_SHOWN} utterances."
        for by, n in n_values.items()
        if n > MOST
    )


def _attributes(utterances: Sequence[Utterance]) -> list[str]:
    """The categorical attributes (strings or booleans with few values), the usual ones first."""
    values: dict[str, set[str | None]] = {}
    for u in utterances:
        for name, value in u.attributes.items():
            values.setdefault(name, set()).add(_text(value))
    kinds = [name for name, has in values.items() if None not in has and 2 <= len(has) <= _MOST_OF_ATTRIBUTE]
    return sorted(set(kinds) - set(_NOT), key=lambda name: ([*_USUAL, name].index(name), name))


def _text(value: object) -> str | None:
    """The value of a categorical attribute; None if it is a number, a list or missing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) and value else None


def _by_value(by: str, values: Sequence[str | None]) -> list[Part]:
    """A subset for each value in natural order (2 before 10); none if there is only one value."""
    names = sorted({value for value in values if value}, key=natural)
    return _collect(by, names, values)


def _by_bin(by: str, numbers: Sequence[float | None], ends: _Bins) -> list[Part]:
    """A subset for each bin that is not empty, ascending; none if there is only one."""
    values = [None if x is None else next(name for end, name in ends if x < end) for x in numbers]
    return _collect(by, [name for _, name in ends if name in values], values)


def _collect(by: str, names: Sequence[str], values: Sequence[str | None]) -> list[Part]:
    if len(names) < 2:
        return []
    return [Part(by, name, np.array([i for i, value in enumerate(values) if value == name])) for name in names]


def _terciles(levels: Sequence[float | None]) -> _Bins:
    """Three bins with a third of the utterances each, as far as their levels differ."""
    known = [level for level in levels if level is not None]
    if not known:
        return ()
    edges = [round(float(edge), 1) for edge in np.quantile(known, (1 / 3, 2 / 3))]
    low, high = (f"{edge:.1f}".replace("-", "−") for edge in edges)
    names = (f"under {low} dBFS", f"{low} to {high} dBFS", f"{high} dBFS and more")
    return tuple(zip((*edges, np.inf), names, strict=True))


def _seconds(utterance: Utterance) -> float | None:
    if utterance.duration_s is None and utterance.end_s is not None:
        return utterance.end_s - (utterance.start_s or 0.0)
    return utterance.duration_s
