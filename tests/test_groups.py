from dataclasses import replace

import numpy as np
import pytest

from sercli import groups
from sercli.groups import Adapter
from sercli.types import Prediction, Predictions

LABELS = ("neutral", "anger")


class Halving:
    """A model whose `adapted` halves the first probability of each group, and notes what it was given."""

    labels = LABELS
    can_adapt = True

    def __init__(self):
        self.given = []

    def adapted(self, predictions, change):
        self.given.append(predictions)
        return Predictions(predictions.ids, LABELS, change("", predictions.probs, np.zeros((2, 2))))


@pytest.fixture(autouse=True)
def halved(monkeypatch):
    def by_group(probs, expected, *, way):
        first = probs[:, :1] / 2
        return np.concatenate([first, 1 - first], axis=1)

    monkeypatch.setattr(groups.adaptation, "by_group", by_group)


def predicted(path, p=0.8, **more):
    return Prediction(path, 0, 1, "neutral", p, {"neutral": p, "anger": 1 - p}, **more)


def test_a_group_is_adapted_and_keeps_what_it_was_before():
    found = Adapter(Halving(), "auto").adapted([predicted("a")] * 5, "recording")
    assert [one.label for one in found] == ["anger"] * 5
    assert found[0].probabilities == pytest.approx({"neutral": 0.4, "anger": 0.6})
    assert found[0].confidence == pytest.approx(0.6)
    assert found[0].unadapted == {"neutral": 0.8, "anger": pytest.approx(0.2)}
    assert (found[0].adapted.group, found[0].adapted.n, found[0].adapted.how) == ("recording", 5, "auto")


def test_below_the_least_confidence_it_is_unsure():
    (one, *_) = Adapter(Halving(), "auto").adapted([predicted("a")] * 5, "recording", min_confidence=0.7)
    assert one.label == "unsure"


@pytest.mark.parametrize(("n", "how"), [(1, ("voice", 2, "neutral")), (5, ("recording", 5, "neutral, auto"))])
def test_clips_at_rest_come_first_and_a_group_that_is_large_enough_after_them(n, how, monkeypatch):
    def at_rest(probs, expected, *, resting, neutral):
        assert (resting.shape, resting[0, 0], neutral) == ((2, 2), 0.3, 0)  # the clips before they were adapted
        return np.add(probs, [-0.6, 0.6])

    monkeypatch.setattr(groups.adaptation, "at_rest", at_rest)
    resting = [replace(predicted("rest", 0.9), unadapted={"neutral": 0.3, "anger": 0.7}), predicted("rest")]
    alone = Adapter(Halving(), "none", resting).adapted([predicted("a")] * n, "recording")
    assert alone[0].probabilities == pytest.approx({"neutral": 0.2, "anger": 0.8})
    found = Adapter(Halving(), "auto", resting).adapted(alone, "recording")
    assert found[0].probabilities["neutral"] == pytest.approx(0.2 if n == 1 else 0.1)
    assert found[0].unadapted == pytest.approx({"neutral": 0.8, "anger": 0.2})
    assert (found[0].adapted.group, found[0].adapted.n, found[0].adapted.how) == how


@pytest.mark.parametrize("why", ["few", "none", "model"])
def test_what_cannot_be_adapted_stays(why):
    model, n = Halving(), 4 if why == "few" else 5
    model.can_adapt = why != "model"
    given = [predicted("a")] * n
    assert Adapter(model, "none" if why == "none" else "auto").adapted(given, "recording") == given


def test_predictions_without_speech_are_passed_by_and_do_not_count():
    silent = Prediction("s", 0, 1, reason="no speech")
    given = [predicted("a"), silent, *[predicted("a")] * 3]
    assert Adapter(Halving(), "auto").adapted(given, "folder") == given
    found = Adapter(Halving(), "auto").adapted([*given, predicted("b")], "folder")
    assert found[1] == silent
    assert found[0].adapted.n == 5


@pytest.mark.parametrize("kind", ["speaker", "folder"])
def test_each_speaker_or_folder_is_a_group_and_the_order_stays(kind):
    model = Halving()
    speakers = {"a": "one", "b": "two", "x": None}
    given = [predicted(f"{name}/{p}", p, speaker=speakers[name]) for name in "abx" for p in (0.6, 0.7, 0.8, 0.9, 0.5)]
    mixed = [given[n] for n in np.random.default_rng(0).permutation(len(given))]
    found = Adapter(model, "auto").adapted(mixed, kind)
    assert [one.path for one in found] == [one.path for one in mixed]
    assert [len(given.ids) for given in model.given] == [5] * (2 if kind == "speaker" else 3)
    alone = [one for one in found if one.adapted is None]
    assert {one.path[0] for one in alone} == ({"x"} if kind == "speaker" else set())
