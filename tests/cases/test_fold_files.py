"""Fold files of other people: what they leave out is counted and named, and their numbers are told."""

import pytest

from sercli.dataset import folds
from sercli.errors import SerError
from sercli.types import Manifest, Utterance

MANIFEST = Manifest(tuple(Utterance(f"u{n}", "c", "anger", f"s{n}") for n in range(6)), ("anger",), "0" * 64)


def told(tmp_path, rows):
    path = tmp_path / "folds.csv"
    path.write_text("id,fold\n" + "".join(f"{name},{fold}\n" for name, fold in rows))
    return [remark.removeprefix(f"{path} ") for remark in folds.remarks(path, MANIFEST)]


@pytest.mark.parametrize(
    ("first", "numbers"),
    [
        (0, "numbers its folds otherwise: 0 there is 1 here, 1 there is 2 here, 2 there is 3 here"),
        (5, "numbers its folds otherwise: 5 there is 1 here, 6 there is 2 here, 7 there is 3 here"),
    ],
)
def test_folds_that_are_not_numbered_from_1_are_told(tmp_path, first, numbers):
    assert told(tmp_path, [(f"u{n}", first + n % 3) for n in range(6)]) == [numbers]


def test_what_a_file_of_folds_leaves_out_is_counted_and_named(tmp_path):
    assert told(tmp_path, [(f"u{n}", 1 + n) for n in range(4)]) == ["leaves out 2 of 6 utterances ('u4', 'u5')"]


def test_a_file_that_lists_all_from_1_on_has_no_remark(tmp_path):
    assert told(tmp_path, [(f"u{n}", 1 + n % 3) for n in range(6)]) == []


def test_folds_that_cannot_be_used_are_refused_with_what_the_file_leaves_out(tmp_path):
    rows = [Utterance(f"u{n}", "c", "anger" if n == 5 else "sadness", f"s{n}") for n in range(6)]
    path = tmp_path / "folds.csv"
    path.write_text("id,fold\n" + "".join(f"u{n},{n % 3}\n" for n in range(5)))
    with pytest.raises(SerError) as caught:
        folds.read(path, Manifest(tuple(rows), ("anger", "sadness"), "0" * 64))
    assert str(caught.value) == (
        f"--split file fold 1: the train part has no anger; {path} numbers its folds otherwise: 0 there is 1 here, "
        f"1 there is 2 here, 2 there is 3 here; {path} leaves out 1 of 6 utterances ('u5'); correct the folds in "
        f"{path}."
    )
