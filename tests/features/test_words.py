import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.errors import SerError
from sercli.features import _vectors, words
from sercli.features.words import Config

DEFAULT = Config()


@pytest.fixture
def small(tmp_path):
    """A Config with a file of two-dimensional vectors of its own."""
    path = tmp_path / "small.txt"
    path.write_text("sun 1 2\nrain 3 4\nmay 5 6\nMay 7 8\nlaughter 9 9\nno -1 -1\n", encoding="utf-8")
    return Config(vectors=str(path))


def unknown(text, config=DEFAULT):
    flags = words.extract(text, config)[:, -1]
    return [token for token, flag in zip(words.tokens(text, config), flags, strict=True) if flag]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I can't. Don't!", "i ca n't . do n't !"),
        ("It’s “fine” ‘now’", "it 's \" fine \" ' now '"),
        ("Come here. Sit down. Go.", "come here . sit down . go ."),
        ('She said "no." Then left.', 'she said " no . " then left .'),
        ("Mr. Hall and Mrs. Hall, U.S. Army, 5 p.m. sharp", "mr. hall and mrs. hall , u.s. army , 5 p.m. sharp"),
        ("Well.. I..... wait… what?!", "well ... i ... wait ... what ? !"),
        ("What--now", "what -- now"),
        ("about 10,000 or 2.5", "about 10,000 or 2.5"),
        ("[LAUGHTER] Okay.[breathing] [Garbage]", "[laughter] okay . [breathing] [garbage]"),
        ("a [very long] b", "a [ very long ] b"),
        ("\tＦｕｌｌ  width\n", "full width"),
    ],
)
def test_text_is_cut_into_tokens(text, expected):
    assert words.tokens(text, DEFAULT) == expected.split(" ")


def test_case_is_kept_where_lower_is_off():
    assert words.tokens("May I? [LAUGHTER]", Config(lower=False)) == ["May", "I", "?", "[LAUGHTER]"]


def test_each_token_is_a_row_of_its_vector_and_a_zero(small):
    assert words.extract("Sun rain", small).tolist() == [[1, 2, 0], [3, 4, 0]]


def test_the_vectors_that_ship_are_used_by_default():
    expected = _vectors.load(None, 10).matrix[0].astype(np.float32)
    rows = words.extract("the", DEFAULT)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[*expected.tolist(), 0]]


def test_an_unknown_word_is_zeros_and_a_one(small):
    assert words.extract("sun zzyzx", small).tolist() == [[1, 2, 0], [0, 0, 1]]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_words_are_one_unknown_word(small, text):
    assert words.extract(text, small).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("text", ["[LAUGHTER]", "[laughter]", "[Laughter]"])
@pytest.mark.parametrize("lower", [True, False])
def test_a_marker_in_any_case_has_the_vector_of_its_word(small, text, lower):
    config = Config(vectors=small.vectors, lower=lower)
    assert words.extract(text, config).tolist() == [[9, 9, 0]]


def test_the_markers_of_iemocap_are_all_known():
    assert unknown("[LAUGHTER] [BREATHING] [GARBAGE] [LIPSMACK]") == []


def test_garbage_as_a_marker_is_not_the_word_garbage():
    marker, word = words.extract("[GARBAGE] garbage", DEFAULT)
    assert not np.array_equal(marker, word)


def test_without_lower_a_word_is_looked_up_as_written_and_then_in_lower_case(small):
    config = Config(vectors=small.vectors, lower=False)
    assert words.extract("may May SUN", config).tolist() == [[5, 6, 0], [7, 8, 0], [1, 2, 0]]


def test_joined_words_are_the_mean_of_their_known_parts(small):
    assert words.extract("sun-rain zz-sun sun'rain", small).tolist() == [[2, 3, 0], [1, 2, 0], [2, 3, 0]]


def test_drawn_out_words_are_known_by_their_short_form(small):
    assert words.extract("nooooo", small).tolist() == [[-1, -1, 0]]


def test_ordinary_speech_has_no_unknown_words():
    assert (
        unknown("Well, I can't believe you're gonna do that! It’s... y'know, wh-what? Mr. Smith won't like it.") == []
    )


def test_only_the_first_max_tokens_count(small):
    config = Config(vectors=small.vectors, max_tokens=2)
    assert words.extract("sun rain sun rain", config).tolist() == [[1, 2, 0], [3, 4, 0]]


def test_a_row_is_as_wide_as_the_vectors_and_one(small):
    assert (words.extract("sun", DEFAULT).shape, words.extract("sun", small).shape) == ((1, 101), (1, 3))


def test_a_changed_file_is_read_again(small):
    before = words.extract("sun", small).tolist()
    Path(small.vectors).write_text("sun 5 5\n", encoding="utf-8")
    os.utime(small.vectors, (1, 1))
    assert (before, words.extract("sun", small).tolist()) == ([[1, 2, 0]], [[5, 5, 0]])


def test_the_identity_follows_the_content_and_not_the_path(small, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes((tmp_path / "small.txt").read_bytes())
    other = tmp_path / "other.txt"
    other.write_text("sun 1 2\n", encoding="utf-8")
    first, second, third = (words.identity(Config(vectors=str(path))) for path in (small.vectors, copy, other))
    assert first == second != third


def test_exported_vectors_have_the_identity_of_the_file_that_they_came_from(small, tmp_path):
    exported = words.localise(words.export(small, tmp_path), tmp_path)
    assert words.identity(exported) == words.identity(small)


def test_the_vectors_that_ship_need_no_digest_and_no_export(tmp_path):
    assert words.identity(DEFAULT)["vectors"] == ""
    assert words.export(DEFAULT, tmp_path) == DEFAULT == words.localise(DEFAULT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fewer_of_the_vectors_that_ship_are_others_for_the_cache():
    few, fewer = (words.identity(Config(max_words=n))["vectors"] for n in (1000, 999))
    assert len({few, fewer, ""}) == 3
    assert words.identity(Config(max_words=_vectors.BUNDLED_WORDS))["vectors"] == ""


def test_exported_vectors_move_with_the_folder_and_give_the_same_rows(small, tmp_path):
    text = "Sun may zzyzx sun-rain"
    expected = words.extract(text, small).tolist()
    (tmp_path / "run").mkdir()
    exported = words.export(small, tmp_path / "run")
    (tmp_path / "small.txt").unlink()
    moved = (tmp_path / "run").rename(tmp_path / "elsewhere")
    assert exported.vectors == "vectors.npz"
    assert words.extract(text, words.localise(exported, moved)).tolist() == expected


@pytest.mark.parametrize(
    ("name", "reason"), [("none.txt", "No such file"), (".", "Is a directory"), ("a\0b", "embedded null byte")]
)
@pytest.mark.parametrize("use", [words.identity, lambda config: words.extract("sun", config)])
def test_a_path_that_is_no_file_of_vectors_is_named(tmp_path, name, reason, use):
    path = f"{tmp_path}/{name}"
    with pytest.raises(SerError) as caught:
        use(Config(vectors=path))
    assert str(caught.value).startswith(f"{path}: cannot read word vectors ({reason}")
    assert str(caught.value).endswith("check the path in feature.vectors.")


def test_importing_the_plugin_leaves_nltk_alone():
    code = "import sys, sercli.features.words; print(*sys.modules.keys() & {'nltk', 'torch', 'librosa'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_words_are_cut_without_the_rest_of_nltk_which_others_can_import_afterwards():
    code = (
        "import sys; from sercli.features import words; print(words.tokens('I can’t.', words.Config()));"
        "print(sys.modules.keys() & {'nltk', 'sklearn', 'scipy.stats'}); import nltk; nltk.tokenize.word_tokenize"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['i', 'ca', \"n't\", '.']", "set()"]


@given(text=st.text(max_size=200))
def test_any_text_gives_rows_of_known_or_flagged_words(text):
    rows = words.extract(text, Config(max_tokens=16))
    assert rows.shape[1] == 101
    assert 1 <= len(rows) <= 16
    assert np.isfinite(rows).all()
    assert ((rows[:, -1] == 1) == (rows[:, :-1] == 0).all(axis=1)).all()


def test_each_row_has_its_place_among_the_words():
    text = "I can't. [LAUGHTER]Go, ``now''... wait.. \"why\""
    assert words.word_places(text, DEFAULT).tolist() == [0, 1, 1, 1, *[2] * 3, *[3] * 4, 4, 4, *[5] * 3]


def test_what_is_cut_off_has_no_place_and_no_word_has_none():
    assert words.word_places("a b c d", Config(max_tokens=2)).tolist() == [0, 1]
    assert words.word_places(" ", DEFAULT).tolist() == [-1]


@given(text=st.text(alphabet=st.sampled_from("abI'\"`.-[]()…“´é\u00a0 \n1,!$"), max_size=60) | st.text(max_size=60))
def test_places_put_the_tokens_of_any_text_back_into_its_words(text):
    tokens, places = words.tokens(text, DEFAULT), words.word_places(text, DEFAULT)
    assert len(places) == len(words.extract(text, DEFAULT))
    found = {}
    for token, place in zip(tokens, places, strict=bool(tokens)):
        found[place] = found.get(place, "") + token
    plain = [words._plain(word, DEFAULT).replace("``", '"').replace("''", '"') for word in text.split()]
    expected = {place: "".join(word.split()) for place, word in enumerate(plain)}
    if len(tokens) < DEFAULT.max_tokens and tokens:
        assert found == expected
