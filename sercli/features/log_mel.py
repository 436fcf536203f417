"""Log-mel spectrogram: the power of 64 mel bands in dB, every 10 ms."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from sercli.audio import dsp
from sercli.plugins import Extractor
from sercli.types import Array, AudioConfig, Bands, NonNegative, Positive, WindowS

INPUT = "audio"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames and bands."""

    window_s: WindowS = 0.025  # length of a frame and of its FFT
    hop_s: Positive = 0.010  # from one frame to the next
    n_mels: Bands = 64  # bands (F)
    fmin_hz: NonNegative = 50.0  # lower edge of the first band; below it there is hum, not speech
    fmax_hz: Positive | None = None  # upper edge of the last band; null: half the sample rate

    def __post_init__(self) -> None:
        """Compute the tables now, so that impossible settings are refused before any audio is read."""
        _tables(self)


class _Tables(NamedTuple):
    window: int  # samples
    hop: int  # samples
    filterbank: Array  # (window // 2 + 1, n_mels)


@cache
def _tables(config: Config) -> _Tables:
    rate = config.sample_rate_hz
    window = dsp.to_samples(config.window_s, rate, setting="window_s")
    hop = dsp.to_samples(config.hop_s, rate, setting="hop_s")
    return _Tables(window, hop, dsp.mel_filterbank(rate, window, config.n_mels, config.fmin_hz, config.fmax_hz))


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]


def extract(signal: Array, config: Config) -> Array:
    """Return the power of mel bands in dB: librosa's `power_to_db(melspectrogram(..., center=False), top_db=None)`.

    Frames start at the first sample and nothing is padded, unless the clip is shorter than one frame. The floor is
    absolute, -100 dB: with a floor relative to the clip's maximum, a click would change every frame.

    Args:
        signal: (n_samples,) float32 at `config.sample_rate_hz`.
        config: see its fields.

    Returns:
        (T, n_mels) float32, dB; T as `dsp.count_frames` returns it.
    """
    window, hop, filterbank = _tables(config)
    framed = dsp.frames(signal, window, hop)
    blocks = (dsp.power(framed[rows], dsp.hann(window)) for rows in dsp.blocks(len(framed), window))
    return dsp.decibels(np.concatenate([dsp.multiply(power, filterbank) for power in blocks]))
