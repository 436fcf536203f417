"""The log-mel spectrogram is librosa's, on the same frames and with an absolute floor."""

import librosa
import numpy as np
import pytest

from sercli.audio import dsp
from sercli.features import log_mel


def swelling_noise(rate_hz, seconds=2.0):
    n_samples = round(seconds * rate_hz)
    swell = 0.1 * np.sin(np.linspace(0, 9, n_samples)) ** 2
    return (swell * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


@pytest.mark.parametrize(
    "config",
    [
        log_mel.Config(),
        log_mel.Config(sample_rate_hz=8_000, n_mels=40),
        log_mel.Config(sample_rate_hz=44_100, hop_s=0.005),
        log_mel.Config(window_s=0.04, n_mels=80, fmin_hz=0.0, fmax_hz=7000.0),
    ],
)
def test_it_is_librosas_melspectrogram_in_decibels(config):
    rate = config.sample_rate_hz
    signal = swelling_noise(rate)
    power = librosa.feature.melspectrogram(
        y=signal,
        sr=rate,
        n_fft=round(config.window_s * rate),
        hop_length=round(config.hop_s * rate),
        n_mels=config.n_mels,
        fmin=config.fmin_hz,
        fmax=config.fmax_hz,
        center=False,
    )
    expected = librosa.power_to_db(power, top_db=None).T
    np.testing.assert_allclose(log_mel.extract(signal, config), expected, atol=1e-3)


def test_a_frame_starts_every_ten_milliseconds():
    assert log_mel.extract(swelling_noise(16_000, seconds=1.0), log_mel.Config()).shape == (98, 64)


def test_a_clip_shorter_than_a_frame_is_padded_with_zeros():
    short = swelling_noise(16_000)[5000:5300]
    padded = np.append(short, np.zeros(100, np.float32))
    np.testing.assert_array_equal(log_mel.extract(short, log_mel.Config()), log_mel.extract(padded, log_mel.Config()))


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_mel.extract(np.zeros(1600, np.float32), log_mel.Config()), -100, atol=1e-4)


def test_a_click_changes_no_frame_but_its_own():
    signal = 1e-4 * swelling_noise(16_000)
    clicked = signal.copy()
    clicked[20_000] = 1.0
    before, after = (log_mel.extract(s, log_mel.Config()) for s in (signal, clicked))
    changed = np.flatnonzero(np.abs(after - before).max(axis=1) > 1e-3)
    assert changed.tolist() == [123, 124]  # frames from 19,680 and 19,840 on


def test_blocks_leave_no_seam(monkeypatch):
    signal = swelling_noise(16_000)
    whole = log_mel.extract(signal, log_mel.Config())
    monkeypatch.setattr(dsp, "_BLOCK_SAMPLES", 5000)
    np.testing.assert_allclose(log_mel.extract(signal, log_mel.Config()), whole, atol=1e-3)
