"""The sound of each word is that of the word's time."""

import numpy as np
import pytest

from sercli.dataset.word_times import attribute, spoken
from sercli.features import aligned, lld, words
from sercli.types import WORD_TIMES, Utterance, Word

EXTRACT = aligned.make(aligned.Config(), "cpu")
RATE_HZ = 16_000


def utterance(text, **attributes):
    return Utterance("u", "c", None, audio="u.wav", transcripts={"human": text}, attributes=attributes)


def halves():
    """A second of a low tone, then three of a high one."""
    t = np.arange(4 * RATE_HZ) / RATE_HZ
    return (0.1 * np.sin(2 * np.pi * np.where(t < 1, 200, 2000) * t)).astype(np.float32)


def centroids(features):
    return features[:, lld.NAMES.index("spectral_centroid")]


def test_each_token_has_the_sound_of_its_words_time():
    timed = utterance("Low, high", **{WORD_TIMES: [[7.0, 8.0], [8.0, 11.0]]})
    features = EXTRACT([spoken(timed, halves())])[0]
    tokens = words.tokens("Low, high", words.Config())
    assert tokens == ["low", ",", "high"]
    assert features.shape == (3, 68)
    assert centroids(features)[0] == centroids(features)[1] == pytest.approx(200 / 8000, rel=0.2)
    assert centroids(features)[2] == pytest.approx(2000 / 8000, rel=0.1)


def test_without_times_a_word_lasts_as_long_as_its_letters():
    np.testing.assert_allclose(spoken(utterance("a bcd"), halves()).parts, [[0, 0.25], [0.25, 1]])
    assert centroids(EXTRACT([spoken(utterance("a bcd"), halves())])[0])[0] < 0.05


def test_recognised_words_give_their_times_and_other_words_none():
    timed = [Word("a", 0.5, 1.0, 1.0), Word("bcd", 1.0, 2.5, 1.0)]
    assert attribute("a bcd", timed) == {WORD_TIMES: [[0.5, 1.0], [1.0, 2.5]]}
    assert attribute("a xyz", timed) == {}


def test_no_words_are_one_row_over_all_frames():
    features = EXTRACT([spoken(utterance(""), halves())])[0]
    np.testing.assert_allclose(features[0, :34], lld.extract(halves(), lld.Config()).mean(axis=0), rtol=1e-5)
