"""Sounds that several tests use: clips of the demo corpus, and silence."""

from pathlib import Path

import numpy as np
import soxr

from sercli.audio import reading

RATE_HZ = 16_000
DEMO = Path(__file__).parents[1] / "data" / "demo" / "audio"


def clip(name):
    """Return a clip of the demo corpus, (n_samples,) float32 at 16 kHz."""
    return reading.read(DEMO / f"{name}.ogg", sample_rate_hz=RATE_HZ)


def over_the_telephone(signal):
    """Return a signal at 16 kHz without what a sound at 8 kHz cannot hold."""
    return soxr.resample(soxr.resample(signal, RATE_HZ, 8_000), 8_000, RATE_HZ)


def silence(seconds):
    """Return digital silence."""
    return np.zeros(round(seconds * RATE_HZ), np.float32)
