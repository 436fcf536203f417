"""The log-mel spectrogram that Whisper hears, 100 times a second: what an encoder that is trained further is fed from.

It is on Whisper's own scale, so that `train.scale` is to be "none".
"""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from sercli.features import _whisper
from sercli.types import Array, AudioConfig

INPUT = "audio"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """How many bands."""

    n_mels: Annotated[int, Meta(ge=2, le=1024)] = 80  # as the weights want them: 80, or 128 for large-v3

    def __post_init__(self) -> None:
        """Refuse what cannot be before any sound is read."""
        _whisper.check_rate(self)


def extract(signal: Array, config: Config) -> Array:
    """(n_samples,) -> (T, n_mels) float32, T = n_samples // 160, at least 1."""
    return _whisper.log_mel(signal, config.n_mels)
