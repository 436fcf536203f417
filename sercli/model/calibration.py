"""Probabilities that mean what they say: one temperature, measured on the validation part.

Source: Guo et al. 2017, "On calibration of modern neural networks".
"""

import numpy as np

from sercli.types import Array

_SMALLEST = 1e-12  # below, a probability is taken for rounding
_RANGE = (0.1, 10.0)  # of the temperature: beyond, a validation part is too small or too easy to tell


def temper(probs: Array, temperature: float) -> Array:
    """Sharpen (temperature < 1) or flatten (> 1): the softmax of the scores divided by the temperature.

    Args:
        probs: (N, K), each row sums to 1.
        temperature: above 0; 1 changes nothing.

    Returns:
        (N, K) float64; the order of the classes stays.

    >>> temper(np.array([[0.8, 0.2]]), 2.0).round(3)
    array([[0.667, 0.333]])
    """
    if temperature == 1.0:
        return probs
    scores = np.log(np.maximum(probs, _SMALLEST)) / temperature
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    tempered: Array = powers / powers.sum(axis=1, keepdims=True)
    return tempered


def fit_temperature(probs: Array, y: Array) -> float:
    """The temperature with the lowest cross-entropy against targets that are never quite sure.

    One wrong answer more than was seen is expected among N + 2, spread over the other classes, as Platt 1999 has it:
    without that a part that is answered without a fault would ask for no doubt at all.

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
