"""Mel-frequency cepstral coefficients by librosa, with their deltas: 80 numbers every 10 ms."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import librosa
import numpy as np

from sercli.audio import dsp
from sercli.errors import ConfigError
from sercli.plugins import Extractor
from sercli.types import Array, AudioConfig, Bands, NonNegative, Positive, PositiveInt, WindowS

INPUT = "audio"
VERSION = 1
DTYPE = "float16"

DELTA_FRAMES = 9  # number of frames that each slope is fitted to
_BLOCK_FRAMES = 4096  # limits memory on long recordings; librosa rebuilds its tables for each block


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames, bands and coefficients."""

    window_s: WindowS = 0.025  # length of a frame and of its FFT
    hop_s: Positive = 0.010  # from one frame to the next
    n_mfcc: PositiveInt = 40  # coefficients, at most n_mels; the first is the loudness
    n_mels: Bands = 64  # mel bands that they are computed from
    fmin_hz: NonNegative = 50.0  # lower edge of the first band; below it there is hum, not speech
    fmax_hz: Positive | None = None  # upper edge of the last band; null: half the sample rate
    deltas: bool = True  # a further column for each coefficient: its slope
    accelerations: bool = False  # a further column for each coefficient: its curvature

    def __post_init__(self) -> None:
        """Refuse impossible settings before any audio is read."""
        if self.n_mfcc > self.n_mels:
            raise ConfigError(
                f"feature.n_mfcc={self.n_mfcc} is more than n_mels={self.n_mels}; give fewer coefficients."
            )
        window, _ = _frame_samples(self)
        dsp.mel_filterbank(self.sample_rate_hz, window, self.n_mels, self.fmin_hz, self.fmax_hz)


@cache
def _frame_samples(config: Config) -> tuple[int, int]:
    rate = config.sample_rate_hz
    window = dsp.to_samples(config.window_s, rate, setting="window_s")
    return window, dsp.to_samples(config.hop_s, rate, setting="hop_s")


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]


def extract(signal: Array, config: Config) -> Array:
    """Return the coefficients of each frame.

    Frames start at the first sample (librosa's `center=False`). The floor of the mel bands is absolute, -100 dB:
    with one relative to the clip's maximum, a click would change every frame. For the deltas the first and the last
    frame are repeated, so that a clip shorter than their width has deltas too.

    Args:
        signal: (n_samples,) float32 at `config.sample_rate_hz`.
        config: see its fields.

    Returns:
        (T, 80) float32: coefficients, then slopes; 40 columns for each of the two, and for curvatures; T as
        `dsp.count_frames` says.
    """
    window, hop = _frame_samples(config)
    signal = dsp.pad(signal, window)
    rows = dsp.blocks(dsp.count_frames(signal.size, window, hop), window, n_samples=_BLOCK_FRAMES * window)
    blocks = [_coefficients(signal[dsp.stretch(block, window, hop)], config) for block in rows]
    coefficients = np.concatenate(blocks, axis=1)
    orders = [1] * config.deltas + [2] * config.accelerations
    slopes = [librosa.feature.delta(coefficients, width=DELTA_FRAMES, order=n, mode="nearest") for n in orders]
    return np.ascontiguousarray(np.concatenate([coefficients, *slopes]).T)


def _coefficients(samples: Array, config: Config) -> Any:
    """Return the MFCCs of a block of samples, (n_mfcc, T)."""
    window, hop = _frame_samples(config)
    bands = librosa.feature.melspectrogram(
        y=samples,
        sr=config.sample_rate_hz,
        n_fft=window,
        hop_length=hop,
        center=False,
        n_mels=config.n_mels,
        fmin=config.fmin_hz,
        fmax=config.fmax_hz,
    )
    levels = librosa.power_to_db(bands, amin=dsp.SILENCE, top_db=None)
    return librosa.feature.mfcc(S=levels, n_mfcc=config.n_mfcc)
