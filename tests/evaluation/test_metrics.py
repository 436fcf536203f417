from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from sercli.errors import MismatchError, SerError
from sercli.evaluation.metrics import baselines, confusion, from_counts, report, report_from, uar
from sercli.types import Predictions

LABELS = ("anger", "fear", "joy", "sadness", "surprise")
TRUTH = ["anger", "anger", "anger", "joy", "joy", "sadness"]
PREDICTED = ["anger", "joy", "fear", "joy", "joy", "joy"]  # fear is predicted and never occurs, surprise is neither


@st.composite
def scored(draw, labels=LABELS):
    """Truth and prediction of up to 40 utterances, each drawn from some of the labels only."""
    n = draw(st.integers(1, 40))
    some = st.lists(st.sampled_from(labels), min_size=1, unique=True)
    truth = draw(st.lists(st.sampled_from(draw(some)), min_size=n, max_size=n))
    predicted = draw(st.lists(st.sampled_from(draw(some)), min_size=n, max_size=n))
    return truth, predicted


@given(scored())
def test_confusion_is_that_of_scikit_learn(pair):
    truth, predicted = pair
    expected = reference.confusion_matrix(truth, predicted, labels=list(LABELS))
    assert confusion(truth, predicted, LABELS).tolist() == expected.tolist()


@settings(max_examples=200)
@given(scored())
def test_averages_are_those_of_scikit_learn_over_the_classes_that_occur(pair):
    truth, predicted = pair
    result = report("a", truth, predicted, LABELS)
    options = {"labels": [label for label in LABELS if label in truth], "zero_division": 0}
    assert result.n == len(truth)
    assert result.wa == pytest.approx(reference.accuracy_score(truth, predicted))
    assert result.ua == pytest.approx(reference.recall_score(truth, predicted, average="macro", **options))
    assert result.macro_f1 == pytest.approx(reference.f1_score(truth, predicted, average="macro", **options))
    assert result.weighted_f1 == pytest.approx(reference.f1_score(truth, predicted, average="weighted", **options))
    assert result.macro_f1_all == pytest.approx(reference.f1_score(truth, predicted, average="macro", zero_division=0))


@given(scored())
def test_recall_precision_and_f1_of_each_class_are_those_of_scikit_learn_and_none_where_undefined(pair):
    truth, predicted = pair
    result = report("a", truth, predicted, LABELS)
    recall = reference.recall_score(truth, predicted, labels=LABELS, average=None, zero_division=0)
    precision = reference.precision_score(truth, predicted, labels=LABELS, average=None, zero_division=0)
    f1 = reference.f1_score(truth, predicted, labels=LABELS, average=None, zero_division=0)
    for k, label in enumerate(LABELS):
        assert result.f1[label] == (pytest.approx(f1[k]) if label in truth else None)
        assert result.recall[label] == (pytest.approx(recall[k]) if label in truth else None)
        assert result.precision[label] == (pytest.approx(precision[k]) if label in predicted else None)


@given(st.lists(st.sampled_from(LABELS), min_size=5, max_size=30).filter(lambda truth: set(truth) == set(LABELS)))
def test_ua_is_balanced_accuracy_when_every_class_occurs(truth):
    predicted = truth[::-1]
    expected = reference.balanced_accuracy_score(truth, predicted)
    assert report("a", truth, predicted, LABELS).ua == pytest.approx(expected)


@given(scored())
def test_quick_uar_equals_the_ua_of_the_report(pair):
    truth, predicted = ([LABELS.index(label) for label in part] for part in pair)
    assert uar(np.array(truth), np.array(predicted), len(LABELS)) == pytest.approx(report("a", *pair, LABELS).ua)


def test_a_class_that_is_predicted_but_never_occurs_has_no_recall_and_stays_out_of_ua():
    result = report("a", TRUTH, PREDICTED, LABELS)
    assert result.recall == {"anger": 1 / 3, "fear": None, "joy": 1.0, "sadness": 0.0, "surprise": None}
    assert result.ua == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert result.precision["fear"] == 0.0


def test_a_class_that_is_never_predicted_has_no_precision_and_an_f1_of_zero():
    result = report("a", TRUTH, PREDICTED, LABELS)
    assert result.precision["sadness"] is None
    f1_anger, f1_joy, f1_sadness = 2 / (3 + 1), 4 / (2 + 4), 0.0
    assert result.macro_f1 == pytest.approx((f1_anger + f1_joy + f1_sadness) / 3)


def test_rows_of_the_confusion_are_truth_and_columns_prediction_in_the_given_order():
    counts = report("a", ["joy"], ["anger"], ("joy", "anger")).confusion
    assert counts == [[0, 1], [0, 0]]


def test_an_empty_part_is_refused():
    with pytest.raises(SerError, match=r"'acoustic' cannot be scored: there is no utterance in this part"):
        report("acoustic", [], [], LABELS)


@pytest.mark.parametrize(("truth", "predicted"), [("calm", "joy"), ("joy", "calm")])
def test_a_label_outside_the_label_set_is_named(truth, predicted):
    with pytest.raises(MismatchError, match=r"The label 'calm' is not one of the model's: anger, fear, joy"):
        report("a", [truth], [predicted], LABELS)


def test_a_label_set_that_names_a_class_twice_is_a_bug():
    with pytest.raises(AssertionError, match="a label occurs twice"):
        report("a", ["joy"], ["joy"], ("joy", "joy"))


def test_parts_of_different_length_are_a_bug():
    with pytest.raises(AssertionError, match="2 true labels and 1 predicted ones"):
        confusion(["joy", "joy"], ["joy"], LABELS)


@given(scored())
def test_chance_has_the_expected_figures_of_uniform_guessing(pair):
    chance = baselines(pair[0], LABELS)[0]
    k, n = len(LABELS), len(pair[0])
    assert chance.name == "chance"
    assert chance.wa == pytest.approx(1 / k)
    assert chance.ua == pytest.approx(1 / k)
    for label in LABELS:
        share = pair[0].count(label) / n
        assert chance.recall[label] == (pytest.approx(1 / k) if share else None)
        assert chance.precision[label] == pytest.approx(share)


def test_the_confusion_of_chance_spreads_each_class_evenly():
    chance, majority = baselines(["joy", "joy", "fear"], ["joy", "fear"])
    assert chance.confusion == [[1.0, 1.0], [0.5, 0.5]]
    assert majority.confusion == [[2, 0], [1, 0]]


def test_of_several_seeds_a_report_counts_each_utterance_once():
    found = from_counts("a", np.array([[3, 0], [1, 2]]), ["joy", "fear"], n_seeds=3)
    assert (found.n, found.n_seeds, found.recall["fear"]) == (2, 3, pytest.approx(2 / 3))
    assert found.confusion == [[1.0, 0.0], [pytest.approx(1 / 3), pytest.approx(2 / 3)]]


def test_majority_is_the_most_frequent_class_of_the_train_part_when_that_is_given():
    majority = baselines(["joy", "joy", "anger"], LABELS, train_counts={"anger": 2, "joy": 1})[1]
    assert majority.name == "majority"
    assert majority.wa == pytest.approx(1 / 3)
    assert majority.recall["anger"] == 1.0
    assert majority.recall["joy"] == 0.0


def test_majority_without_a_train_part_is_the_most_frequent_class_of_the_truth():
    majority = baselines(["joy", "joy", "anger"], LABELS)[1]
    assert majority.wa == pytest.approx(2 / 3)
    assert majority.ua == 0.5


def test_majority_ties_go_to_the_first_label():
    majority = baselines(["joy", "anger"], LABELS)[1]
    assert majority.recall["anger"] == 1.0


def test_a_train_label_outside_the_label_set_is_named():
    with pytest.raises(MismatchError, match="The label 'calm' is not one of the model's"):
        baselines(["joy"], LABELS, train_counts={"calm": 1})


def _predictions(**changes):
    probs = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    made = Predictions(ids=("a", "b", "c"), labels=("joy", "sadness"), probs=probs, truth=("sadness", "sadness", "joy"))
    return replace(made, **changes)


def test_the_predicted_class_is_the_likeliest_and_the_first_of_equals():
    assert report_from(_predictions(), "text").confusion == [[1, 0], [1, 1]]


def test_predictions_without_truth_cannot_be_scored():
    with pytest.raises(SerError, match="'text' cannot be scored: its utterances have no labels"):
        report_from(_predictions(truth=None), "text")


def test_probabilities_that_are_not_numbers_are_a_bug_and_not_a_prediction():
    with pytest.raises(AssertionError, match="'text' gave probabilities that are not numbers"):
        report_from(_predictions(probs=np.full((3, 2), np.nan)), "text")
