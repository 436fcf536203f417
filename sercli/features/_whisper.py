"""The log-mel spectrogram that Whisper hears."""

import numpy as np

from sercli.errors import ConfigError
from sercli.features import _dsp
from sercli.types import Array, AudioConfig

SAMPLE_RATE_HZ = 16_000
HOP = 160  # samples from one frame to the next: 100 frames a second
_WINDOW = 400  # samples in a frame
_BLOCK_SAMPLES = 48_000  # numpy's transform is quickest with fewer at a time than `_dsp.blocks` takes
_RANGE = 8.0  # decades below the clip's loudest band that are kept
_STEP = 2 * HOP  # samples from one state of the encoder to the next
_SOUNDING_DB = 35.0  # frames within this range below the loudest one hold sound
_SMOOTHED = 5  # frames whose mean level counts: a tenth of a second


def check_rate(config: AudioConfig) -> None:
    """Refuse a sample rate that Whisper was not trained at.

    Raises:
        ConfigError: naming it.
    """
    if config.sample_rate_hz != SAMPLE_RATE_HZ:
        raise ConfigError(f"feature.sample_rate_hz={config.sample_rate_hz}: Whisper hears 16000 Hz; leave it out.")


def log_mel(signal: Array, n_mels: int) -> Array:
    """Log-mel spectrogram as Whisper's own code makes it, but without padding to 30 s.

    Args:
        signal: (n_samples,) float32 at 16 kHz.
        n_mels: bands, as the weights want them: 80, or 128 for large-v3.

    Returns:
        (T, n_mels) float32, T = n_samples // 160, at least 1.
    """
    signal = _dsp.pad(signal, _WINDOW)
    padded = np.pad(signal, _WINDOW // 2, mode="reflect")
    framed = _dsp.frames(padded, _WINDOW, HOP)[: max(1, signal.size // HOP)]
    filterbank = _dsp.mel_filterbank(SAMPLE_RATE_HZ, _WINDOW, n_mels, 0.0, None)
    taper = _dsp.hann(_WINDOW)
    bands = np.empty((len(framed), n_mels), np.float32)
    for rows in _dsp.blocks(len(framed), _WINDOW, n_samples=_BLOCK_SAMPLES):
        # By numpy and not by `_dsp.power`: one clip is answered sooner than scipy's transform is imported.
        level = np.abs(np.fft.rfft(framed[rows] * taper))
        level *= level
        _dsp.multiply(level, filterbank, out=bands[rows])
    np.maximum(bands, _dsp.SILENCE, out=bands)
    np.log10(bands, out=bands)
    np.maximum(bands, bands.max() - _RANGE, out=bands)
    bands += 4
    bands /= 4
    return bands


def sounding(signal: Array, n_frames: int) -> Array:
    """In which of the encoder's frames there is sound; in at least one.

    Args:
        signal: (n_samples,) float32 at 16 kHz.
        n_frames: how many there are, 50 a second.

    Returns:
        (n_frames,) bool.
    """
    power = np.zeros(n_frames * _STEP, np.float32)
    kept = signal[: power.size]
    np.square(kept, out=power[: kept.size])
    level = np.convolve(power.reshape(n_frames, _STEP).mean(axis=1), np.ones(_SMOOTHED) / _SMOOTHED, mode="same")
    found: Array = level >= level.max() * 10 ** (-_SOUNDING_DB / 10)
    return found
