"""Mel-frequency cepstral coefficients by librosa, with their deltas: 80 numbers every 10 ms."""

from dataclasses import dataclass

import librosa
import numpy as np

from sercli.audio import dsp
from sercli.contracts import Extractor
from sercli.errors import ConfigError
from sercli.types import Array, PositiveInt

INPUT = "audio"
VERSION = 2
DTYPE = "float16"

DELTA_FRAMES = 9  # number of frames that each slope is fitted to


@dataclass(frozen=True)
class Config(dsp.MelConfig):
    """Frames, bands and coefficients."""

    n_mfcc: PositiveInt = 40  # coefficients, at most n_mels; the first is the loudness
    deltas: bool = True  # a further column for each coefficient: its slope
    accelerations: bool = False  # a further column for each coefficient: its curvature

    def __post_init__(self) -> None:
        """Refuse impossible settings before any audio is read."""
        if self.n_mfcc > self.n_mels:
            raise ConfigError(
                f"feature.n_mfcc={self.n_mfcc} is more than n_mels={self.n_mels}; give fewer coefficients."
            )
        super().__post_init__()


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]


def extract(signal: Array, config: Config) -> Array:
    """Return the coefficients of each frame's mel bands (`dsp.mel_levels`), and their slopes and curvatures.

    For the deltas the first and the last frame are repeated, so that a clip shorter than their width has deltas too.

    Args:
        signal: (n_samples,) float32 at `config.sample_rate_hz`.
        config: see its fields.

    Returns:
        (T, 80) float32: coefficients, then slopes; 40 columns for each of the two, and for curvatures; T as
        `dsp.count_frames` says.
    """
    bands = dsp.mel_levels(signal, config).T
    coefficients = librosa.feature.mfcc(S=bands, n_mfcc=config.n_mfcc).T.copy()  # not a view of as many as bands
    orders = [1] * config.deltas + [2] * config.accelerations
    slopes = [librosa.feature.delta(coefficients, width=DELTA_FRAMES, order=n, axis=0, mode="nearest") for n in orders]
    return np.concatenate([coefficients, *slopes], axis=1)
