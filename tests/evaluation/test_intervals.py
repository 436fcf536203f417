from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score

from sercli.errors import SerError
from sercli.evaluation import intervals
from sercli.evaluation.intervals import differences, grouping, holm, mcnemar, resample
from sercli.evaluation.results import PooledPredictions
from sercli.types import Predictions, Utterance

LABELS = ("neutral", "joy", "anger")


def answered(truth, *predicted, name="a"):
    """PooledPredictions that are sure of a class, given by its number; one list of predictions for each seed."""
    ids = tuple(f"u{place}" for place in range(len(truth)))
    named = tuple(LABELS[k] for k in truth)
    runs = tuple(Predictions(ids, LABELS, np.eye(len(LABELS))[list(one)], named) for one in predicted)
    return PooledPredictions(name, "acoustic", runs, tuple(run.probs for run in runs))


def simulated(rng, n_speakers=24, n_each=40, spread=0.8):
    """Speakers who differ in how easily they are read; their groups; and the accuracy over all such speakers."""
    truth = rng.integers(len(LABELS), size=(n_speakers, n_each))
    ease = 1 / (1 + np.exp(-rng.normal(0.5, spread, size=(n_speakers, 1))))
    right = rng.random(truth.shape) < ease
    predicted = np.where(right, truth, (truth + 1) % len(LABELS))
    groups = [f"s{speaker}" for speaker in range(n_speakers) for _ in range(n_each)]
    return answered(truth.ravel(), predicted.ravel()), groups


def estimates(predictions, groups):
    resampled = resample(predictions, groups)
    return {metric: resampled.estimate(metric) for metric in intervals.METRICS}


def by_sklearn(truth, predicted):
    """The four metrics over the classes that occur."""
    occurring = sorted(set(truth))
    options = {"labels": occurring, "average": "macro", "zero_division": 0}
    return {
        "wa": accuracy_score(truth, predicted),
        "ua": recall_score(truth, predicted, **options),
        "macro_f1": f1_score(truth, predicted, **options),
        "weighted_f1": f1_score(truth, predicted, labels=occurring, average="weighted", zero_division=0),
    }


TRUTH = np.array([0, 0, 1, 1, 1, 2, 0, 1, 2, 2])
SEEDS = [np.array([0, 1, 1, 1, 0, 2, 0, 2, 2, 1]), np.array([0, 0, 1, 2, 0, 0, 2, 1, 2, 2])]
GROUPS = ["f", "f", "f", "m", "m", "m", "m", "k", "k", "k"]


def test_an_estimate_is_the_mean_over_seeds_with_their_deviation():
    found = estimates(answered(TRUTH, *SEEDS), GROUPS)
    of_seeds = [by_sklearn(TRUTH, seed) for seed in SEEDS]
    for metric, estimate in found.items():
        values = [one[metric] for one in of_seeds]
        assert estimate.value == pytest.approx(np.mean(values))
        assert estimate.deviation == pytest.approx(np.std(values, ddof=1))
        assert estimate.low <= estimate.value <= estimate.high


def test_one_seed_has_no_deviation():
    assert estimates(answered(TRUTH, SEEDS[0]), GROUPS)["ua"].deviation is None


def test_each_draw_has_the_metrics_of_the_utterances_that_were_drawn():
    draws = resample(answered(TRUTH, *SEEDS), GROUPS, n_draws=60).draws
    (weights,) = intervals._weights(3, 60)
    names = sorted(set(GROUPS))
    absent = 0
    for draw, times in enumerate(weights.astype(int)):
        drawn = np.repeat(np.arange(len(TRUTH)), [times[names.index(group)] for group in GROUPS])
        absent += len(set(TRUTH[drawn])) < 3
        of_seeds = [by_sklearn(TRUTH[drawn], seed[drawn]) for seed in SEEDS]
        for metric in intervals.METRICS:
            assert draws[metric][draw] == pytest.approx(np.mean([one[metric] for one in of_seeds]))
    assert absent  # some draws lack a class
    assert len({tuple(row) for row in weights}) == 10  # all ways to draw three of three


def test_a_class_that_is_not_drawn_is_left_out_of_that_draw():
    draws = resample(answered([0, 0, 1], [0, 1, 1]), ["f", "f", "m"], n_draws=200).draws
    assert set(draws["ua"].tolist()) == {0.5, 0.75, 1.0}  # f twice, both, m twice
    assert set(draws["macro_f1"].round(6).tolist()) == {0.666667, 1.0}


def test_groups_are_drawn_as_often_as_chance_has_it():
    weights = np.concatenate(list(intervals._weights(3, 20_000)))
    assert (weights.sum(axis=1) == 3).all()
    shares = {tuple(row): 0 for row in weights}
    for row in weights:
        shares[tuple(row)] += 1 / len(weights)
    exact = dict.fromkeys(shares, 0.0)
    for drawn in product(range(3), repeat=3):
        exact[tuple(np.bincount(drawn, minlength=3).astype(float))] += 1 / 27
    assert shares == pytest.approx(exact, abs=0.01)


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
    whole = resample(answered(TRUTH, *SEEDS), GROUPS, n_draws=101)
    monkeypatch.setattr(intervals, "_BLOCK", 20)
    pieces = resample(answered(TRUTH, *SEEDS), GROUPS, n_draws=101)
    for metric in intervals.METRICS:
        np.testing.assert_array_equal(whole.draws[metric], pieces.draws[metric])


METRICS_QUICKLY = {
    "wa": lambda truth, predicted: (truth == predicted).mean(),
    "ua": lambda truth, predicted: np.mean([(predicted[truth == k] == k).mean() for k in set(truth.tolist())]),
}


def test_without_groups_the_interval_is_that_of_scipys_bootstrap():
    rng = np.random.default_rng(5)
    truth = rng.integers(3, size=200)
    predicted = np.where(rng.random(200) < 0.7, truth, (truth + 1) % 3)
    found = estimates(answered(truth, predicted), [f"u{place}" for place in range(200)])
    options = {"paired": True, "vectorized": False, "method": "percentile", "n_resamples": 3000, "rng": rng}
    for metric, statistic in METRICS_QUICKLY.items():
        theirs = scipy.stats.bootstrap((truth, predicted), statistic, **options).confidence_interval
        assert (found[metric].low, found[metric].high) == pytest.approx((theirs.low, theirs.high), abs=0.008)


def test_of_a_hundred_intervals_over_speakers_some_95_hold_the_truth_and_over_utterances_fewer():
    rng = np.random.default_rng(1)
    true_ua = (1 / (1 + np.exp(-rng.normal(0.5, 0.8, 1_000_000)))).mean()
    held = {"speakers": 0, "utterances": 0}
    for _ in range(150):
        answers, groups = simulated(rng)
        for over, names in (("speakers", groups), ("utterances", list(answers.runs[0].ids))):
            estimate = resample(answers, names, n_draws=400).estimate("ua")
            held[over] += estimate.low <= true_ua <= estimate.high
    assert 0.9 <= held["speakers"] / 150 <= 0.99
    assert held["utterances"] / 150 < 0.88


@given(st.permutations(range(len(TRUTH))))
def test_the_order_of_utterances_has_no_say(order):
    answers = answered(TRUTH[order], *(seed[order] for seed in SEEDS))
    found = resample(answers, [GROUPS[place] for place in order], n_draws=50)
    usual = resample(answered(TRUTH, *SEEDS), GROUPS, n_draws=50)
    for metric in intervals.METRICS:
        np.testing.assert_allclose(found.draws[metric], usual.draws[metric])


def test_a_single_group_has_no_interval():
    with pytest.raises(SerError, match=r"no interval over a single group \('f'\); give another grouping"):
        estimates(answered([0, 1], [0, 1]), ["f", "f"])


def compared(first, second, groups):
    return differences([(one, resample(one, groups)) for one in (first, second)])[0]


def test_a_difference_is_the_first_system_minus_the_second():
    better, worse = answered(TRUTH, TRUTH, name="better"), answered(TRUTH, *SEEDS, name="worse")
    found = compared(better, worse, GROUPS)
    assert (found.first, found.second) == ("better", "worse")
    gaps = [1 - by_sklearn(TRUTH, seed)["ua"] for seed in SEEDS]
    assert found.ua.value == pytest.approx(np.mean(gaps))
    assert found.ua.low <= found.ua.value <= found.ua.high
    assert found.ua.deviation is None


def test_a_system_does_not_differ_from_its_like():
    found = compared(answered(TRUTH, SEEDS[0], name="a"), answered(TRUTH, SEEDS[0], SEEDS[0], name="b"), GROUPS)
    assert (found.ua.low, found.ua.high) == pytest.approx((0, 0))
    assert (found.p_ua, found.p_mcnemar, found.p_holm) == (1, 1, 1)


def test_what_is_better_in_every_draw_is_as_sure_as_the_draws_allow():
    better, worse = answered(TRUTH, TRUTH), answered(TRUTH, (TRUTH + 1) % 3)
    assert compared(better, worse, GROUPS).p_ua == pytest.approx(2 / 10_001)


def test_two_systems_are_compared_on_the_same_draws():
    """Two that fail on the same hard speakers differ by little more than by chance; unpaired, nothing could be said."""
    rng = np.random.default_rng(3)
    worse, groups = simulated(rng, spread=2.0)
    truth = np.array([LABELS.index(label) for label in worse.runs[0].truth])
    predicted = worse.runs[0].probs.argmax(axis=1)
    better = answered(truth, np.where(rng.random(len(truth)) < 0.06, truth, predicted), name="better")
    found = compared(better, worse, groups)
    alone = resample(worse, groups).estimate("ua")
    assert found.p_ua < 0.001
    assert found.ua.low > 0
    assert found.ua.high - found.ua.low < 0.25 * (alone.high - alone.low)


def test_every_two_systems_are_compared_and_corrected_together():
    three = [answered(TRUTH, TRUTH, name="a"), *(answered(TRUTH, s, name=n) for s, n in zip(SEEDS, "bc", strict=True))]
    found = differences([(one, resample(one, GROUPS)) for one in three])
    assert [{d.first, d.second} for d in found] == [{"a", "b"}, {"a", "c"}, {"b", "c"}]
    assert [d.p_holm for d in found] == pytest.approx(holm([d.p_ua for d in found]))


def of_discordant(better, worse, agreed=0):
    truth = [0] * (better + worse + agreed)
    first = [0] * better + [1] * worse + [0] * agreed
    second = [1] * better + [0] * worse + [0] * agreed
    return answered(truth, first), answered(truth, second)


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [
        (150, 86, 3.716e-5),  # Agresti, Categorical Data Analysis: who approves of the prime minister, twice asked
        (9, 1, 2 * 11 / 2**10),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemars_exact_test_gives_the_textbooks_p(better, worse, p):
    first, second = of_discordant(better, worse, agreed=20)
    assert mcnemar(first, second) == pytest.approx(p, rel=1e-3)
    assert mcnemar(second, first) == pytest.approx(p, rel=1e-3)


def test_of_several_seeds_each_utterance_has_one_vote():
    truth = [0] * 8
    three = answered(truth, [0] * 7 + [1], [0] * 7 + [1], [1] * 7 + [1])  # right on 7 utterances, 2 times in 3
    two = answered(truth, [0] * 8, [1] * 8)  # right on all, 1 time in 2
    assert mcnemar(three, two) == pytest.approx(scipy.stats.binomtest(7, 8).pvalue)
    six = answered(truth, *([[0] * 8] * 4 + [[1] * 8] * 2))
    assert mcnemar(three, six) == pytest.approx(scipy.stats.binomtest(0, 1).pvalue)  # 2/3 is no more than 4/6


def test_holms_correction_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_lies_between_none_and_bonferronis_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    for p, c in zip(p_values, corrected, strict=True):
        assert p <= c <= min(1, p * len(p_values))
    for p, c in zip(p_values, corrected, strict=True):
        assert all(c <= other for q, other in zip(p_values, corrected, strict=True) if p <= q)


def said(n, **fields):
    """n utterances; a field is one value for all, or a function of the number."""
    return [
        Utterance(f"u{i}", "c", "joy", **{key: value(i) if callable(value) else value for key, value in fields.items()})
        for i in range(n)
    ]


def test_intervals_are_over_speakers_where_there_are_three():
    rows = said(6, speaker=lambda i: f"s{i % 3}", session=lambda i: f"d{i}")
    assert grouping(rows) == ("speaker", ["s0", "s1", "s2", "s0", "s1", "s2"])


def test_with_two_speakers_intervals_are_over_their_dialogues():
    rows = said(8, speaker=lambda i: f"s{i % 2}", session="Ses5", attributes=lambda i: {"dialog": f"d{i // 2}"})
    assert grouping(rows) == ("dialogue", ["d0", "d0", "d1", "d1", "d2", "d2", "d3", "d3"])


def test_with_one_speaker_and_nothing_else_known_they_are_over_utterances():
    assert grouping(said(4, speaker="s")) == ("utterance", ["u0", "u1", "u2", "u3"])


def test_speakers_that_are_not_all_known_are_not_drawn():
    rows = said(8, speaker=lambda i: f"s{i}" if i else None, session=lambda i: f"d{i % 4}")
    assert grouping(rows)[0] == "session"


def test_dialogues_come_first_where_they_are_preferred_and_many():
    many = said(40, speaker=lambda i: f"s{i % 5}", attributes=lambda i: {"dialogue": f"d{i // 2}"})
    few = said(40, speaker=lambda i: f"s{i % 5}", attributes=lambda i: {"dialogue": f"d{i // 4}"})
    assert grouping(many, "session")[0] == "dialogue"
    assert grouping(many, "speaker")[0] == "speaker"
    assert grouping(few, "session")[0] == "speaker"
