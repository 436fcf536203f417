"""How far probabilities mean what they say, and what is gained where a system may say that it is unsure."""

import numpy as np

from sercli.evaluation.metrics import N_BINS, calibration_error
from sercli.evaluation.results import Bin, Calibration
from sercli.types import Array

_SMALLEST = 1e-15  # below, a probability is taken for rounding: none makes the likelihood infinite
_N_POINTS = 100  # of a risk-coverage curve


def calibration(probs: Array, truth_index: Array) -> Calibration:
    """ECE, NLL and Brier score.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability", his original form over all
    classes, from 0 to 2.

    Args:
        probs: (N, K), N at least 1.
        truth_index: (N,) classes.

    >>> round(calibration(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 0])).brier, 3)
    0.08
    """
    of_truth = probs[np.arange(len(probs)), truth_index]
    squares = (probs**2).sum(axis=1) - 2 * of_truth + 1
    return Calibration(
        ece=calibration_error(probs, truth_index),
        nll=float(-np.log(np.clip(of_truth, _SMALLEST, 1)).mean()),
        brier=float(squares.mean()),
    )


def bins(probs: Array, truth_index: Array) -> tuple[Bin, ...]:
    """The bins of the ECE that hold answers, from the least confident on: what a reliability diagram shows.

    Args:
        probs: (N, K).
        truth_index: (N,) classes.
    """
    confidence, right = _answers(probs, truth_index)
    place = np.ceil(confidence * N_BINS)
    return tuple(
        Bin(float(confidence[place == p].mean()), float(right[place == p].mean()), int((place == p).sum()))
        for p in np.unique(place)
    )


def risk_coverage(probs: Array, truth_index: Array) -> tuple[tuple[float, float], ...]:
    """Which share of the answers is wrong where only the surest are given.

    Equally sure answers are given together or not at all, so that their order has no say.

    Source: El-Yaniv & Wiener 2010, "On the foundations of noise-free selective classification".

    Args:
        probs: (N, K), N at least 1.
        truth_index: (N,) classes.

    Returns:
        at most 100 points (coverage, risk), ascending, the last with all answers.
    """
    confidence, right = _answers(probs, truth_index)
    order = np.argsort(-confidence, kind="stable")
    n_wrong = np.cumsum(~right[order])
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) + 1  # how many answers each threshold gives
    wanted = np.ceil(np.arange(1, _N_POINTS + 1) / _N_POINTS * len(order) - 1e-9)
    given = np.unique(ends[np.searchsorted(ends, wanted)])
    return tuple((int(n) / len(order), int(n_wrong[n - 1]) / int(n)) for n in given)


def _answers(probs: Array, truth_index: Array) -> tuple[Array, Array]:
    """(N,) how sure each answer is, and whether it is right."""
    return probs.max(axis=1), probs.argmax(axis=1) == truth_index
