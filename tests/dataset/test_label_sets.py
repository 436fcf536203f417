"""The classes of a dataset: the four and one of one's own, or those of a file."""

import json

import pytest

from sercli.dataset import label_sets
from sercli.errors import ConfigError, SerError
from sercli.types import Utterance

NATIVE = {"neutral": "neutral", "joy": "happiness", "fear": None, "disgust": None, "anger": "anger"}
ROWS = [Utterance(str(n), "x", label) for n, label in enumerate(("anger", "fear", "joy", "disgust", "neutral", "awe"))]


def chosen(label_set):
    kept, labels, dropped = label_sets.choose(ROWS, NATIVE, label_set)
    return {u.attributes["native_label"]: u.label for u in kept}, labels, [one.reason for one in dropped]


def test_a_class_of_ones_own_comes_beside_the_four():
    becomes, labels, dropped = chosen(label_sets.given("other=fear,disgust"))
    four = {"anger": "anger", "joy": "happiness", "neutral": "neutral"}
    assert becomes == {**four, "fear": "other", "disgust": "other"}
    assert labels == ("neutral", "happiness", "anger", "other")
    assert dropped == ["label 'awe' is not among the classes"]


def test_a_label_that_is_named_leaves_the_class_that_it_had():
    becomes, labels, _ = chosen("high=joy,anger")
    assert becomes == {"joy": "high", "anger": "high", "neutral": "neutral"}
    assert labels == ("neutral", "high")


@pytest.mark.parametrize("name", ["classes.toml", "classes.json"])
def test_a_file_has_all_classes(tmp_path, name):
    classes = {"high": ["joy", "anger"], "low": ["neutral"]}
    text = json.dumps(classes) if name.endswith("json") else "\n".join(f"{k} = {v}" for k, v in classes.items())
    (tmp_path / name).write_text(text)
    label_set = label_sets.given(str(tmp_path / name))
    assert label_set == "high=joy,anger;low=neutral"
    becomes, labels, dropped = chosen(label_set)
    assert becomes == {"joy": "high", "anger": "high", "neutral": "low"}
    assert labels == ("high", "low")
    assert len(dropped) == 3


def test_a_label_that_the_corpus_does_not_have_is_refused_with_the_list():
    message = r"No label of the corpus called 'disgst'\. Did you mean 'disgust'\? Available: anger, awe, "
    with pytest.raises(SerError, match=message):
        chosen("other=fear,disgst")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("five", "--labels five: give four, native, the four and a class such as other=disgust,fear, or a TOML"),
        ("other=", "names of classes and labels are not empty"),
        ("unsure=fear", "no class is called unsure"),
        ("a=b;c=d", "hold no comma, semicolon or ="),
        ("other=fear,fear", "--labels other=fear,fear names a label twice; each belongs to one class"),
        ("missing.toml", "missing.toml cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_label_set_is_refused(value, why):
    with pytest.raises(ConfigError, match=why):
        label_sets.given(value)


@pytest.mark.parametrize(("text", "why"), [("a = 1", "Expected `array`, got `int`"), ("a = ['b']", "at least two")])
def test_a_file_of_something_else_is_refused(tmp_path, text, why):
    (tmp_path / "classes.toml").write_text(text)
    with pytest.raises(ConfigError, match=why):
        label_sets.given(str(tmp_path / "classes.toml"))
