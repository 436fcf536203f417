"""Embeddings of voices depend on the voice: not on the level, nor on what else is embedded."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from sercli import speakers
from sercli.audio import reading
from sercli.errors import SerError
from sercli.speakers import embedding

DEMO = Path(__file__).parents[2] / "data" / "demo" / "audio"


def clip(name):
    return reading.read(DEMO / f"{name}.ogg", sample_rate_hz=16_000)


@pytest.fixture(scope="module")
def clips():
    long = np.concatenate([clip("f1-neutral-1"), clip("f1-sadness-2"), clip("f1-anger-3")])
    return [long, clip("m1-neutral-1"), clip("m1-anger-2"), clip("m1-neutral-1")[:6_000]]


def test_an_utterance_has_the_same_embedding_alone_and_in_a_batch(clips):
    together = speakers.embed(clips)
    assert (together.shape, together.dtype) == ((4, 256), np.float32)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    for signal, row in zip(clips, together, strict=True):
        np.testing.assert_allclose(speakers.embed([signal])[0], row, atol=1e-5)


def test_the_level_of_a_signal_makes_no_difference(clips):
    np.testing.assert_allclose(speakers.embed([clips[1] * 0.01]), speakers.embed([clips[1]]), atol=1e-4)


def test_two_halves_of_an_utterance_are_closer_than_two_voices():
    man, woman = clip("m1-neutral-1"), clip("f1-neutral-1")
    first, second, other = speakers.embed([*np.array_split(man, 2), woman])
    assert first @ second > max(first @ other, second @ other) + 0.05


def test_the_bands_are_librosas(clips):
    signal = clips[1] * embedding.gain(embedding.speech_level_dbfs(clips[1]), -20)
    expected = librosa.feature.melspectrogram(y=signal, sr=16_000, n_fft=400, hop_length=160, n_mels=40).T
    np.testing.assert_allclose(embedding.mel_power(clips[1]), expected, rtol=1e-3, atol=1e-5)


def test_pieces_cover_the_whole_utterance():
    mel = np.arange(1_000)[:, None]
    pieces = embedding._pieces(mel)
    assert {len(piece) for piece in pieces} == {160}
    assert (pieces[0][0], pieces[-1][-1]) == (0, 999)
    assert set(np.concatenate(pieces).ravel()) == set(range(1_000))


def test_silence_and_nothing_have_embeddings():
    assert np.isfinite(speakers.embed([np.zeros(100, np.float32)])).all()
    assert speakers.embed([]).shape == (0, 256)


def test_damaged_weights_are_named(tmp_path, monkeypatch):
    damaged = tmp_path / "ge2e.safetensors"
    damaged.write_bytes(b"nothing")
    monkeypatch.setattr(embedding, "WEIGHTS", damaged)
    embedding._encoder.cache_clear()
    with pytest.raises(SerError, match=r"ge2e\.safetensors cannot be read .*; install sercli again\.$"):
        speakers.embed([np.ones(16_000, np.float32)])
