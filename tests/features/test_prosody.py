"""Pitch, voicing and loudness of tones and noise are what they are known to be."""

import numpy as np
import pytest

from sercli.features import prosody

RATE_HZ = 16_000
CONFIG = prosody.Config()


def tone(hz, seconds=1.0, amplitude=0.1):
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 6))).astype(np.float32)


@pytest.mark.parametrize("hz", [80, 120, 210, 400])
def test_the_pitch_of_a_tone_is_found_within_half_a_semitone(hz):
    vector = prosody.extract(tone(hz), CONFIG)[0]
    assert vector.shape == (35,)
    assert vector[0] == pytest.approx(12 * np.log2(hz / 60), abs=0.5)
    assert vector[1] < 0.1
    assert vector[7] > 0.9, "voicing"


def test_noise_is_hardly_voiced_and_twice_the_amplitude_is_6_db():
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    assert prosody.extract(noise, CONFIG)[0, 7] < 0.4
    soft, loud = (prosody.extract(tone(150, amplitude=a), CONFIG)[0, 14] for a in (0.05, 0.1))
    assert loud - soft == pytest.approx(6.02, abs=0.01)


def test_a_rising_tone_has_a_rising_pitch():
    t = np.arange(RATE_HZ) / RATE_HZ
    glide = np.sin(2 * np.pi * (120 * t + 60 * t**2)).astype(np.float32)  # 120 to 240 Hz: an octave in a second
    assert prosody.extract(glide, CONFIG)[0, 21] == pytest.approx(12 / 100, rel=0.3)
