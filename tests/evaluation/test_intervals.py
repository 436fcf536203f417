import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score

from sercli.errors import SerError
from sercli.evaluation import intervals
from sercli.evaluation.intervals import differences, group, grouping, holm
from sercli.evaluation.metrics import METRICS
from sercli.evaluation.results import Groups, PooledPredictions
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
    grouped = group(predictions, groups)
    return {metric: grouped.estimate(metric) for metric in METRICS}


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


def test_each_group_is_left_out_once():
    found = group(answered(TRUTH, *SEEDS), GROUPS)
    for place, left_out in enumerate(sorted(set(GROUPS))):
        kept = np.array([name != left_out for name in GROUPS])
        of_seeds = [by_sklearn(TRUTH[kept], seed[kept]) for seed in SEEDS]
        for metric in METRICS:
            assert found.without[metric][place] == pytest.approx(np.mean([one[metric] for one in of_seeds]))


def test_the_shares_of_the_groups_add_up_to_the_ua():
    found = group(answered(TRUTH, *SEEDS), GROUPS)
    assert found.shares.sum() == pytest.approx(found.values["ua"].mean())


def test_over_utterances_the_interval_of_wa_is_wilsons():
    predicted = np.where(np.arange(200) % 5 == 0, 1, 0)
    found = estimates(answered([0] * 200, predicted), [f"u{place}" for place in range(200)])["wa"]
    theirs = scipy.stats.binomtest(160, 200).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.002)


def test_of_a_hundred_intervals_over_four_speakers_at_least_92_hold_the_truth_and_over_utterances_fewer():
    rng = np.random.default_rng(1)
    true_ua = (1 / (1 + np.exp(-rng.normal(0.5, 0.8, 1_000_000)))).mean()
    held = {"speakers": 0, "utterances": 0}
    for _ in range(150):
        answers, groups = simulated(rng, n_speakers=4)
        for over, names in (("speakers", groups), ("utterances", list(answers.runs[0].ids))):
            estimate = group(answers, names).estimate("ua")
            held[over] += estimate.low <= true_ua <= estimate.high
    assert held["speakers"] / 150 >= 0.92
    assert held["utterances"] / 150 < 0.85


@pytest.mark.parametrize("value", [0, 1])
def test_an_interval_without_variation_is_not_zero_wide(value):
    predicted = TRUTH if value else (TRUTH + 1) % 3
    for metric, found in estimates(answered(TRUTH, predicted), GROUPS).items():
        assert found.value == pytest.approx(value), metric
        assert found.high - found.low > 0.3, metric
        assert 0 <= found.low <= found.high <= 1


def test_groups_that_are_all_as_good_do_not_make_the_interval_zero_wide():
    truth, predicted = [0, 0, 1, 1] * 5, [0, 1, 1, 0] * 5
    found = estimates(answered(truth, predicted), [f"s{place // 4}" for place in range(20)])["ua"]
    assert found.low < 0.3 < 0.7 < found.high


@given(st.permutations(range(len(TRUTH))))
def test_the_order_of_utterances_has_no_say(order):
    answers = answered(TRUTH[order], *(seed[order] for seed in SEEDS))
    found = estimates(answers, [GROUPS[place] for place in order])
    for metric, usual in estimates(answered(TRUTH, *SEEDS), GROUPS).items():
        assert (found[metric].low, found[metric].high) == pytest.approx((usual.low, usual.high))


def test_a_single_group_has_no_interval():
    with pytest.raises(SerError, match=r"no interval over a single group \('f'\); give another grouping"):
        estimates(answered([0, 1], [0, 1]), ["f", "f"])


def compared(first, second, groups):
    return differences([(one, group(one, groups)) for one in (first, second)])[0]


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
    assert found.ua.low < found.ua.value == 0 < found.ua.high
    assert (found.p_ua, found.p_holm, found.better) == (1, 1, (0, 0))


@pytest.mark.parametrize(("n_groups", "p"), [(3, 1 / 4), (5, 1 / 16), (6, 1 / 32), (15, 1 / 2**14), (16, 1 / 10_001)])
def test_what_is_better_in_every_group_is_as_sure_as_their_number_allows(n_groups, p):
    truth = np.arange(4 * n_groups) % 3
    groups = [f"s{place % n_groups}" for place in range(len(truth))]
    found = compared(answered(truth, truth), answered(truth, (truth + 1) % 3), groups)
    assert found.p_ua == pytest.approx(p, abs=2e-4)
    assert found.better == (n_groups, 0)


def test_flips_of_few_groups_are_those_of_scipys_exact_permutation_test():
    gaps = np.array([0.3, -0.1, 0.25, 0.2, -0.05, 0.4])
    theirs = scipy.stats.permutation_test((gaps,), np.sum, permutation_type="samples")
    assert intervals.sign_flip(gaps) == pytest.approx(theirs.pvalue)


def test_random_flips_of_many_groups_come_near_the_exact_p(monkeypatch):
    gaps = np.random.default_rng(2).normal(0.4, 1, size=15)
    exact = intervals.sign_flip(gaps)
    monkeypatch.setattr(intervals, "_EXACT", 10)
    monkeypatch.setattr(intervals, "_BLOCK", 20_000)
    assert intervals.sign_flip(gaps) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(
    ("kind", "n", "n_systems", "told"),
    [
        ("speaker", 5, 2, False),
        ("speaker", 6, 2, True),
        ("speaker", 6, 3, False),
        ("dialogue", 8, 3, True),
        ("utterance", 500, 2, False),
    ],
)
def test_few_groups_or_mere_utterances_tell_no_systems_apart(kind, n, n_systems, told):
    assert intervals.can_tell(Groups(kind, n), n_systems) is told


def test_two_systems_are_compared_on_the_same_speakers():
    """Two that fail on the same hard speakers differ by little more than by chance; unpaired, nothing could be said."""
    rng = np.random.default_rng(3)
    worse, groups = simulated(rng, spread=2.0)
    truth = np.array([LABELS.index(label) for label in worse.runs[0].truth])
    predicted = worse.runs[0].probs.argmax(axis=1)
    better = answered(truth, np.where(rng.random(len(truth)) < 0.06, truth, predicted), name="better")
    found = compared(better, worse, groups)
    alone = group(worse, groups).estimate("ua")
    assert found.p_ua < 0.001
    assert found.ua.low > 0
    assert found.ua.high - found.ua.low < 0.25 * (alone.high - alone.low)


def test_every_two_systems_are_compared_and_corrected_together():
    three = [answered(TRUTH, TRUTH, name="a"), *(answered(TRUTH, s, name=n) for s, n in zip(SEEDS, "bc", strict=True))]
    found = differences([(one, group(one, GROUPS)) for one in three])
    assert [{d.first, d.second} for d in found] == [{"a", "b"}, {"a", "c"}, {"b", "c"}]
    assert [d.p_holm for d in found] == pytest.approx(holm([d.p_ua for d in found]))


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
