"""Sounds that several tests use: clips of the demo corpus, and silence."""

from pathlib import Path

import numpy as np

from sercli.audio import reading

RATE_HZ = 16_000
DEMO = Path(__file__).parents[1] / "data" / "demo" / "audio"


def clip(name):
    """Return a clip of the demo corpus, (n_samples,) float32 at 16 kHz."""
    return reading.read(DEMO / f"{name}.ogg", sample_rate_hz=RATE_HZ)


def silence(seconds):
    """Return digital silence."""
    return np.zeros(round(seconds * RATE_HZ), np.float32)
