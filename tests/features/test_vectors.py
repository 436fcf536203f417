import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.errors import SerError
from sercli.features import _vectors

MANY = 400_000
ROWS = {"sun": (0.5, -1.0, 2.0), "rain": (0.25, 0.0, -3.0)}


def glove(rows=ROWS):
    return "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows.items()).encode()


def word2vec_binary(rows=ROWS, *, dim=3, promised=None, after=b"\n"):
    body = b"".join(word.encode() + b" " + struct.pack(f"<{dim}f", *row) + after for word, row in rows.items())
    return b"%d %d\n" % (len(rows) if promised is None else promised, dim) + body


def load(tmp_path, content, *, max_words=MANY, name="v.txt"):
    path = tmp_path / name
    path.write_bytes(content)
    return _vectors.load(path, max_words)


def refusal(tmp_path, content, name="v.txt"):
    with pytest.raises(SerError) as caught:
        load(tmp_path, content, name=name)
    return str(caught.value).removeprefix(str(tmp_path / name))


def as_dict(vectors):
    return {word: tuple(vectors.matrix[row].tolist()) for word, row in vectors.index.items()}


FORMATS = {
    "glove text": glove(),
    "glove text with Windows line ends": glove().replace(b"\n", b"\r\n"),
    "glove text without a last line break": glove().rstrip(),
    "tabs": glove().replace(b" ", b"\t"),
    "word2vec text": b"2 3\n" + glove(),
    "word2vec text with a blank at each end": b"2 3\n" + glove().replace(b"\n", b" \n"),
    "word2vec binary": word2vec_binary(),
    "word2vec binary without line breaks": word2vec_binary(after=b""),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS.keys())
def test_every_format_gives_the_same_vectors_whatever_the_file_is_called(tmp_path, content, packed):
    vectors = load(tmp_path, gzip.compress(content) if packed else content, name="whatever.dat")
    assert as_dict(vectors) == ROWS
    assert vectors.matrix.dtype == np.float16


def test_a_saved_file_loads_as_it_was(tmp_path):
    vectors = _vectors.WordVectors({"a": 0, "é": 1}, np.array([[1, 2], [3, 4]], np.float16))
    _vectors.save(vectors, tmp_path / "v.npz", licence="CC0")
    again = _vectors.load(tmp_path / "v.npz", MANY)
    assert (again.index, again.matrix.tolist()) == ({"a": 0, "é": 1}, [[1, 2], [3, 4]])


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    vectors = load(tmp_path, glove())
    _vectors.save(vectors, tmp_path / "a.npz")
    _vectors.save(vectors, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz", "v.txt"]


def test_a_word_may_hold_blanks_as_in_glove_840b(tmp_path):
    vectors = load(tmp_path, b"sun 1 2\n. . . 3 4\nat name@domain.com 5 6\n")
    assert as_dict(vectors) == {"sun": (1, 2), ". . .": (3, 4), "at name@domain.com": (5, 6)}


def test_a_number_may_be_a_word(tmp_path):
    assert as_dict(load(tmp_path, b"7 1 2\n8 3 4\n")) == {"7": (1, 2), "8": (3, 4)}


def test_the_first_of_equal_words_wins(tmp_path):
    assert as_dict(load(tmp_path, b"a 1 2\nb 3 4\na 5 6\nb 7 8\nc 9 9\n")) == {"a": (1, 2), "b": (3, 4), "c": (9, 9)}


@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS.keys())
def test_max_words_keeps_the_beginning(tmp_path, content):
    assert list(load(tmp_path, content, max_words=1).index) == ["sun"]


def test_a_file_longer_than_one_block_is_read_to_its_end(tmp_path):
    n = 2 * _vectors._BLOCK_ROWS + 5
    rows = {f"w{number}": (number % 100,) for number in range(n)}
    for content in (glove(rows), word2vec_binary(rows, dim=1)):
        vectors = load(tmp_path, content)
        assert len(vectors.index) == n
        assert vectors.matrix[:, 0].tolist() == [number % 100 for number in range(n)]


def test_bytes_of_a_word_that_are_not_utf8_do_not_spoil_the_file(tmp_path):
    assert as_dict(load(tmp_path, b"caf\xe9 1 2\nb 3 4\n")) == {"caf\ufffd": (1, 2), "b": (3, 4)}


BAD = {
    "empty": (b"", ": is empty."),
    "blank": (b"\n\n", ":1: vectors of 0 numbers; there must be 1 to 65536."),
    "words alone": (b"sun\nrain\n", ":1: vectors of 0 numbers"),
    "prose": (b"It was a dark night.\n", ":1: 'was' is not a number."),
    "short row": (b"a 1 2\nb 3\n", ":2: 1 numbers after the word where line 1 has 2."),
    "long row": (b"a 1 2\nb 3 4 5\n", ":2: more than the 2 numbers that line 1 has."),
    "two blanks for a number": (b"a 1 2\nb  3\n", ":1: unreadable rows from here"),
    "not a number": (b"a 1 2\nb 3 x4\n", ":2: 'x4' is not a number."),
    "NaN": (b"a 1 2\n\nb 3 nan\n", ":3: a number that is not finite or beyond 65504."),
    "too large": (b"a 1 2\nb 3 1e9\n", ":2: a number that is not finite or beyond 65504."),
    "no word": (b"a 1 2\n 3 4\n", ":2: numbers without a word."),
    "header of dimension 0": (b"2 0\na\nb\n", ":1: vectors of 0 numbers"),
    "header of no words": (b"0 3\n", ":1: the header promises 0 words of 3 numbers, which the file does not hold."),
    "header of 4e9 words": (b"4000000000 2\na 1 2\n", ":1: the header promises 4000000000 words of 2 numbers"),
    "header of 4e9 numbers": (b"2 4000000000\na 1 2\n", ":1: vectors of 4000000000 numbers; there must be 1 to 65536."),
    "header of one word too many": (b"3 2\na 0.125 2.5\nb 3.5 4.5\n", ":1: the header promises 3 words, the file"),
    "header of one word too few": (b"1 2\na 1 2\nb 3 4\n", ":1: the header promises 1 words, the file holds 2."),
    "binary header of 4e9 words": (word2vec_binary(promised=4 * 10**9), ":1: the header promises 4000000000 words"),
    "binary header of too few": (word2vec_binary(promised=1), ": more data after the 1 words that its header"),
    "binary cut in a vector": (word2vec_binary({"sun" * 9: (1, 2, 3), "b": (4, 5, 6)})[:-5], ": word 2: truncated"),
    "binary with infinity": (word2vec_binary({"a": (0, 0, np.inf)}), ": word 1: a number that is not finite"),
    "image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ":1: vectors of 0 numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_with_its_place_and_the_reason(tmp_path, content, reason):
    message = refusal(tmp_path, content)
    assert message.startswith(reason)
    assert message.endswith("Give a GloVe or word2vec file, text or binary, .gz or not.")


def test_a_packed_header_cannot_make_room_for_words_that_are_not_there(tmp_path):
    content = gzip.compress(word2vec_binary(promised=4 * 10**9))
    assert refusal(tmp_path, content, "v.gz").startswith(": word 3: truncated: the header promises 4000000000 words")


def test_a_cut_gz_is_refused(tmp_path):
    content = gzip.compress(glove({f"w{number}": (number,) for number in range(999)}))
    assert "cannot be read as word vectors: Compressed file ended" in refusal(tmp_path, content[:-99], "v.gz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SerError, match=r"There is no word vector file .*none\.txt; give the path"):
        _vectors.load(tmp_path / "none.txt", MANY)


def test_the_archive_that_glove_comes_in_is_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("glove.6B.50d.txt", glove())
    with pytest.raises(
        SerError, match=r"an archive of glove\.6B\.50d\.txt; unpack it and give the path of a file in it"
    ):
        _vectors.load(tmp_path / "glove.zip", MANY)


def test_a_cut_npz_is_refused(tmp_path):
    _vectors.save(load(tmp_path, glove()), tmp_path / "v.npz")
    content = (tmp_path / "v.npz").read_bytes()
    assert refusal(tmp_path, content[:-40], "v.npz").startswith(": a damaged archive (")


def test_an_npz_that_claims_billions_of_words_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (4 * 10**9, 50)})
    with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
        archive.writestr("vectors.npy", header.getvalue())
        archive.writestr("words.npy", header.getvalue())
    with pytest.raises(SerError, match=r"v\.npz: a damaged archive"):
        _vectors.load(tmp_path / "v.npz", MANY)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "v.npz", words=np.array([{}], object), vectors=np.ones((1, 2)))
    with pytest.raises(SerError, match=r"a damaged archive .*it holds Python objects"):
        _vectors.load(tmp_path / "v.npz", MANY)


def test_words_and_vectors_of_different_number_are_refused(tmp_path):
    np.savez(tmp_path / "v.npz", words=np.frombuffer(b"a\nb\nc", np.uint8), vectors=np.ones((2, 2)))
    with pytest.raises(SerError, match=r"3 words, but vectors of shape \(2, 2\) and type float64"):
        _vectors.load(tmp_path / "v.npz", MANY)


def test_the_vectors_that_ship_are_those_of_a_sentence_model_with_its_licence():
    vectors = _vectors.load(None, MANY)
    assert vectors.matrix.shape == (_vectors.BUNDLED_WORDS, 100)
    assert list(vectors.index)[:3] == ["the", ",", "."]
    about = np.load(_vectors.BUNDLED)
    assert "all-MiniLM-L6-v2" in str(about["source"])
    assert str(about["licence"]) == "Apache-2.0"


def test_the_vectors_that_ship_know_what_is_said_and_seldom_written():
    known = _vectors.load(None, MANY).index.keys()
    assert {"haha", "ugh", "yeah", "n't", "'m", "gon", "na", "okay", "laughter"} <= known


def test_the_vectors_that_ship_know_what_is_near():
    vectors = _vectors.load(None, MANY)
    matrix = vectors.matrix.astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)

    def near(a, b):
        return matrix[vectors.index[a]] @ matrix[vectors.index[b]]

    assert near("happy", "glad") > near("happy", "engine") + 0.3
    assert near("angry", "furious") > near("angry", "table") + 0.3


WORDS = st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc", "Nd"]), min_size=1, max_size=8)
NUMBERS = st.lists(st.floats(-100, 100, width=16), min_size=2, max_size=2)


@given(rows=st.dictionaries(WORDS, NUMBERS, min_size=1, max_size=20))
def test_any_words_and_numbers_come_back_from_text_and_binary(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("v")
    expected = {word: tuple(row) for word, row in rows.items()}
    assert as_dict(load(folder, glove(rows))) == expected
    assert as_dict(load(folder, word2vec_binary(rows, dim=2))) == expected


@given(content=st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_vectors_or_a_refusal(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("v")
    try:
        vectors = load(folder, content)
    except SerError as error:
        assert "v.txt" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(vectors.matrix).all()
