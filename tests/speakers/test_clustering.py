"""Utterances are grouped by voice, whatever their number and emotions."""

import numpy as np
import pytest

from sercli import speakers
from sercli.speakers import clustering

N = 12  # utterances of a speaker


def voice(seed, n=N):
    """(n, 256) embeddings like the network's: of unit length, none negative, with cosines near .8 within a voice."""
    rng = np.random.default_rng(seed)
    own = rng.gamma(0.5, size=256)
    return unit(own / np.linalg.norm(own) + 0.5 * unit(rng.gamma(0.5, size=(n, 256))))


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def in_turns(n_speakers):
    """Embeddings of speakers, one after the other, and who speaks when."""
    voices = [voice(seed) for seed in range(n_speakers)]
    return np.stack(voices, axis=1).reshape(-1, 256), list(range(n_speakers)) * N


@pytest.mark.parametrize("n_speakers", [1, 2, 3, 4])
def test_voices_are_told_apart_and_counted(n_speakers):
    embeddings, who = in_turns(n_speakers)
    assert speakers.assign(embeddings, [2.0] * len(who)).tolist() == who


def test_speakers_are_numbered_by_their_first_utterance():
    first, second = voice(0), voice(1)
    embeddings = np.concatenate([second[:5], first, second[5:]])
    assert speakers.assign(embeddings, [2.0] * 2 * N).tolist() == [0] * 5 + [1] * N + [0] * (N - 5)
    assert [speakers.name(number) for number in (0, 1, 25, 26)] == ["A", "B", "Z", "AA"]


def test_a_given_number_is_kept():
    embeddings, _ = in_turns(2)
    for n in (1, 2, 4, 9):
        assert set(speakers.assign(embeddings, [2.0] * 2 * N, n_speakers=n)) == set(range(n))
    assert set(speakers.assign(embeddings[:2], [2.0] * 2, n_speakers=2)) == {0, 1}


def test_short_utterances_do_not_form_a_speaker_but_join_the_nearest():
    embeddings, who = in_turns(2)
    short = unit(voice(7, 3) + 0.6 * embeddings[0])
    lengths = np.where(np.arange(2 * N + 3) < 2 * N, 2.0, 0.5)
    assert speakers.assign(np.concatenate([embeddings, short]), lengths).tolist() == [*who, 0, 0, 0]
    alike = [2.0] * (2 * N + 3)
    assert speakers.assign(np.concatenate([embeddings, short]), alike, n_speakers=3).tolist() == [*who, 2, 2, 2]


def test_what_emotion_changes_makes_no_second_speaker():
    moved = np.where(np.arange(N) % 2, 1.0, 0.0)[:, None]
    other = unit(voice(1)[:1] - voice(0)[:1])
    assert set(speakers.assign(voice(0) + moved * other, [2.0] * N)) == {0, 1}
    emotion = clustering._shipped().directions[:1]
    assert set(speakers.assign(voice(0) + moved * emotion, [2.0] * N)) == {0}


def test_one_utterance_and_equal_ones_have_one_speaker():
    for n in (1, 2, 3, 12):
        assert speakers.assign(np.repeat(voice(0, 1), n, axis=0), [2.0] * n).tolist() == [0] * n


def test_in_a_very_long_recording_some_utterances_stand_for_all(monkeypatch):
    embeddings, who = in_turns(2)
    monkeypatch.setattr(clustering, "_CORE", 15)
    assert speakers.assign(embeddings, [2.0] * 2 * N).tolist() == who
