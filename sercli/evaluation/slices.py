"""The figures on parts of the utterances: where a system does well, and where it fails."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sercli.evaluation.metrics import class_numbers, from_counts
from sercli.evaluation.results import Answers, Slice
from sercli.types import Array, Utterance

MOST = 20  # values of one kind that are all shown; of more, the worst
_N_WORST = 10
_FEWEST_SHOWN = 10  # utterances of a slice that may be shown as one of the worst of many
_FEWEST = 30  # utterances of a slice that can be the worst of all, and as a share of all utterances:
_SMALLEST = 0.05
_USUAL = ("sex", "style", "intensity")  # attributes that come first
_NOT = ("part", "sentiment", "version")  # the split itself, the label in other words, which take it is
_MOST_OF_ATTRIBUTE = 8  # values: an attribute with more is a name, not a kind
# The upper ends of bins, each with the bin's name; the last has no end.
_LENGTHS_S = ((2, "under 2 s"), (4, "2 to 4 s"), (8, "4 to 8 s"), (np.inf, "8 s and more"))
_WORDS = ((1, "none"), (5, "1 to 4"), (10, "5 to 9"), (20, "10 to 19"), (np.inf, "20 and more"))
_RATES = ((1e-9, "none"), (0.25 + 1e-9, "up to 25 %"), (0.5 + 1e-9, "up to 50 %"), (np.inf, "over 50 %"))

_Bins = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Part:
    """Some of the utterances, by their places."""

    by: str
    value: str
    places: Array  # (n,) ascending


def parts(
    utterances: Sequence[Utterance],
    *,
    levels: Mapping[str, float | None] | None = None,
    word_errors: Mapping[str, float] | None = None,
) -> tuple[Part, ...]:
    """All ways to part the utterances that have at least two values, in the order to show them.

    By sex, style (scripted or improvised), intensity and every other attribute of few words; by speaker and session; by
    length, number of words, level of the speech, and word errors of the recogniser. Utterances of which one is not
    known are in no part of that kind.

    Args:
        utterances: (N,).
        levels: of the active speech by id, in dBFS; None where it could not be measured.
        word_errors: by id, the recogniser's word error rate on the utterance.
    """
    made = []
    for name in _attributes(utterances):
        made += _by_value(name, [_text(u.attributes.get(name)) for u in utterances])
    made += _by_value("speaker", [u.speaker for u in utterances])
    made += _by_value("session", [u.session for u in utterances])
    made += _by_bin("length", [_seconds(u) for u in utterances], _LENGTHS_S)
    made += _by_bin("words", [_n_words(u) for u in utterances], _WORDS)
    loudness = [(levels or {}).get(u.id) for u in utterances]
    made += _by_bin("level", loudness, _terciles(loudness))
    made += _by_bin("word errors", [(word_errors or {}).get(u.id) for u in utterances], _RATES)
    return tuple(made)


def slices(answers: Answers, parted: Sequence[Part]) -> tuple[Slice, ...]:
    """A system's figures on each part; of several seeds the mean.

    Args:
        answers: of N utterances whose labels are known.
        parted: what `parts` made of the same utterances.
    """
    run = answers.runs[0]
    assert run.truth is not None, f"the utterances of '{answers.name}' have no labels"
    truth = class_numbers(run.truth, run.labels)
    predicted = [run.probs.argmax(axis=1) for run in answers.runs]
    k = len(run.labels)
    made = []
    for part in parted:
        counts = np.zeros((k, k), np.int64)
        for answered in predicted:
            np.add.at(counts, (truth[part.places], answered[part.places]), 1)
        # The rows of all seeds have equal sums, so that WA and UA of their sum are the means over them.
        report = from_counts(answers.name, counts, run.labels)
        absent = tuple(label for label, recall in report.recall.items() if recall is None)
        made.append(Slice(part.by, part.value, len(part.places), report.wa, report.ua, absent))
    return tuple(made)


def worst(found: Sequence[Slice], n: int, absent: Sequence[str] = ()) -> Slice | None:
    """The slice with the lowest UA that is not a matter of chance, or of which classes it lacks.

    Args:
        found: of one system.
        n: utterances in all.
        absent: classes that occur in none of them.

    Returns:
        the worst of those with at least 30 utterances and 5 % of all that hold every class, the first of equals; None
        where there are none.
    """
    able = [s for s in found if s.n >= max(_FEWEST, _SMALLEST * n) and set(s.absent) <= set(absent)]
    return min(able, key=lambda s: s.ua, default=None)


def shown(found: Sequence[Slice]) -> tuple[Slice, ...]:
    """All slices, but of a kind with more than 20 values the ten with the lowest UA of those with 10 utterances."""
    n_values = Counter(s.by for s in found)
    kept = []
    for by, n in n_values.items():
        of_kind = [s for s in found if s.by == by]
        if n > MOST:
            of_kind = sorted((s for s in of_kind if s.n >= _FEWEST_SHOWN), key=lambda s: s.ua)[:_N_WORST]
        kept.extend(of_kind)
    return tuple(kept)


def notes(parted: Sequence[Part]) -> tuple[str, ...]:
    """What `shown` leaves out, in sentences."""
    n_values = Counter(part.by for part in parted)
    return tuple(
        f"There are {n} {by}s: of each system the {_N_WORST} with the lowest UA are shown "
        f"(of those with at least {_FEWEST_SHOWN} utterances)."
        for by, n in n_values.items()
        if n > MOST
    )


def _attributes(utterances: Sequence[Utterance]) -> list[str]:
    """Those that say of which kind an utterance is: words (or yes and no), few of them, the usual ones first."""
    values: dict[str, set[str | None]] = {}
    for u in utterances:
        for name, value in u.attributes.items():
            values.setdefault(name, set()).add(_text(value))
    kinds = [name for name, has in values.items() if None not in has and 2 <= len(has) <= _MOST_OF_ATTRIBUTE]
    return sorted(set(kinds) - set(_NOT), key=lambda name: ([*_USUAL, name].index(name), name))


def _text(value: object) -> str | None:
    """An attribute as a kind; None: a number, a list or nothing, which is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) and value else None


def _by_value(by: str, values: Sequence[str | None]) -> list[Part]:
    """A part for each value, ordered as people count (2 before 10); none where there is but one value."""
    names = sorted({value for value in values if value}, key=_natural)
    return _collect(by, names, values)


def _by_bin(by: str, numbers: Sequence[float | None], ends: _Bins) -> list[Part]:
    """A part for each bin that is not empty, ascending; none where there is but one."""
    values = [None if x is None else next(name for end, name in ends if x < end) for x in numbers]
    return _collect(by, [name for _, name in ends if name in values], values)


def _collect(by: str, names: Sequence[str], values: Sequence[str | None]) -> list[Part]:
    if len(names) < 2:
        return []
    return [Part(by, name, np.array([p for p, value in enumerate(values) if value == name])) for name in names]


def _terciles(levels: Sequence[float | None]) -> _Bins:
    """A third of the utterances each, as far as their levels differ."""
    known = [level for level in levels if level is not None]
    if not known:
        return ()
    low, high = (round(float(edge), 1) for edge in np.quantile(known, (1 / 3, 2 / 3)))
    return (
        (low, f"under {low:.1f} dBFS"),
        (high, f"{low:.1f} to {high:.1f} dBFS"),
        (np.inf, f"{high:.1f} dBFS and more"),
    )


def _seconds(utterance: Utterance) -> float | None:
    if utterance.duration_s is None and utterance.end_s is not None:
        return utterance.end_s - (utterance.start_s or 0.0)
    return utterance.duration_s


def _n_words(utterance: Utterance) -> int | None:
    text = utterance.transcripts.get("human")
    return None if text is None else len(text.split())


def _natural(value: str) -> tuple[list[str | int], str]:
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", value))], value
