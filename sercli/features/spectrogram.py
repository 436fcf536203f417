"""The picture of the original study: a log power spectrogram of 128 x 128, eight seconds, the same size for every clip.

Short FFTs (256 samples) show the pitch pulses; the mean over eight of them shows the shape of the spectrum. What lies above the
clip is its loudest cell: values run from 0 (`floor_db` below it, or no sound) to 1, so that a quiet room, silence and the padding
after a short clip are all 0, and float16 keeps them to 0.02 dB.
"""

from dataclasses import dataclass

import numpy as np

from sercli.errors import ConfigError
from sercli.features import _dsp
from sercli.types import Array, AudioConfig, Positive, PositiveInt

INPUT = "audio"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """How the picture is drawn."""

    n_fft_samples: PositiveInt = 256  # samples in a frame; half as many frequencies are kept, 0 Hz is not
    hop_samples: PositiveInt = 128  # samples from one frame to the next
    pool_frames: PositiveInt = 8  # frames whose mean power makes one row
    n_frames: PositiveInt = 128  # rows of the picture (T): 8.2 s at 16 kHz, the rest of a shorter clip is the floor
    duration_s: Positive = 8.0  # what comes later in a clip is cut off, as is what the rows do not hold
    floor_db: float = -80.0  # darkest level shown, relative to the loudest cell; below zero

    def __post_init__(self) -> None:
        """Refuse what no single field can tell."""
        if self.floor_db >= 0:
            raise ConfigError(f"feature.floor_db={self.floor_db:g} must lie below 0, the loudest cell; for example -80.")
        if self.n_fft_samples < 2:
            raise ConfigError(f"feature.n_fft_samples={self.n_fft_samples} has no frequency but 0 Hz; take 2 or more.")

    @property
    def n_bins(self) -> int:
        """Columns of the picture (F), from the lowest frequency above 0 Hz up to half the sample rate."""
        return self.n_fft_samples // 2

    @property
    def n_samples(self) -> int:
        """Samples that the picture can show."""
        held = (self.n_frames * self.pool_frames - 1) * self.hop_samples + self.n_fft_samples
        return min(held, max(1, round(self.duration_s * self.sample_rate_hz)))


def extract(signal: Array, config: Config) -> Array:
    """Draw the picture of a clip.

    Args:
        signal: (n_samples,) float32 at `config.sample_rate_hz`.
        config: see its fields.

    Returns:
        (n_frames, n_bins) float32 in [0, 1], time downwards; 128 x 128 unless configured otherwise, whatever the clip's length.
    """
    picture = np.zeros((config.n_frames, config.n_bins), np.float32)
    levels = _pooled_power(signal[: config.n_samples], config)
    loudest = max(float(levels.max()), _dsp.SILENCE)
    levels /= loudest
    np.maximum(levels, 10 ** (config.floor_db / 10), out=levels)
    np.log10(levels, out=levels)
    levels *= 10 / -config.floor_db
    levels += 1
    picture[: len(levels)] = levels
    return picture


def _pooled_power(signal: Array, config: Config) -> Array:
    """Mean power of every `pool_frames` frames, (ceil(T / pool_frames), n_bins); the last row is the mean of what is left."""
    framed = _dsp.frames(signal, config.n_fft_samples, config.hop_samples)
    taper = _dsp.hann(config.n_fft_samples)
    pooled = []
    for rows in _dsp.blocks(len(framed), config.n_fft_samples, multiple_of=config.pool_frames):
        power = _dsp.power(framed[rows], taper)
        n_whole = len(power) // config.pool_frames
        whole, rest = np.split(power[:, 1:], [n_whole * config.pool_frames])
        pooled.append(whole.reshape(n_whole, config.pool_frames, config.n_bins).mean(axis=1))
        if len(rest):
            pooled.append(rest.mean(axis=0, keepdims=True))
    return np.concatenate(pooled)
