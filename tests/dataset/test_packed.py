import hashlib
from dataclasses import replace

import pytest

from sercli.dataset.packed import Packed
from sercli.types import Utterance


def rows(n):
    """Utterances that have something in every field."""
    return [
        Utterance(
            id=f"é{k}",
            corpus="table",
            label="anger",
            speaker=f"s{k % 7}",
            audio=f"a b/{k}.wav",
            start_s=k / 3,
            end_s=k + 1.0,
            transcripts={"human": f"line\n{k}"},
            attributes={"votes": [k, None, 0.1], "sex": "female"},
            digest=hashlib.blake2b(b"%d" % k, digest_size=16).hexdigest(),
            duration_s=0.25,
        )
        for k in range(n)
    ]


@pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 300])
def test_what_is_packed_comes_back_in_its_order(n):
    packed = Packed(Utterance, rows(n))
    assert len(packed) == n
    assert list(packed) == list(packed) == rows(n)
    assert bool(packed) == bool(n)


@pytest.mark.parametrize("place", [0, 127, 128, 255, 256, 299, -1, -44, -45, -300])
def test_a_row_is_found_by_its_place(place):
    assert Packed(Utterance, rows(300))[place] == rows(300)[place]


@pytest.mark.parametrize("place", [slice(0, 128), slice(100, 290), slice(290, 400), slice(None, None, -1), slice(5, 5)])
def test_rows_are_found_by_a_slice(place):
    assert Packed(Utterance, rows(300))[place] == rows(300)[place]


@pytest.mark.parametrize("place", [300, -301])
def test_a_place_that_there_is_not_is_refused(place):
    with pytest.raises(IndexError):
        Packed(Utterance, rows(300))[place]


def test_all_rows_are_what_json_makes_of_them():
    tuples = [replace(row, end_s=1, attributes={"votes": (1, 2)}) for row in rows(200)]
    lists = [replace(row, end_s=1.0, attributes={"votes": [1, 2]}) for row in rows(200)]
    packed = Packed(Utterance, tuples)
    assert packed == lists != tuples
    assert repr(list(packed)) == repr(lists)
    assert repr(packed[-1]) == repr(lists[-1])


def test_it_is_equal_to_a_sequence_of_the_same_rows():
    packed = Packed(Utterance, rows(200))
    assert packed == rows(200)
    assert tuple(rows(200)) == packed == Packed(Utterance, rows(200))
    assert packed != rows(199)
    assert packed != rows(200)[::-1]
    assert packed != "rows"


def test_rows_are_added_at_the_end_while_others_are_read():
    packed = Packed(Utterance)
    for n, row in enumerate(rows(300)):
        packed.append(row)
        assert packed[-1] == row
        assert packed[n // 2] == rows(300)[n // 2]
    assert list(packed) == rows(300)


def test_it_takes_up_a_small_part_of_what_the_rows_do():
    packed = Packed(Utterance, rows(1280))
    assert sum(map(len, packed._blocks)) < 100 * 1280
