from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import brier_score_loss, log_loss

from sercli.evaluation.reliability import above, bins, calibration, risk_coverage
from sercli.evaluation.results import Bin

PROBS = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05], [0.3, 0.4, 0.3]])
TRUTH = np.array([0, 0, 2, 0, 2])  # right: yes no yes yes no


@st.composite
def answered(draw):
    n = draw(st.integers(1, 40))
    scores = draw(arrays.arrays(np.float64, (n, 3), elements=st.floats(0.01, 1).map(lambda x: round(x, 1) + 0.01)))
    truth = draw(arrays.arrays(np.int64, n, elements=st.integers(0, 2)))
    return scores / scores.sum(axis=1, keepdims=True), truth


def brier(probs, truth):
    """scikit-learn's score of two classes, summed over each class against the rest."""
    return sum(brier_score_loss(truth == k, probs[:, k], pos_label=True) for k in range(probs.shape[1]))


def test_predictions_above_a_confidence_by_hand():
    assert above(PROBS, TRUTH) == {
        50: Bin(pytest.approx(0.725), 0.75, 4),
        70: Bin(pytest.approx(0.8), 1.0, 3),
        80: Bin(pytest.approx(0.85), 1.0, 2),
        90: Bin(pytest.approx(0.9), 1.0, 1),
    }
    assert list(above(PROBS[:3], TRUTH[:3])) == [50, 70, 80]


def test_calibration_by_hand():
    found = calibration(PROBS, TRUTH)
    # Each confidence is in a bin of its own.
    assert found.ece == pytest.approx((0.3 + 0.5 + 0.2 + 0.1 + 0.4) / 5)
    assert found.nll == pytest.approx(-np.log([0.7, 0.4, 0.8, 0.9, 0.3]).mean())
    squares = [0.09 + 0.04 + 0.01, 0.36 + 0.25 + 0.01, 0.01 + 0.01 + 0.04, 0.01 + 0.005, 0.09 + 0.16 + 0.49]
    assert found.brier == pytest.approx(np.mean(squares))


@given(answered())
def test_calibration_is_that_of_scikit_learn(pair):
    probs, truth = pair
    found = calibration(probs, truth)
    assert found.nll == pytest.approx(log_loss(truth, probs, labels=[0, 1, 2]))
    assert found.brier == pytest.approx(brier(probs, truth))


def test_the_brier_score_goes_from_0_to_2():
    sure = np.array([[1.0, 0.0]])
    assert calibration(sure, np.array([0])).brier == 0
    assert calibration(sure, np.array([1])).brier == 2


def test_a_sure_mistake_has_a_finite_likelihood():
    assert calibration(np.array([[1.0, 0.0]]), np.array([1])).nll == pytest.approx(-np.log(1e-15))


@given(answered())
def test_bins_hold_all_predictions_in_rising_order_of_confidence(pair):
    probs, truth = pair
    found = bins(probs, truth)
    assert sum(group.n for group in found) == len(probs)
    assert sorted(group.confidence for group in found) == [group.confidence for group in found]


def test_bins_by_hand():
    two = bins(np.array([[0.62, 0.38], [0.64, 0.36], [0.9, 0.1]]), np.array([0, 1, 0]))
    assert [(group.accuracy, group.n) for group in two] == [(0.5, 2), (1.0, 1)]
    assert [group.confidence for group in two] == pytest.approx([0.63, 0.9])


def test_risk_by_coverage_by_hand():
    # The surest first: .9 right, .8 right, .7 right, .5 wrong, .4 wrong.
    assert risk_coverage(PROBS, TRUTH) == ((0.2, 0.0), (0.4, 0.0), (0.6, 0.0), (0.8, 0.25), (1.0, 0.4))


def test_equally_sure_answers_come_together():
    probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.6, 0.4]])
    assert risk_coverage(probs, np.array([0, 1, 0, 0])) == ((0.25, 0.0), (1.0, 0.25))


def test_many_answers_have_a_hundred_points_one_for_each_percent():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1, 1, 1], 5_000)
    points = risk_coverage(probs, rng.integers(3, size=5_000))
    assert [coverage for coverage, _ in points] == pytest.approx(np.arange(1, 101) / 100)


@given(answered())
def test_risk_by_coverage_ends_with_all_answers_and_their_errors(pair):
    probs, truth = pair
    points = risk_coverage(probs, truth)
    assert len(points) <= 101
    assert points[-1] == (1.0, pytest.approx((probs.argmax(axis=1) != truth).mean()))
    assert all(before < after for (before, _), (after, _) in pairwise(points))
    order = np.sort(probs.max(axis=1))[::-1]
    for coverage, risk in points:
        given_answers = probs.max(axis=1) >= order[round(coverage * len(probs)) - 1]
        assert risk == pytest.approx((probs.argmax(axis=1) != truth)[given_answers].mean())


def test_perfectly_calibrated_predictions_have_no_calibration_error():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1, 1, 1], 60_000)
    truth = np.array([np.searchsorted(np.cumsum(row), rng.uniform()) for row in probs])
    assert calibration(probs, truth).ece < 0.01


def test_confident_wrong_predictions_have_a_calibration_error_of_one():
    assert calibration(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 1])).ece == 1


def test_errors_within_one_bin_cancel_and_between_bins_do_not():
    probs = np.array([[0.6, 0.4], [0.9, 0.1]])
    alike = np.array([[0.62, 0.38], [0.64, 0.36]])
    assert calibration(probs, np.array([1, 0])).ece == pytest.approx((0.6 + 0.1) / 2)
    assert calibration(alike, np.array([1, 0])).ece == pytest.approx(abs(1 - 1.26) / 2)
