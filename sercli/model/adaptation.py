"""Taking a voice and its room into account: what shifts all utterances of a group alike is taken away, without labels.

A voice, a room or a microphone that a model has not heard shifts the scores of all its utterances in one direction, so
that one recording sounds angry and another sad. Scores are log-probabilities whose mean over the classes is 0. The
model's class scores tell how an utterance of each class scores without such a shift; what the mean of a group lies
apart from them is its offset.

A group whose mean lies apart because most of it is of one class must not be shifted. The cautious way takes into
account which classes the plain model finds (compare Busso, Metallinou and Narayanan 2011, "Iterative feature
normalization for emotional speech detection"). The more even they are, the more of the offset it takes away; the less
even, the more it takes the mix for what it is, and the frequent classes for likelier (Saerens, Latinne and Decaestecker
2002, "Adjusting the outputs of a classifier to new a priori probabilities").
"""

from collections.abc import Callable

import numpy as np

from sercli.model.calibration import softmax, temper
from sercli.types import Array, Way

Change = Callable[[str, Array, Array], Array]
"""(name of an ensemble's member, else "", probabilities (N, K), class scores (K, K)) -> probabilities (N, K)."""

LEAST = 5
"""Utterances that a group needs to be adapted to."""

_SHARPER = 0.5  # temperature of the probabilities that tell which classes a group holds
_PRIOR = 3.0  # utterances by which the offset of a group is drawn towards none
_EVEN = 20.0  # utterances of each class by which the mix of a group is drawn towards an even one
_ROUNDS = 30  # of estimating the mix
_UNSEEN = 0.6  # on unseen corpora the class scores lie closer together than on the validation part
_SMALLEST = 1e-12


def scores(probs: Array) -> Array:
    """Return the scores (N, K) of probabilities (N, K): logarithms whose mean over the classes is 0."""
    logs = np.log(np.maximum(probs, _SMALLEST))
    return logs - logs.mean(axis=1, keepdims=True)


def class_scores(probs: Array, y: Array) -> Array | None:
    """Return the mean score of each class's utterances (K, K), with the mean over the classes taken away.

    Args:
        probs: (N, K) of labelled utterances that the model was not trained on.
        y: (N,) their classes.

    Returns:
        a row for each class; None if a class has no utterance.
    """
    found = scores(probs)
    if len(np.unique(y)) < probs.shape[1]:
        return None
    means = np.stack([found[y == k].mean(axis=0) for k in range(probs.shape[1])])
    return means - means.mean(axis=0)


def by_group(probs: Array, expected: Array, *, way: Way) -> Array:
    """Return the probabilities of a group of N utterances, adapted to what shifts them all.

    Args:
        probs: (N, K) by the plain model.
        expected: (K, K) as `class_scores`.
        way: "auto", which is cautious; "full" for groups whose classes are known to be mixed about evenly.

    Returns:
        (N, K), each row sums to 1.
    """
    found = scores(probs)
    if way == "full":
        return softmax(found - found.mean(axis=0))
    n, n_labels = probs.shape
    classes = temper(probs, _SHARPER)
    offset = (found - _UNSEEN * classes @ expected).mean(axis=0) * n / (n + _PRIOR)
    mix = classes.mean(axis=0)
    evenness = -(mix * np.log(np.maximum(mix, _SMALLEST))).sum() / np.log(n_labels)
    return evenness * softmax(found - offset) + (1 - evenness) * _by_mix(probs)


def at_rest(probs: Array, expected: Array, *, resting: Array, neutral: int) -> Array:
    """Return the probabilities of utterances of a voice, adapted to clips of the same voice at rest.

    Args:
        probs: (N, K) of the utterances.
        expected: (K, K) as `class_scores`.
        resting: (M, K) of the clips that are known to be neutral.
        neutral: number of the class neutral.
    """
    n = len(resting)
    offset = (scores(resting).mean(axis=0) - _UNSEEN * expected[neutral]) * n / (n + _PRIOR)
    return softmax(scores(probs) - offset)


def _by_mix(probs: Array) -> Array:
    """Return the probabilities (N, K) of classes as frequent as they are found to be in the group."""
    n, n_labels = probs.shape
    weighted = probs
    for _ in range(_ROUNDS):
        mix = (weighted.sum(axis=0) + _EVEN) / (n + n_labels * _EVEN)
        weighted = probs * mix / (probs @ mix)[:, None]
    return weighted
