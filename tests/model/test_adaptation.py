import numpy as np
import pytest

from sercli.model import adaptation
from sercli.model.calibration import temper

UNSEEN = 2 * (np.eye(4) - 0.25)  # an utterance of class k scores 2 more in k than in the others
EXPECTED = UNSEEN / 0.6  # as on the validation part, where the classes lie further apart


def drawn(counts, shift, seed=0):
    """Probabilities of utterances of the four classes whose scores are all shifted alike, and their classes."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), counts)
    scores = UNSEEN[y] + rng.normal(0, 0.7, (len(y), 4)) + shift
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True), y


def accuracy(probs, y):
    return (probs.argmax(axis=1) == y).mean()


def test_scores_are_log_probabilities_less_their_mean():
    probs = np.array([[0.7, 0.1, 0.1, 0.1]])
    np.testing.assert_allclose(adaptation.scores(probs).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(adaptation.scores(temper(probs, 2.0)), adaptation.scores(probs) / 2)


def test_class_scores_are_found_again_and_need_every_class():
    probs, y = drawn([500] * 4, np.zeros(4))
    np.testing.assert_allclose(adaptation.class_scores(probs, y), UNSEEN, atol=0.15)
    assert adaptation.class_scores(probs[y < 3], y[y < 3]) is None


@pytest.mark.parametrize(("way", "better"), [("auto", 0.05), ("full", 0.1)])
def test_a_shift_of_a_mixed_group_is_taken_away(way, better):
    probs, y = drawn([5] * 4, np.array([1.5, 0, 0, -1]))
    adapted = adaptation.by_group(probs, EXPECTED, way=way)
    np.testing.assert_allclose(adapted.sum(axis=1), 1)
    assert accuracy(adapted, y) > accuracy(probs, y) + better


def test_a_group_of_one_class_stays_what_it_is_unless_it_is_said_to_be_mixed():
    probs, y = drawn([20, 0, 0, 0], np.zeros(4))
    assert accuracy(adaptation.by_group(probs, EXPECTED, way="auto"), y) >= accuracy(probs, y) - 0.05
    assert accuracy(adaptation.by_group(probs, EXPECTED, way="full"), y) < 0.6


def test_where_one_class_prevails_it_is_taken_for_likelier():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [320, 80])
    scores = 0.4 * UNSEEN[y] + rng.normal(0, 0.7, (400, 4))  # hard to tell apart
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    mixed = adaptation._by_mix(probs)
    np.testing.assert_allclose(mixed.sum(axis=1), 1)
    assert accuracy(mixed, y) > accuracy(probs, y) + 0.05


def test_the_order_of_the_utterances_makes_no_difference():
    probs, _ = drawn([6, 2, 4, 3], np.array([1.0, 0, -1, 0]))
    order = np.random.default_rng(1).permutation(len(probs))
    for way in ("auto", "full"):
        whole = adaptation.by_group(probs, EXPECTED, way=way)
        np.testing.assert_allclose(adaptation.by_group(probs[order], EXPECTED, way=way), whole[order])


def test_clips_at_rest_take_the_shift_away_whatever_the_mix():
    shift = np.array([-2.5, 2.0, 0, 0.5])
    resting, _ = drawn([10, 0, 0, 0], shift, seed=1)
    for counts in ([5] * 4, [0, 0, 0, 20]):
        probs, y = drawn(counts, shift)
        adapted = adaptation.at_rest(probs, EXPECTED, resting=resting, neutral=0)
        assert accuracy(adapted, y) > max(0.8, accuracy(probs, y))
