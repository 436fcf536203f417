"""Who speaks: utterances of an unknown number of speakers in one recording, by their embeddings.

Emotion moves a voice's embedding as far as another speaker does, but always in much the same directions. Four of them
were measured on corpora. Along these, and along whatever goes with them in a recording, differences are damped; then
k-means finds 2, 3, ... speakers, and a logistic regression says whether each further one is real: how close the two
closest are, how small the smallest is, how much tighter the groups have become. benchmarks/speakers.py fits all of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import ascii_uppercase

import numpy as np
from safetensors.numpy import load_file

from sercli.types import Array

FITTED = Path(__file__).parent / "models" / "clustering.safetensors"

MOST_SPEAKERS = 6
"""No more speakers are found unless their number is given."""

ONE_VOICE = 0.63
"""`likeness` below this shows several voices, clearly: of 16 utterances of six speakers in 60 to 99 % (corpora of acted
emotion), of clips of the other sex in 96 %. Of 8 or more utterances of one voice in all its emotions less than 1 %."""

_LEAST_UTTERANCES = 2  # of a speaker
_RELIABLE_S = 1.0  # shorter utterances don't form groups; they join the nearest
_CORE = 1000  # utterances that form groups in a very long recording; time and memory grow with their square
_ROUNDS = 20  # of k-means, which ends sooner


@dataclass(frozen=True)
class Fitted:
    """What was fitted on corpora."""

    directions: Array  # (4, E) orthonormal: how emotion moves embeddings
    damping: float  # of the regression on them; higher: less is taken away
    second: Array  # (6,) whether there are two speakers: the weights of `Split.evidence`, then a constant
    further: Array  # (6,) whether there is a third, a fourth, ...


@dataclass(frozen=True)
class Split:
    """Utterances in k groups."""

    groups: Array  # (N,) int, 0 to k - 1
    evidence: Array  # (5,) whether k speakers are one too many


def assign(
    embeddings: Array, durations_s: Sequence[float], *, n_speakers: int | None = None, fitted: Fitted | None = None
) -> Array:
    """Return the speaker of each utterance, (N,) int: 0 speaks first, 1 is the next to speak, and so on.

    Args:
        embeddings: (N, E) of the utterances of one recording in the order of time, as `embedding.embed` returns them.
        durations_s: (N,) their lengths; short ones carry little of a voice.
        n_speakers: their number; None: found, at most `MOST_SPEAKERS`.
        fitted: what was fitted on corpora; None: what ships.
    """
    fitted = fitted or _shipped()
    core = _core(np.asarray(durations_s))
    voices = without_emotion(embeddings, fitted, core)
    most = min(n_speakers or MOST_SPEAKERS, len(core) // (1 if n_speakers else _LEAST_UTTERANCES))
    splits = list(_splits(voices[core], most))
    k = len(splits) if n_speakers else count(splits, fitted)
    if k <= 1:
        return np.zeros(len(embeddings), int)
    groups = splits[k - 1].groups
    unit = _unit(voices - voices[core].mean(axis=0))
    found = (unit @ _centres(unit[core], groups).T).argmax(axis=1)
    found[core] = groups
    return _by_first(found)


def name(speaker: int) -> str:
    """Return the name of a speaker.

    >>> name(0), name(25), name(26)
    ('A', 'Z', 'AA')
    """
    rest, last = divmod(speaker, len(ascii_uppercase))
    return (name(rest - 1) if rest else "") + ascii_uppercase[last]


def likeness(voices: Array, others: Array | None = None) -> float:
    """Return the mean cosine between embeddings, without the directions of emotion.

    Args:
        voices: (N, E) N >= 2 if there are no others.
        others: (M, E) to compare them with; None: they are compared with each other.
    """
    directions = _shipped().directions
    one, other = (_unit(x - x @ directions.T @ directions) for x in (voices, voices if others is None else others))
    cosines = one @ other.T
    return float(cosines.mean() if others is not None else (cosines.sum() - len(one)) / (len(one) * (len(one) - 1)))


def without_emotion(embeddings: Array, fitted: Fitted, core: Array) -> Array:
    """Return embeddings (N, E) less the directions of emotion and what goes with them in this recording.

    What goes with them is found by ridge regression over the core, so strongly damped that two voices that differ in
    those directions, such as a high and a low one, stay apart.
    """
    along = embeddings @ fitted.directions.T  # (N, 4)
    rest = embeddings - along @ fitted.directions
    along = along - along[core].mean(axis=0)
    x, y = along[core], rest[core] - rest[core].mean(axis=0)
    damped = x.T @ x + fitted.damping * len(core) * np.eye(len(fitted.directions))
    return rest - along @ np.linalg.solve(damped, x.T @ y)


def count(splits: Sequence[Split], fitted: Fitted) -> int:
    """Return the number of speakers.

    Args:
        splits: into 1, 2, ... groups.
        fitted: see its fields.
    """
    if len(splits) < 2 or not splits[1].evidence @ fitted.second[:-1] + fitted.second[-1] > 0:
        return 1
    further = [split.evidence @ fitted.further[:-1] + fitted.further[-1] for split in splits[2:]]
    return 2 + int(np.argmax(np.cumsum([0.0, *further])))  # log odds add up


def _splits(voices: Array, most: int) -> Iterator[Split]:
    """Yield the splits of N utterances into 1, 2, ..., `most` groups."""
    from scipy.cluster.hierarchy import fcluster, linkage

    yield Split(np.zeros(len(voices), int), np.zeros(5))
    if most < 2:
        return
    unit = _unit(voices - voices.mean(axis=0))
    tree, similar = linkage(unit, "ward"), unit @ unit.T
    scatter, silhouette = _scatter(unit, np.zeros(len(unit), int)), 0.0
    for k in range(2, most + 1):
        groups = _k_means(unit, fcluster(tree, k, "maxclust") - 1)
        sizes = np.bincount(groups)
        if len(sizes) < k:  # fewer different utterances than speakers
            return
        last = scatter, silhouette
        scatter, silhouette = _scatter(unit, groups), _silhouette(similar, groups)
        between = _unit(_centres(voices, groups))
        closest = (between @ between.T)[np.triu_indices(k, 1)].max()
        gained = (silhouette - last[1], scatter / max(last[0], 1e-9))
        yield Split(groups, np.array([closest, *gained, np.log(len(voices) / k), sizes.min() / len(voices) * k]))


def _k_means(unit: Array, groups: Array) -> Array:
    """Return groups of vectors of unit length, each vector in the group with the most similar centre."""
    for _ in range(_ROUNDS):
        again = (unit @ _unit(_centres(unit, groups)).T).argmax(axis=1)
        again = np.unique(again, return_inverse=True)[1]  # a group can run empty
        if np.array_equal(again, groups):
            break
        groups = again
    return groups


def _core(durations_s: Array) -> Array:
    """Return the places of the utterances that form groups: those that are long enough, evenly spread if very many."""
    (places,) = np.nonzero(durations_s >= min(_RELIABLE_S, float(np.median(durations_s))))
    return places[np.linspace(0, len(places) - 1, min(len(places), _CORE)).round().astype(int)]


def _centres(vectors: Array, groups: Array) -> Array:
    """(N, E), (N,) -> (k, E), the mean of each group."""
    members = groups == np.arange(groups.max() + 1)[:, None]
    return members @ vectors / members.sum(axis=1, keepdims=True)


def _scatter(vectors: Array, groups: Array) -> float:
    """Return the sum of squared distances from the groups' centres."""
    return float(((vectors - _centres(vectors, groups)[groups]) ** 2).sum())


def _silhouette(similar: Array, groups: Array) -> float:
    """Return the mean silhouette (Rousseeuw 1987) by cosine distance.

    Args:
        similar: (N, N) cosines.
        groups: (N,)
    """
    members = np.eye(groups.max() + 1)[groups]  # (N, k)
    sums, sizes, rows = similar @ members, members.sum(axis=0), np.arange(len(groups))
    own = (sums[rows, groups] - 1) / np.maximum(sizes[groups] - 1, 1)
    others = sums / sizes
    others[rows, groups] = -1
    near = 1 - others.max(axis=1)
    return float(((near - (1 - own)) / np.maximum(np.maximum(near, 1 - own), 1e-9)).mean())


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _by_first(groups: Array) -> Array:
    """Return the groups numbered by their first appearance.

    >>> _by_first(np.array([2, 0, 2, 1])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


@cache
def _shipped() -> Fitted:
    arrays = load_file(FITTED)
    return Fitted(arrays["directions"], float(arrays["damping"]), arrays["second"], arrays["further"])
