"""A division into folds as a file."""

import json

import pytest

from sercli.dataset import folds
from sercli.dataset.manifest import make_manifest
from sercli.dataset.splits import folds_hash, make_folds
from sercli.errors import SerError
from sercli.types import Utterance

LABELS = ("neutral", "anger")


@pytest.fixture
def manifest():
    rows = [
        Utterance(f"{speaker}-{label}", "made-up", label, speaker=speaker) for speaker in "abcde" for label in LABELS
    ]
    return make_manifest(rows, LABELS)


@pytest.fixture
def five(manifest):
    return make_folds(manifest, "speakers")


def parts(splits):
    return [(split.train, split.valid, split.test) for split in splits]


def refused(path, manifest):
    with pytest.raises(SerError) as caught:
        folds.read(path, manifest)
    return str(caught.value)


def test_all_folds_at_once_are_those_one_by_one(manifest, five):
    assert [split.fold for split in five] == [1, 2, 3, 4, 5]
    tested = [name for split in five for name in split.test]
    assert sorted(tested) == sorted(u.id for u in manifest.utterances)


def test_what_is_written_is_read_again(manifest, five, tmp_path):
    folds.write(tmp_path / "folds.json", five, "made-up")
    again = folds.read(tmp_path / "folds.json", manifest)
    assert parts(again) == parts(five)
    assert folds_hash(again) == folds_hash(five)
    assert {(split.kind, split.group_by, split.leaky, split.n_folds) for split in again} == {
        ("file", "speaker", False, 5)
    }


def test_the_same_folds_are_the_same_bytes(five, tmp_path):
    for name in ("one.json", "other.json"):
        folds.write(tmp_path / name, five, "made-up")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_a_table_of_test_parts_validates_on_the_next_fold(manifest, five, tmp_path):
    rows = [f"{name},{split.fold}" for split in five for name in split.test]
    (tmp_path / "theirs.csv").write_text("\n".join(["id,fold", *rows]), encoding="utf-8")
    assert parts(folds.read(tmp_path / "theirs.csv", manifest)) == parts(five)


def test_utterances_that_no_fold_names_are_in_no_part(manifest, tmp_path):
    rows = [f"{speaker}-{label},{fold}" for fold, speaker in enumerate("abc", start=1) for label in LABELS]
    (tmp_path / "some.csv").write_text("\n".join(["id,fold", *rows]), encoding="utf-8")
    for split in folds.read(tmp_path / "some.csv", manifest):
        assert {name[0] for part in (split.train, split.valid, split.test) for name in part} == set("abc")


def test_folds_that_share_a_speaker_are_marked_as_leaky(manifest, tmp_path):
    whole = [u.id for u in manifest.utterances]
    content = {"folds": [{"test": whole[::3], "valid": whole[1::3], "train": whole[2::3]}]}
    (tmp_path / "leaky.json").write_text(json.dumps(content))
    (split,) = folds.read(tmp_path / "leaky.json", manifest)
    assert split.leaky
    assert split.group_by == "none"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", "{", "cannot be read as folds"),
        ("a.json", '{"folds": []}', "holds no fold"),
        ("a.json", '{"folds": [{"test": ["x-1", "x-2"]}]}', "2 utterances that are not in this dataset ('x-1', 'x-2')"),
        ("a.csv", "id,part\na-anger,1", "no columns id and fold"),
        ("a.csv", "id,fold\na-anger,one", "cannot be read as folds"),
        ("a.csv", "id,fold\na-anger,1\na-anger,2\nb-anger,3", "in the test part of 2 folds"),
        ("a.csv", "id,fold\na-anger,1\nb-anger,1", "both the valid and the test part"),
        ("a.json", '{"folds": [{"test": ["a-anger", "a-anger"]}, {"test": ["b-anger"]}]}', "listed twice"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(manifest, tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert expected in refused(tmp_path / name, manifest)


def test_a_missing_file_is_named(manifest, tmp_path):
    assert "check the path" in refused(tmp_path / "nowhere.json", manifest)


def test_folds_that_were_changed_are_seen_by_their_hash(manifest, five, tmp_path):
    path = tmp_path / "folds.json"
    folds.write(path, five, "made-up")
    content = json.loads(path.read_bytes())
    content["folds"][0]["train"] = content["folds"][0]["train"][:-1]
    path.write_text(json.dumps(content))
    assert "remove the hash" in refused(path, manifest)
    del content["hash"]
    path.write_text(json.dumps(content))
    assert len(folds.read(path, manifest)[0].train) == len(five[0].train) - 1
