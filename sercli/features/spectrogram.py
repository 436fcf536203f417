"""The log power spectrogram of the original study: eight seconds as 128 x 128 values, the same size for every clip.

Power in frames of 256 samples, the mean of every eight, in decibels. Values are from 0 (`floor_db` below the loudest
cell, or silence) to 1 (the loudest), so silence and the padding of a short clip are 0, the clip's level has no effect,
and float16 is exact to 0.02 dB.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from sercli.audio import dsp
from sercli.contracts import Extractor
from sercli.types import Array, AudioConfig, PictureSide, Positive, PositiveInt

INPUT = "audio"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames and size of the spectrogram."""

    n_fft_samples: Annotated[int, Meta(ge=2, le=16_384)] = (
        256  # samples in a frame; half as many frequencies are kept, 0 Hz is not
    )
    hop_samples: PositiveInt = 128  # samples from one frame to the next
    pool_frames: PositiveInt = 8  # frames whose mean power makes one row
    n_frames: PictureSide = 128  # rows (T): 8.2 s at 16 kHz; shorter clips are padded with the floor
    duration_s: Positive = 8.0  # longer clips are cut off here, or where the rows end
    floor_db: Annotated[float, Meta(ge=-200, le=-1)] = -80.0  # darkest level shown, relative to the loudest cell

    def __post_init__(self) -> None:
        """Refuse impossible settings before any audio is read."""
        dsp.check_overlap(self.n_fft_samples, self.hop_samples)

    @property
    def n_bins(self) -> int:
        """Number of columns (F), from the lowest frequency above 0 Hz up to half the sample rate."""
        return self.n_fft_samples // 2

    @property
    def n_samples(self) -> int:
        """Number of samples that the rows can hold."""
        held = (self.n_frames * self.pool_frames - 1) * self.hop_samples + self.n_fft_samples
        return min(held, max(1, round(self.duration_s * self.sample_rate_hz)))


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]


def extract(signal: Array, config: Config) -> Array:
    """Return the spectrogram of a clip.

    Args:
        signal: (n_samples,) float32 at `config.sample_rate_hz`.
        config: see its fields.

    Returns:
        (n_frames, n_bins) float32 in [0, 1]; 128 x 128 by default for a clip of any length.
    """
    picture = np.zeros((config.n_frames, config.n_bins), np.float32)
    window, pool = config.n_fft_samples, config.pool_frames
    framed, taper = dsp.frames(signal[: config.n_samples], window, config.hop_samples), dsp.hann(window)
    blocks = (framed[rows] for rows in dsp.blocks(len(framed), window, multiple_of=pool))
    power = np.concatenate([dsp.means(dsp.power(block, taper)[:, 1:], pool) for block in blocks])  # (rows, n_bins)
    relative = power / max(float(power.max()), dsp.SILENCE)
    levels = 1 + np.log10(np.maximum(relative, 10 ** (config.floor_db / 10))) * (10 / -config.floor_db)
    picture[: len(levels)] = np.maximum(levels, 0)
    return picture


def frame_step_s(config: Config) -> float:
    """Return the seconds from one row to the next; the number of rows does not depend on the clip."""
    return config.pool_frames * config.hop_samples / config.sample_rate_hz
