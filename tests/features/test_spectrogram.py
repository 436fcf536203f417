"""The picture shows the power that matplotlib finds, at a fixed size, whatever the clip."""

import dataclasses

import numpy as np
import pytest
from matplotlib import mlab

from sercli.audio import dsp
from sercli.features import spectrogram

RATE_HZ = 16_000
CONFIG = spectrogram.Config()


def noise(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def tone(hz, seconds):
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


@pytest.mark.parametrize("seconds", [1 / RATE_HZ, 0.05, 1, 8, 12])
def test_the_picture_has_the_same_size_for_every_clip(seconds):
    assert spectrogram.extract(noise(seconds), CONFIG).shape == (128, 128)


def test_the_picture_is_matplotlibs_spectrogram_pooled_over_eight_frames():
    signal = noise(4) * np.linspace(0.01, 1, 4 * RATE_HZ, dtype=np.float32)
    power, _, _ = mlab.specgram(signal, NFFT=256, noverlap=128, window=dsp.hann(256), Fs=RATE_HZ)
    power[-1] *= 2  # matplotlib doubles every bin but the first and the last, for the negative frequencies
    pooled = [power[1:, i : i + 8].mean(axis=1) for i in range(0, power.shape[1], 8)]
    expected = 1 + 10 * np.log10(pooled / np.max(pooled)) / 80
    picture = spectrogram.extract(signal, CONFIG)
    np.testing.assert_allclose(picture[: len(pooled)], expected, atol=1e-4)
    assert not picture[len(pooled) :].any()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_a_tone_is_a_bright_line_at_its_frequency(rate_hz):
    config = spectrogram.Config(sample_rate_hz=rate_hz)
    bin_hz = rate_hz / 256
    signal = np.sin(2 * np.pi * 20 * bin_hz * np.arange(rate_hz) / rate_hz).astype(np.float32)
    picture = spectrogram.extract(signal, config)
    assert picture[0].argmax() == 19  # the first column is the first bin above 0 Hz
    assert picture[0, 19] == pytest.approx(1)


def test_silence_is_a_constant_picture():
    assert not spectrogram.extract(np.zeros(RATE_HZ, np.float32), CONFIG).any()


def test_what_follows_a_short_clip_is_the_floor_and_what_precedes_is_not():
    picture = spectrogram.extract(noise(2), CONFIG)
    rows = -(-dsp.count_frames(2 * RATE_HZ, 256, 128) // 8)
    assert picture[:rows].min() > 0.3
    assert not picture[rows:].any()


def test_a_last_row_of_few_frames_is_as_bright_as_the_others():
    picture = spectrogram.extract(tone(1000, (256 + 8 * 128) / RATE_HZ), CONFIG)  # nine frames: eight and one
    np.testing.assert_allclose(picture[1], picture[0], atol=1e-3)


def test_a_clip_is_cut_after_eight_seconds():
    signal = np.concatenate([noise(8), 10 * noise(4, seed=1)])
    np.testing.assert_array_equal(spectrogram.extract(signal, CONFIG), spectrogram.extract(noise(8), CONFIG))


def test_the_cut_can_be_moved():
    config = dataclasses.replace(CONFIG, duration_s=1.0)
    np.testing.assert_array_equal(
        spectrogram.extract(noise(3), config), spectrogram.extract(noise(3)[:RATE_HZ], CONFIG)
    )


def test_a_clip_longer_than_the_rows_hold_is_cut_where_they_end():
    config = dataclasses.replace(CONFIG, n_frames=10)
    np.testing.assert_array_equal(spectrogram.extract(noise(3), config), spectrogram.extract(noise(3)[:10_368], config))
    assert spectrogram.extract(noise(3), config).min() > 0


def test_loudness_does_not_matter():
    np.testing.assert_allclose(
        spectrogram.extract(noise(1), CONFIG), spectrogram.extract(0.01 * noise(1), CONFIG), atol=1e-5
    )


def test_what_lies_below_the_floor_is_not_shown():
    signal = tone(1000, 1) + 0.001 * tone(5000, 1)
    at_60_db = spectrogram.extract(signal, CONFIG)[1, 79]
    assert at_60_db == pytest.approx(1 - 60 / 80, abs=0.01)
    assert spectrogram.extract(signal, dataclasses.replace(CONFIG, floor_db=-40.0))[1, 79] == 0


def test_blocks_leave_no_seam(monkeypatch):
    whole = spectrogram.extract(noise(4), CONFIG)
    monkeypatch.setattr(dsp, "_BLOCK_SAMPLES", 5000)
    np.testing.assert_allclose(spectrogram.extract(noise(4), CONFIG), whole, atol=1e-6)


def test_a_row_is_as_far_from_the_next_as_it_says():
    config = spectrogram.Config()
    click = np.zeros(64_000, np.float32)
    click[32_000] = 1  # at 2 s
    loudest = spectrogram.extract(click, config).sum(axis=1).argmax()
    assert loudest * spectrogram.frame_step_s(config) == pytest.approx(2, abs=2 * spectrogram.frame_step_s(config))
