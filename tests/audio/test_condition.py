from functools import partial

import numpy as np
import pytest
import soxr
from scipy.signal import resample_poly
from sounds import clip

from sercli.audio import condition
from sercli.types import AudioConfig

RATE_HZ = 16_000


def tone(n_samples, rate_hz=RATE_HZ, peak=0.3):
    return peak * np.sin(2 * np.pi * 220 * np.arange(n_samples) / rate_hz)


def speech(rate_hz=RATE_HZ):
    """Half a second of sound between two of near silence."""
    quiet = np.full(rate_hz // 2, 1e-5)
    return np.concatenate([quiet, tone(rate_hz // 2, rate_hz), quiet]).astype(np.float32)


@pytest.mark.parametrize("gain", [0.02, 0.5, 3.0])
def test_the_level_is_the_same_whatever_the_gain_was(gain):
    expected = condition.prepare_signal(speech(), AudioConfig())
    np.testing.assert_allclose(
        condition.prepare_signal(speech() * np.float32(gain), AudioConfig()), expected, rtol=1e-4
    )


def test_speech_comes_to_the_level_asked_for():
    normalised = condition.prepare_signal(speech(), AudioConfig(level_dbfs=-20.0))
    assert condition.speech_level_dbfs(normalised) == pytest.approx(-20.0, abs=1e-4)


def test_the_level_is_left_as_recorded_where_none_is_asked_for():
    np.testing.assert_array_equal(condition.prepare_signal(speech(), AudioConfig(level_dbfs=None)), speech())


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_what_is_played_faster_is_shorter_and_higher(speed):
    played = condition.prepare_signal(tone(RATE_HZ).astype(np.float32), AudioConfig(speed=speed))
    assert len(played) == RATE_HZ / speed
    loudest_hz = np.abs(np.fft.rfft(played)).argmax() * RATE_HZ / len(played)
    assert loudest_hz == pytest.approx(220 * speed, abs=1.5)
    assert condition.speech_level_dbfs(played) == pytest.approx(AudioConfig().level_dbfs, abs=1e-3)


def test_the_shortest_recording_can_be_played_faster():
    assert len(condition.prepare_signal(np.ones(1, np.float32), AudioConfig(speed=2))) == 1


@pytest.mark.parametrize("signal", [np.zeros(RATE_HZ, np.float32), np.full(RATE_HZ, 1e-5, np.float32)])
def test_silence_is_not_amplified(signal):
    np.testing.assert_array_equal(condition.prepare_signal(signal, AudioConfig()), signal)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_pauses_do_not_lower_the_level_of_speech(rate_hz):
    level = condition.speech_level_dbfs(speech(rate_hz), sample_rate_hz=rate_hz)
    assert level == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.02)


def test_the_level_is_measured_on_frames_of_50_ms_at_every_rate():
    click = np.zeros(8_000, np.float32)
    click[:400] = 1.0  # the first 50 ms of a second at 8 kHz
    assert condition.speech_level_dbfs(click, sample_rate_hz=8_000) == pytest.approx(0.0, abs=1e-6)


def test_a_clip_shorter_than_a_frame_has_a_level():
    assert condition.speech_level_dbfs(np.ones(3, np.float32)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    "brought_up", [partial(soxr.resample, in_rate=8_000, out_rate=16_000), partial(resample_poly, up=2, down=1)]
)
def test_the_telephones_band_is_told_whatever_brought_it_to_16_khz(brought_up):
    narrow = brought_up(soxr.resample(clip("f2-anger-5"), 16_000, 8_000)).astype(np.float32)
    assert [remark[:26] for remark in condition.distortions(narrow)] == ["it has nothing above 4 kHz"]


def test_a_telephone_band_and_clipping_are_told_and_nothing_of_a_whole_signal():
    whole = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * np.float32(0.1)
    assert condition.distortions(whole) == []
    narrow = condition.resample(condition.resample(whole, 16_000, 8_000), 8_000, 16_000)
    assert condition.distortions(narrow) == [
        "it has nothing above 4 kHz, as over the telephone, where about one label in four changes"
    ]
    clipped = "it is clipped, so that its labels are less sure; record it at a lower level"
    assert condition.distortions(whole.clip(-0.15, 0.15)) == [clipped]
    few = np.unique(coarse := (whole * 20).round() / 20).size
    louder = f"its samples have only {few} values, so that its labels are less sure; record it louder"
    assert condition.distortions(coarse) == [louder]
    assert condition.distortions(np.zeros(100, np.float32)) == []
