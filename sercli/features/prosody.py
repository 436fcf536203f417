"""Prosody of an utterance as one vector: statistics of pitch, voicing and loudness, and of their changes.

35 numbers, as many as in Yoon et al. 2018, whose toolkit is for research only: seven statistics of five contours. Pitch
is the first peak of the normalised autocorrelation in the range of voices; frames without one have no pitch.
"""

from dataclasses import dataclass

import numpy as np

from sercli.audio import dsp
from sercli.contracts import Extractor
from sercli.errors import ConfigError
from sercli.types import Array, AudioConfig, Positive, WindowS

INPUT = "audio"
VERSION = 1
DTYPE = "float32"

_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0  # of voices
_VOICED = 0.5  # least autocorrelation of a voiced frame
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames."""

    window_s: WindowS = 0.040  # length of a frame: two periods of the lowest voices
    hop_s: Positive = 0.010  # from one frame to the next

    def __post_init__(self) -> None:
        """Refuse impossible settings before any audio is read."""
        window, _ = dsp.frame_samples(self.window_s, self.hop_s, self.sample_rate_hz)
        shortest, longest = _periods(window, self.sample_rate_hz)
        if longest < shortest + 2:  # a peak has neighbours
            least = f"{(2 * shortest + 4) / self.sample_rate_hz:.3g}"
            raise ConfigError(
                f"feature.window_s={self.window_s:g} holds no two periods of a voice; give {least} or more."
            )


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]


def extract(signal: Array, config: Config) -> Array:
    """Return one row: mean, deviation and quartiles from least to greatest of each contour.

    Returns:
        (1, 35) float32: pitch in semitones over `_LOWEST_HZ`, voicing, loudness in dB, and the changes of pitch and
        loudness from frame to frame; 0 where no frame is voiced.
    """
    rate = config.sample_rate_hz
    window, hop = dsp.frame_samples(config.window_s, config.hop_s, rate)
    framed = dsp.frames(signal, window, hop)
    contours = [
        np.concatenate(parts)
        for parts in zip(*(_contours(framed[rows], rate) for rows in dsp.blocks(len(framed), window)), strict=True)
    ]
    pitch, voicing, loudness = contours
    voiced = voicing >= _VOICED
    neighbours = voiced[1:] & voiced[:-1]
    found = (pitch[voiced], voicing, loudness, np.diff(pitch)[neighbours], np.diff(loudness))
    return np.concatenate([_statistics(contour) for contour in found])[None].astype(np.float32)


def _contours(framed: Array, rate: int) -> tuple[Array, Array, Array]:
    """(T, window) -> pitch in semitones, autocorrelation at it, and level in dB, (T,) each."""
    window = framed.shape[1]
    centred = (framed - framed.mean(axis=1, keepdims=True)) * dsp.hann(window)
    spectrum = np.fft.rfft(centred, 2 * window, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :window]
    taper = np.fft.irfft(np.abs(np.fft.rfft(dsp.hann(window), 2 * window)) ** 2)[:window]
    # Divided by the window's own autocorrelation, so that long lags are not at a disadvantage (Boersma 1993).
    power = np.maximum(correlation[:, :1], dsp.SILENCE)
    shortest, longest = _periods(window, rate)
    normalised = correlation[:, shortest : longest + 1] / power * (taper[0] / taper[shortest : longest + 1])
    inner = normalised[:, 1:-1]
    peaks = (inner >= normalised[:, :-2]) & (inner >= normalised[:, 2:])
    # The first peak that is nearly as strong as the strongest, which may be at a multiple of the period.
    place = np.argmax(peaks & (inner >= 0.9 * np.max(inner * peaks, axis=1, keepdims=True)), axis=1)
    strength, lag = inner[np.arange(len(inner)), place], shortest + 1 + place
    semitones = 12 * np.log2(rate / lag / _LOWEST_HZ)
    level = 10 * np.log10(np.maximum(np.mean(framed.astype(np.float64) ** 2, axis=1), dsp.SILENCE))
    return semitones, np.clip(strength, 0, 1), level


def _periods(window: int, rate: int) -> tuple[int, int]:
    """Return the shortest and the longest period of a voice that is looked for, in samples."""
    return int(rate / _HIGHEST_HZ), min(int(rate / _LOWEST_HZ), window // 2)


def _statistics(contour: Array) -> Array:
    """(T,) -> (7,); 0 for an empty contour."""
    if not len(contour):
        return np.zeros(2 + len(_QUANTILES))
    return np.array([contour.mean(), contour.std(), *np.quantile(contour, _QUANTILES)])
