"""Frames of Whisper's encoder: what each chosen layer says of the sound, 50 times a second, the layers side by side.

Several encoders can be heard at once, one that knows English best beside one that knows many languages.

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
from sercli.types import Array, AudioConfig, PositiveInt

INPUT = "audio"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """Which weights, and which of their layers."""

    # null: Whisper tiny.en, which comes with ser, as does `base`; else a folder with other weights, or a name on the
    # model hub. With several, `["base", "tiny.en"]`, each layer's frames are theirs side by side.
    model: str | Annotated[tuple[str, ...], Meta(min_length=1, max_length=4)] | None = None
    layers: Annotated[tuple[int, ...], Meta(min_length=1)] = (1, 2, 3, 4)  # counted from 1, the one next to the sound
    stride: PositiveInt = (
        1  # frames averaged into one: 4 gives 12.5 a second, and all that follows is four times as fast
    )
    # One row for the whole clip: the mean of all frames and the mean of those with sound, half each. Pauses count less
    # then, of which corpora differ in how many they have; `stride` means nothing.
    pooled: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be before any sound is read."""
        _whisper.check_rate(self)
        if min(self.layers) < 1 or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"feature.layers={list(self.layers)}: layers are counted from 1, and each is given once.")
        if isinstance(self.model, tuple) and len(set(self.model)) < len(self.model):
            raise ConfigError(f"feature.model={list(self.model)}: each encoder is given once.")


def identity(config: Config) -> dict[str, Any]:
    """What the numbers depend on: the weights by name, for their content is checked when they are loaded."""
    frames = {"pooled": True} if config.pooled else {"stride": config.stride}
    heard = {"level_dbfs": config.level_dbfs, "speed": config.speed}
    return {"model": config.model, "layers": config.layers, **heard, **frames}


def extract(signal: Array, config: Config) -> Array:
    """States of the chosen layers.

    Returns:
        (T, n_layers * E) float32, T = n_samples / 320 / stride, or 1 if pooled; E is 384 for tiny, 512 for base, and
        their sum for several.

    Raises:
        SerError: the weights are missing or damaged.
        ConfigError: the weights have not as many layers.
    """
    models = config.model if isinstance(config.model, tuple) else (config.model,)
    heard = [_states(signal, model, config.layers) for model in models]
    frames = np.concatenate([states for layer in zip(*heard, strict=True) for states in layer], axis=1)
    return _pooled(frames, signal) if config.pooled else _averaged(frames, config.stride)


def _states(signal: Array, model: str | None, layers: tuple[int, ...]) -> list[Array]:
    """What the chosen layers of one encoder say, each (T, E)."""
    import torch

    encoder = _encoder(model)
    if max(layers) > len(encoder.layers):
        which = model or "Whisper tiny.en"
        raise ConfigError(f"feature.layers={list(layers)}: {which} has {len(encoder.layers)} layers.")
    mel = torch.from_numpy(_whisper.log_mel(signal, encoder.conv1.in_channels))
    n_windows = -(-len(mel) // _max_frames())
    with torch.inference_mode():
        windows = [
            encoder(window[None], torch.tensor([len(window)]), max(layers))
            for window in torch.tensor_split(mel, n_windows)
        ]
        return [torch.cat([states[layer - 1][0] for states in windows]).numpy() for layer in layers]


def _pooled(rows: Array, signal: Array) -> Array:
    """The mean of all frames and the mean of those with sound, half each: (T, F) -> (1, F)."""
    sounding = _whisper.sounding(signal, len(rows))
    mean: Array = (rows.mean(axis=0, keepdims=True) + rows[sounding].mean(axis=0, keepdims=True)) / 2
    return mean


def _averaged(rows: Array, stride: int) -> Array:
    """Means over `stride` frames, the last one over those that are left: (T, F) -> (ceil(T / stride), F)."""
    if stride == 1:
        return rows
    starts = np.arange(0, len(rows), stride)
    sums = np.add.reduceat(rows, starts, axis=0)
    means: Array = sums / np.diff([*starts, len(rows)])[:, None].astype(np.float32)
    return means


def _max_frames() -> int:
    from sercli.whisper.encoder import MAX_FRAMES

    return MAX_FRAMES


@lru_cache(maxsize=4)
def _encoder(model: str | None) -> Any:
    """Kept, since loading takes as long as a minute of sound; torch is imported only where it is used."""
    from sercli.whisper.encoder import load

    return load(model)
