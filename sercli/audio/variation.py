"""Random variations of a recording for training: another voice, microphone, room and noise.

A network that has heard each training clip in several of them relies less on what differs between corpora alone
(Ko et al. 2015, "Audio augmentation for speech recognition"; Ko et al. 2017, "A study on data augmentation of
reverberant speech for robust speech recognition").
"""

import zlib

import numpy as np

from sercli.audio.condition import speech_level_dbfs
from sercli.types import SAMPLE_RATE_HZ, Array

VERSION = 1
"""Changes with what `varied` returns, so that features are computed again."""

_SPEEDS = (0.87, 1.15)  # pitch and formants change with it, as between a large and a small speaker
_TILT_DB = 4.0  # most gain per octave of a microphone's slope, up or down
_BUMP_DB = 6.0  # most gain of each of its two bumps, up or down
_BUMP_OCTAVES = 0.7
_CENTRE_HZ, _LOWEST_HZ, _OCTAVES = 1000.0, 60.0, 3.0  # the slope ends three octaves around 1 kHz
_ROOM_SHARE, _ROOM_T60_S, _ROOM_DB = 0.4, (0.15, 0.5), (0.0, 8.0)  # share of rooms; decay by 60 dB; level below direct
_NOISE_SHARE, _NOISE_SNR_DB, _NOISE_SLOPE = 0.5, (8.0, 30.0), (0.0, 1.2)  # 0 is white, 1 falls by 6 dB per octave


def varied(signal: Array, variant: int, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Array:
    """Return a random variation of a signal (n_samples,) float32, of another length; the same for the same signal.

    Args:
        signal: as recorded.
        variant: number of the variation, from 1.
        sample_rate_hz: of the signal.
    """
    import soxr

    rng = np.random.default_rng([variant, zlib.crc32(np.ascontiguousarray(signal).tobytes())])
    played = soxr.resample(signal, sample_rate_hz * rng.uniform(*_SPEEDS), sample_rate_hz)
    if not len(played):
        return signal
    changed = _microphone(played.astype(np.float32, copy=False), rng, sample_rate_hz)
    if rng.random() < _ROOM_SHARE:
        changed = _room(changed, rng, sample_rate_hz)
    if rng.random() < _NOISE_SHARE:
        changed = _noise(changed, rng, sample_rate_hz)
    return changed


def _microphone(signal: Array, rng: np.random.Generator, rate_hz: int) -> Array:
    """Return the signal by a microphone with a random slope and two random bumps."""
    spectrum, n_fft = _spectrum(signal)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n_fft, 1 / rate_hz), _LOWEST_HZ) / _CENTRE_HZ)
    gain_db = rng.uniform(-_TILT_DB, _TILT_DB) * np.clip(octaves, -_OCTAVES, _OCTAVES)
    for _ in range(2):
        distance = (octaves - rng.uniform(-_OCTAVES, _OCTAVES)) / _BUMP_OCTAVES
        gain_db = gain_db + rng.uniform(-_BUMP_DB, _BUMP_DB) * np.exp(-0.5 * distance**2)
    return _signal(spectrum * 10 ** (gain_db / 20), n_fft, len(signal))


def _room(signal: Array, rng: np.random.Generator, rate_hz: int) -> Array:
    """Return the signal in a room: noise that decays exponentially follows each sound."""
    n_decay = round(rng.uniform(*_ROOM_T60_S) * rate_hz)
    tail = rng.standard_normal(n_decay) * 10 ** (-3 * np.arange(n_decay) / n_decay)
    tail *= 10 ** (-rng.uniform(*_ROOM_DB) / 20) / np.linalg.norm(tail)
    tail[0] = 1
    spectrum, n_fft = _spectrum(signal, n_decay)
    return _signal(spectrum * np.fft.rfft(tail, n_fft), n_fft, len(signal))


def _noise(signal: Array, rng: np.random.Generator, rate_hz: int) -> Array:
    """Return the signal with noise of a random colour and level."""
    level_dbfs = speech_level_dbfs(signal, sample_rate_hz=rate_hz) - rng.uniform(*_NOISE_SNR_DB)
    spectrum, n_fft = _spectrum(rng.standard_normal(len(signal)))
    colour = np.maximum(np.fft.rfftfreq(n_fft, 1 / rate_hz), _LOWEST_HZ) ** -rng.uniform(*_NOISE_SLOPE)
    noise = _signal(spectrum * colour, n_fft, len(signal))
    power = max(float(np.mean(noise**2, dtype=np.float64)), 1e-30)
    return signal + noise * np.float32(10 ** (level_dbfs / 20) / np.sqrt(power))


def _spectrum(signal: Array, n_more: int = 0) -> tuple[Array, int]:
    """Return the spectrum of a signal with room for `n_more` samples, and the length of the transform."""
    n_fft = 1 << max(1, len(signal) + n_more - 1).bit_length()
    return np.fft.rfft(signal, n_fft), n_fft


def _signal(spectrum: Array, n_fft: int, n_samples: int) -> Array:
    return np.fft.irfft(spectrum, n_fft)[:n_samples].astype(np.float32)
