"""What nobody hears is taken out of a signal, its speed and level are set, and the level of speech is measured."""

from functools import lru_cache

import numpy as np

from sercli.types import SAMPLE_RATE_HZ, Array, AudioConfig

NO_SPEECH_DBFS = -90.0
"""A signal whose active frames stay below this level is left as it is."""

NARROW = 10**-4.5
"""Mean power of `HIGH_HZ` to that of `MIDDLE_HZ`, below which speech is of the telephone's band.

600 clips of RAVDESS, EmoDB and nEMO have -43 dB or more, also with noise; brought from 8 kHz to 16 kHz by soxr, FFmpeg
or scipy, whose filters let a little pass above 4 kHz, -47 or less.
"""
HIGH_HZ, MIDDLE_HZ = (4500, 8000), (200, 3600)

FRAME_S = 0.05  # the level is measured on frames of this length
ACTIVE_DB = 30.0  # frames within this range below the loudest one are active
FLOOR_POWER = 1e-12  # -120 dBFS
_LOWEST_HZ = 50.0  # below every voice; a constant offset, rumble and the hum of handling lie there
_STEEPNESS = 8  # exponent of the filter: 110 dB less at 10 Hz, 0.3 dB less at 70 Hz
_CLIPPED = 0.003  # share of samples within 1 % of the largest one: speech has a tenth of that at most
_COARSE = 64  # different values of samples, as of 8 bits at a low level
EDGE_S = 0.25  # the signal is mirrored over this length at both ends, so that the filter has no step to answer


def without_rumble(signal: Array, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Array:
    """Return the signal (n_samples,) float32 without its offset and what lies below about 50 Hz, in phase.

    The gain is that of a Butterworth filter of the fourth order, run forwards and backwards.
    """
    if len(signal) < 2:
        return np.zeros_like(signal)
    n_edge = min(len(signal) - 1, round(EDGE_S * sample_rate_hz))
    before = 2 * signal[0] - signal[n_edge:0:-1]
    after = 2 * signal[-1] - signal[-2 : -n_edge - 2 : -1]
    extended = np.concatenate([before, signal, after])
    power = 1 << (len(extended) - 1).bit_length()
    n_fft = next(n for n in (power * 5 // 8, power * 3 // 4, power) if n >= len(extended))
    spectrum = np.fft.rfft(extended, n_fft) * rumble_gain(n_fft, sample_rate_hz)
    filtered: Array = np.fft.irfft(spectrum, n_fft)[n_edge : n_edge + len(signal)]
    return filtered.astype(np.float32)


@lru_cache(maxsize=16)
def rumble_gain(n_fft: int, sample_rate_hz: int) -> Array:
    """Return the gain (n_fft // 2 + 1,) float32 of the filter against rumble at each frequency of a spectrum."""
    powered = (np.fft.rfftfreq(n_fft, 1 / sample_rate_hz) / _LOWEST_HZ) ** _STEEPNESS
    gains: Array = (powered / (1 + powered)).astype(np.float32)
    return gains


def prepare_signal(signal: Array, config: AudioConfig) -> Array:
    """Return the signal, changed to the speed and speech level that the configuration sets.

    Loudness shows the microphone's gain more than the emotion: in RAVDESS anger is 14 dB above neutral. Silence is not
    amplified.
    """
    if config.speed != 1:
        import soxr

        played = soxr.resample(signal, config.sample_rate_hz * config.speed, config.sample_rate_hz)
        signal = played if len(played) else signal  # a recording keeps at least one sample
    level = speech_level_dbfs(signal, sample_rate_hz=config.sample_rate_hz)
    if config.level_dbfs is None or level < NO_SPEECH_DBFS:
        return signal
    return signal * gain(level, config.level_dbfs)


def resample(signal: Array, from_hz: int, to_hz: int) -> Array:
    """Return a signal (n_samples,) at another sample rate, float32, at least one sample long."""
    if from_hz == to_hz:
        return signal
    import soxr

    found: Array = soxr.resample(signal, from_hz, to_hz, quality="HQ").astype(np.float32, copy=False)
    return found if len(found) else signal[:1]


def speech_level_dbfs(signal: Array, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """Return the root mean square level of the active 50 ms frames in dB relative to full scale.

    >>> round(speech_level_dbfs(np.ones(16000, np.float32)), 1)
    0.0
    """
    power = frame_power(signal, max(1, round(FRAME_S * sample_rate_hz)))
    return float(10 * np.log10(power[is_active(power)].mean() + FLOOR_POWER))


def frame_power(signal: Array, frame_samples: int) -> Array:
    """Return the mean power (T,) float64 of whole frames; a signal shorter than a frame is one frame."""
    usable = len(signal) - len(signal) % frame_samples
    frames = signal[:usable].reshape(-1, frame_samples) if usable else signal[None]
    return np.einsum("tn,tn->t", frames, frames, dtype=np.float64) / frames.shape[1]


def is_active(power: Array) -> Array:
    """Return a mask (T,) of the frames that are within 30 dB of the loudest one."""
    return power >= power.max() * 10 ** (-ACTIVE_DB / 10)


def gain(from_dbfs: float, to_dbfs: float) -> np.float32:
    """Return the factor that brings a signal from one level to another."""
    return np.float32(10 ** ((to_dbfs - from_dbfs) / 20))


def distortions(signal: Array) -> list[str]:
    """Return a remark on each distortion of speech (n_samples,) at 16 kHz that makes a model less sure.

    600 clips of RAVDESS, EmoDB and nEMO get none; all get one as G.711, and 524 where they are clipped by 6 dB.
    """
    found = []
    n_fft = 512
    frames = signal[: len(signal) // n_fft * n_fft].reshape(-1, n_fft)
    peak = np.abs(signal).max(initial=0.0)
    if not len(frames) or not peak:
        return []
    frames = frames[is_active(frame_power(signal, n_fft))]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(n_fft), axis=1))).mean(axis=0)
    hz = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE_HZ)
    high, middle = (power[(hz >= low) & (hz < end)].mean() for low, end in (HIGH_HZ, MIDDLE_HZ))
    if high < NARROW * middle:
        found.append("it has nothing above 4 kHz, as over the telephone, where about one label in four changes")
    if (n_values := len(np.unique(signal))) < _COARSE:
        found.append(f"its samples have only {n_values} values, so that its labels are less sure; record it louder")
    elif np.mean(np.abs(signal) >= 0.99 * peak) > _CLIPPED:
        found.append("it is clipped, so that its labels are less sure; record it at a lower level")
    return found
