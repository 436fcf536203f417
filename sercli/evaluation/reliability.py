"""Calibration of probabilities, and the risk at each coverage when unsure predictions are withheld."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from sercli.evaluation.results import Bin, Calibration
from sercli.types import Array

_N_BINS = 15  # of confidence, of equal width
_SMALLEST = 1e-15  # smaller probabilities are rounding: none makes the likelihood infinite
_N_POINTS = 100  # of a risk-coverage curve
THRESHOLDS = (50, 70, 80, 90)  # of confidence in percent


def calibration(probs: Array, truth_index: Array) -> Calibration:
    """ECE, NLL and Brier score.

    The expected calibration error is the mean distance between confidence and accuracy over the bins of confidence.

    Sources: Guo et al. 2017, "On calibration of modern neural networks"; Brier 1950, "Verification of forecasts
    expressed in terms of probability", his original form over all classes, from 0 to 2.

    Args:
        probs: (N, K), N at least 1.
        truth_index: (N,) classes.

    >>> round(calibration(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 0])).brier, 3)
    0.08
    """
    of_truth = probs[np.arange(len(probs)), truth_index]
    squares = (probs**2).sum(axis=1) - 2 * of_truth + 1
    return Calibration(
        ece=sum(b.n * abs(b.accuracy - b.confidence) for b in bins(probs, truth_index)) / len(probs),
        nll=float(-np.log(np.clip(of_truth, _SMALLEST, 1)).mean()),
        brier=float(squares.mean()),
    )


def mean_calibration(probs: Sequence[Array], truth_index: Array) -> Calibration:
    """The mean of each measure over seeds, of which each has its (N, K) in `probs`."""
    ece, nll, brier = np.mean([astuple(calibration(one, truth_index)) for one in probs], axis=0).tolist()
    return Calibration(ece, nll, brier)


def bins(probs: Array, truth_index: Array) -> tuple[Bin, ...]:
    """The bins of the ECE that are not empty, in rising order of confidence: what a reliability diagram shows.

    Args:
        probs: (N, K).
        truth_index: (N,) classes.
    """
    confidence, right = _confidence(probs, truth_index)
    place = np.ceil(confidence * _N_BINS)
    return tuple(_bin(confidence, right, place == p) for p in np.unique(place))


def above(probs: Array, truth_index: Array) -> dict[int, Bin]:
    """The predictions with at least 50, 70, 80 and 90 % confidence; none for a threshold that none reaches.

    Args:
        probs: (N, K).
        truth_index: (N,) classes.
    """
    confidence, right = _confidence(probs, truth_index)
    chosen = {percent: confidence >= percent / 100 for percent in THRESHOLDS}
    return {percent: _bin(confidence, right, kept) for percent, kept in chosen.items() if kept.any()}


def risk_coverage(probs: Array, truth_index: Array) -> tuple[tuple[float, float], ...]:
    """The risk (share of wrong predictions) at each coverage, when only the most confident predictions are kept.

    Predictions of equal confidence are kept or withheld together, so that their order does not matter.

    Source: El-Yaniv & Wiener 2010, "On the foundations of noise-free selective classification".

    Args:
        probs: (N, K), N at least 1.
        truth_index: (N,) classes.

    Returns:
        at most 100 points (coverage, risk), ascending, the last at full coverage.
    """
    confidence, right = _confidence(probs, truth_index)
    order = np.argsort(-confidence, kind="stable")
    n_wrong = np.cumsum(~right[order])
    # how many predictions each threshold keeps
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) + 1
    targets = np.ceil(np.arange(1, _N_POINTS + 1) / _N_POINTS * len(order) - 1e-9)
    kept = np.unique(ends[np.searchsorted(ends, targets)])
    return tuple((int(n) / len(order), int(n_wrong[n - 1]) / int(n)) for n in kept)


def _bin(confidence: Array, right: Array, chosen: Array) -> Bin:
    return Bin(float(confidence[chosen].mean()), float(right[chosen].mean()), int(chosen.sum()))


def _confidence(probs: Array, truth_index: Array) -> tuple[Array, Array]:
    """(N,) the confidence of each prediction, and whether it is correct."""
    return probs.max(axis=1), probs.argmax(axis=1) == truth_index
