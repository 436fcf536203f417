import numpy as np
import pytest

from sercli.model.calibration import fit_temperature, temper


def drawn(temperature, n=4000, seed=0):
    """Probabilities whose truth was drawn from them after tempering: (N, 3) and (N,)."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.5, 0.5, 0.5], n)
    true = temper(probs, temperature)
    return probs, np.array([rng.choice(3, p=row) for row in true])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_truth_was_drawn_with_is_found(temperature):
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.1)


def test_tempering_is_a_softmax_of_scaled_scores():
    scores = np.random.default_rng(0).normal(size=(5, 4))
    softmax = lambda s: np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)  # noqa: E731 - a formula
    np.testing.assert_allclose(temper(softmax(scores), 3.0), softmax(scores / 3.0))


def test_a_temperature_of_one_changes_nothing():
    probs = np.array([[0.7, 0.3], [1.0, 0.0]])
    assert temper(probs, 1.0).tolist() == probs.tolist()


def test_a_small_part_without_a_fault_does_not_ask_for_certainty():
    probs = np.full((16, 4), 0.1)
    probs[:, 0] = 0.7
    tempered = temper(probs, fit_temperature(probs, np.zeros(16, np.int64)))
    assert 0.9 < tempered[0, 0] < 0.96  # one fault in 18 is expected


def test_a_probability_of_zero_for_the_truth_stays_finite():
    probs = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert 0.1 <= fit_temperature(probs, np.array([1, 1, 0])) <= 10
