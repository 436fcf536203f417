"""The coefficients are librosa's, for clips of any length."""

import dataclasses

import librosa
import numpy as np
import pytest

from sercli.features import mfcc

CONFIG = mfcc.Config()


def noise(n_samples):
    """Digital silence, then swelling noise."""
    swell = np.linspace(-0.05, 0.1, n_samples).clip(0)
    return (swell * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


def librosas(signal):
    """(40, T) of the default configuration, with the absolute floor."""
    bands = librosa.feature.melspectrogram(
        y=signal, sr=16_000, n_fft=400, hop_length=160, center=False, n_mels=64, fmin=50
    )
    return librosa.feature.mfcc(S=librosa.power_to_db(bands, top_db=None), n_mfcc=40)


def test_the_first_half_are_librosas_coefficients():
    np.testing.assert_allclose(mfcc.extract(noise(16_000), CONFIG)[:, :40], librosas(noise(16_000)).T, atol=1e-3)


def test_the_second_half_are_librosas_deltas():
    expected = librosa.feature.delta(librosas(noise(16_000))).T  # differs in how it fills up both ends
    np.testing.assert_allclose(mfcc.extract(noise(16_000), CONFIG)[4:-4, 40:], expected[4:-4], atol=1e-3)


def test_deltas_can_be_left_out():
    without = mfcc.extract(noise(16_000), dataclasses.replace(CONFIG, deltas=False))
    np.testing.assert_array_equal(without, mfcc.extract(noise(16_000), CONFIG)[:, :40])


def test_accelerations_are_librosas_second_deltas_behind_the_first():
    features = mfcc.extract(noise(16_000), dataclasses.replace(CONFIG, n_mfcc=13, accelerations=True))
    assert features.shape[1] == 39
    expected = librosa.feature.delta(features[:, :13].T, order=2).T
    np.testing.assert_allclose(features[4:-4, 26:], expected[4:-4], atol=1e-3)


@pytest.mark.parametrize(("n_samples", "n_frames"), [(1, 1), (400, 1), (560, 2), (1520, 8)])
def test_clips_of_fewer_frames_than_a_delta_spans_work(n_samples, n_frames):
    features = mfcc.extract(noise(n_samples), CONFIG)
    assert features.shape == (n_frames, 80)
    assert np.isfinite(features).all()


def test_a_single_frame_has_no_slope():
    np.testing.assert_allclose(mfcc.extract(noise(400), CONFIG)[:, 40:], 0, atol=1e-3)
