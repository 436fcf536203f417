"""Sound that somebody speaks in: the synthetic clips that ship with ser."""

from pathlib import Path

import pytest

from sercli.audio import reading
from sercli.types import SAMPLE_RATE_HZ

_AUDIO = Path(__file__).parents[2] / "data" / "demo" / "audio"


@pytest.fixture(scope="session")
def demo_clip():
    """Gives a demo clip by name, (n_samples,) at the recognisers' rate."""
    return lambda name: reading.read(_AUDIO / f"{name}.ogg", sample_rate_hz=SAMPLE_RATE_HZ)
