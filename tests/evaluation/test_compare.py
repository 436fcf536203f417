from dataclasses import replace

import numpy as np
import pytest

from sercli.errors import MismatchError, SerError
from sercli.evaluation import metrics
from sercli.evaluation.evaluate import compare
from sercli.types import Predictions

LABELS = ("neutral", "anger")
TRUTH = ("neutral", "neutral", "neutral", "anger")


def answered(*probs_of_anger, **changed):
    probs = np.array([[1 - p, p] for p in probs_of_anger])
    usual = Predictions(tuple(f"u{i}" for i in range(len(probs))), LABELS, probs, TRUTH[: len(probs)])
    return replace(usual, **changed)


GOOD, BAD = answered(0.1, 0.2, 0.7, 0.9), answered(0.9, 0.9, 0.9, 0.1)


def test_each_system_has_its_report_in_the_order_given():
    reports, _ = compare([("good", GOOD), ("bad", BAD)], {"neutral": 3, "anger": 1})
    assert [report.name for report in reports] == ["good", "bad"]
    assert reports == (metrics.report_from(GOOD, "good"), metrics.report_from(BAD, "bad"))
    assert [report.wa for report in reports] == [0.75, 0]


def test_other_labels_are_refused_with_both_named():
    other = replace(GOOD, labels=("neutral", "joy"), truth=None)
    with pytest.raises(MismatchError, match="good and odd have different labels: neutral, anger against neutral, joy"):
        compare([("good", GOOD), ("odd", other)], {})


def test_other_utterances_are_refused_with_one_that_only_one_has():
    fewer = answered(0.1, 0.2, 0.7)
    with pytest.raises(
        MismatchError, match=r"different utterances \(4 and 3; only one has 'u3'\); evaluate runs of one"
    ):
        compare([("good", GOOD), ("odd", fewer)], {})


def test_the_same_utterances_in_another_order_are_refused_as_such():
    turned = replace(GOOD, ids=GOOD.ids[::-1])
    with pytest.raises(MismatchError, match=r"different utterances \(4 and 4; in another order\)"):
        compare([("good", GOOD), ("odd", turned)], {})


def test_another_truth_of_the_same_utterances_is_refused_with_the_first_that_differs():
    relabelled = replace(GOOD, truth=("neutral", "anger", "neutral", "anger"))
    with pytest.raises(
        MismatchError, match=r"good and odd have different true labels .*'u1' is neutral for one, anger for the other"
    ):
        compare([("good", GOOD), ("odd", relabelled)], {})


def test_utterances_with_labels_that_the_system_does_not_know_are_refused():
    with pytest.raises(SerError, match="good knows the labels neutral, anger; the dataset has others"):
        compare([("good", replace(GOOD, truth=None))], {})
