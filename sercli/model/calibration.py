"""Calibration by temperature scaling, fitted on the validation part.

Source: Guo et al. 2017, "On calibration of modern neural networks".
"""

import numpy as np

from sercli.types import Array

_SMALLEST = 1e-12  # smaller probabilities count as rounding errors
_RANGE = (0.1, 10.0)  # bounds of the temperature; a fit outside means that the validation part is too small or too easy


def temper(probs: Array, temperature: float) -> Array:
    """Return sharpened (temperature < 1) or flattened (> 1) probabilities: softmax(scores / temperature).

    Args:
        probs: (N, K), each row sums to 1.
        temperature: above 0; 1 changes nothing.

    Returns:
        (N, K) float64; the ranking of the classes is unchanged.

    >>> temper(np.array([[0.8, 0.2]]), 2.0).round(3)
    array([[0.667, 0.333]])
    """
    if temperature == 1.0:
        return probs
    return softmax(np.log(np.maximum(probs, _SMALLEST)) / temperature)


def softmax(scores: Array) -> Array:
    """Return probabilities, (N, K) as the scores; each row sums to 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probs: Array, y: Array) -> float:
    """Return the temperature with the lowest cross-entropy against smoothed targets.

    The true class has the target 1 - 1 / (N + 2), the other classes share the rest, similar to Platt 1999:
    otherwise a validation part without errors would drive the temperature to its lower bound.

    Args:
        probs: (N, K) of the validation part.
        y: (N,) its classes.
    """
    from scipy.optimize import minimize_scalar

    doubt = 1 / (len(y) + 2)
    targets = np.full(probs.shape, doubt / max(probs.shape[1] - 1, 1))
    targets[np.arange(len(y)), y] = 1 - doubt

    def loss(log_temperature: float) -> float:
        tempered = temper(probs, float(np.exp(log_temperature)))
        return float(-(targets * np.log(np.maximum(tempered, _SMALLEST))).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=np.log(_RANGE), method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(found.x)), 4)
