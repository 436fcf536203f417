"""Frames of Whisper's encoder: what each chosen layer says of the sound, 50 times a second, the layers side by side.

Its early and middle layers carry emotion and transfer best, its late ones read words. A clip is not padded to the 30 s
that the recogniser needs; a longer one is heard in windows of at most 30 s.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from sercli.errors import ConfigError
from sercli.features import _whisper
from sercli.types import Array, AudioConfig

INPUT = "audio"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """Which weights, and which of their layers."""

    # null: Whisper tiny.en, as it comes with ser; else a folder with other weights, or a name on the model hub
    model: str | None = None
    layers: Annotated[tuple[int, ...], Meta(min_length=1)] = (1, 2, 3, 4)  # counted from 1, the one next to the sound

    def __post_init__(self) -> None:
        """Refuse what cannot be before any sound is read."""
        if self.sample_rate_hz != _whisper.SAMPLE_RATE_HZ:
            raise ConfigError(f"feature.sample_rate_hz={self.sample_rate_hz}: Whisper hears 16000 Hz; leave it out.")
        if min(self.layers) < 1 or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"feature.layers={list(self.layers)}: layers are counted from 1, and each is given once.")


def identity(config: Config) -> dict[str, Any]:
    """What the numbers depend on: the weights by name, for their content is checked when they are loaded."""
    return {"model": config.model, "layers": config.layers, "level_dbfs": config.level_dbfs}


def extract(signal: Array, config: Config) -> Array:
    """States of the chosen layers.

    Returns:
        (T, n_layers * E) float32, T = n_samples / 320; E is 384 for tiny, 512 for base.

    Raises:
        SerError: the weights are missing or damaged.
        ConfigError: the weights have not as many layers.
    """
    import torch

    encoder = _encoder(config.model)
    if max(config.layers) > len(encoder.layers):
        which = config.model or "Whisper tiny.en"
        raise ConfigError(f"feature.layers={list(config.layers)}: {which} has {len(encoder.layers)} layers.")
    mel = torch.from_numpy(_whisper.log_mel(signal, encoder.conv1.in_channels))
    n_windows = -(-len(mel) // _max_frames())
    parts = []
    with torch.inference_mode():
        for window in torch.tensor_split(mel, n_windows):
            states = encoder(window[None], torch.tensor([len(window)]), max(config.layers))
            parts.append(torch.cat([states[layer - 1][0] for layer in config.layers], dim=1).numpy())
    rows: Array = np.concatenate(parts)
    return rows


def _max_frames() -> int:
    from sercli.whisper.encoder import MAX_FRAMES

    return MAX_FRAMES


@lru_cache(maxsize=2)
def _encoder(model: str | None) -> Any:
    """Kept, since loading takes as long as a minute of sound; torch is imported only where it is used."""
    from sercli.whisper.encoder import load

    return load(model)
