"""Frames, windows, power spectra, mel bands and the cosine transform for the audio features.

Everything is float32 and runs over blocks of frames that fit the processor's cache: that is faster than one large
array, and half an hour of audio needs no more memory than a second. Tables are computed once and are read-only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from sercli.errors import ConfigError
from sercli.types import Array, AudioConfig, Bands, NonNegative, Positive, WindowS

SILENCE = 1e-10
"""Power that counts as silence: less than the rounding noise of 16-bit audio in any band."""

# A block of this many samples, its spectra and their bands stay in the processor's caches, and malloc reuses their
# memory for the next block instead of fetching new pages from the system. Smaller blocks cost too many calls.
_MOST_OVERLAP = 64
_BLOCK_SAMPLES = 144_000

# BLAS computes a matrix product of up to this many multiplications on the calling thread. Several threads gain little
# at these sizes, and on a busy machine they were seen to cost a hundred times the product itself.
_ONE_THREAD_PRODUCT = 1_000_000


def frame_samples(window_s: float, hop_s: float, sample_rate_hz: int) -> tuple[int, int]:
    """Return the length of a frame and of the step to the next one in whole samples.

    Raises:
        ConfigError: one of them is less than one sample, or as `check_overlap`.

    >>> frame_samples(0.025, 0.010, 16_000)
    (400, 160)
    """
    window, hop = round(window_s * sample_rate_hz), round(hop_s * sample_rate_hz)
    for setting, seconds, n_samples in (("window_s", window_s, window), ("hop_s", hop_s, hop)):
        if n_samples < 1:
            need = f"at sample_rate_hz={sample_rate_hz} it must be {1 / sample_rate_hz:.2g} or more"
            raise ConfigError(f"feature.{setting}={seconds:g} is less than one sample: {need}.")
    check_overlap(window, hop)
    return window, hop


def check_overlap(window: int, hop: int) -> None:
    """Refuse frames that overlap so often that they would need too much memory.

    Raises:
        ConfigError: with what to do.
    """
    if window > _MOST_OVERLAP * hop:
        raise ConfigError(
            f"Frames of {window} samples that begin every {hop} overlap more than {_MOST_OVERLAP} times; "
            "make the hop longer or the window shorter."
        )


def count_frames(n_samples: int, window: int, hop: int) -> int:
    """Return the number of frames: `1 + (n_samples - window) // hop`, or one for a signal shorter than the window.

    A remainder that is shorter than a hop is left out, as in pyAudioAnalysis and in librosa with `center=False`.

    >>> count_frames(16_000, 400, 160), count_frames(1, 400, 160)
    (98, 1)
    """
    return 1 + max(0, n_samples - window) // hop


def pad(signal: Array, window: int) -> Array:
    """Return the signal, followed by zeros if it is shorter than one frame."""
    return signal if signal.size >= window else np.pad(signal, (0, window - signal.size))


def frames(signal: Array, window: int, hop: int) -> Array:
    """Cut a signal into overlapping frames without a copy; a signal shorter than a frame is padded with zeros.

    Args:
        signal: (n_samples,)
        window: samples in a frame.
        hop: samples from the start of one frame to that of the next.

    Returns:
        (T, window) read-only view, T as `count_frames` returns it.
    """
    return np.lib.stride_tricks.sliding_window_view(pad(signal, window), window)[::hop]


def blocks(n_frames: int, window: int, *, multiple_of: int = 1, n_samples: int | None = None) -> Iterator[slice]:
    """Yield blocks of T frames that fit the cache.

    Args:
        n_frames: T.
        window: samples in a frame.
        multiple_of: each block but the last has a multiple of this many frames.
        n_samples: approximate size of a block; samples in the overlap count in each frame. None: what is usually best.

    Yields:
        The slice of a block's frames.
    """
    n_rows = multiple_of * max(1, (n_samples or _BLOCK_SAMPLES) // (window * multiple_of))
    for start in range(0, n_frames, n_rows):
        yield slice(start, min(start + n_rows, n_frames))


def stretch(rows: slice, window: int, hop: int) -> slice:
    """Return the slice of samples that a slice of frames covers.

    >>> stretch(slice(2, 4), 400, 160)
    slice(320, 880, None)
    """
    return slice(rows.start * hop, (rows.stop - 1) * hop + window)


def spectrum(framed: Array, taper: Array) -> Array:
    """Return the Fourier transform of each frame, unscaled: `rfft(frame * taper)`.

    scipy transforms as many frames at once as there are SIMD lanes: seven times as fast as numpy, and equal to it
    except for rounding.

    Args:
        framed: (T, window)
        taper: (window,)

    Returns:
        (T, window // 2 + 1) complex64, bins from 0 Hz up.
    """
    from scipy import fft  # its import takes as long as an hour of audio

    return fft.rfft(framed * taper)


def power(framed: Array, taper: Array) -> Array:
    """Return the power spectrum of each frame, (T, window // 2 + 1) float32.

    It is the square of the absolute value and not the sum of two squares: in digital silence one of those can be a
    denormal number, which slows the processor down.
    """
    level: Array = np.abs(spectrum(framed, taper))
    level *= level
    return level


def means(values: Array, n: int) -> Array:
    """Return the mean of every n rows of (T, F) float32, the last one of those that are left: (ceil(T / n), F)."""
    starts = np.arange(0, len(values), n)
    sums: Array = np.add.reduceat(values, starts, axis=0)
    return sums / np.diff([*starts, len(values)])[:, None].astype(np.float32)


def multiply(values: Array, matrix: Array, *, out: Array | None = None) -> Array:
    """Return `values @ matrix`, computed in pieces small enough for one thread.

    Args:
        values: (T, n)
        matrix: (n, m)
        out: (T, m) float32, overwritten and returned; None: a new one.
    """
    out = np.empty((len(values), matrix.shape[1]), np.float32) if out is None else out
    n_rows = max(1, _ONE_THREAD_PRODUCT // matrix.size)
    for start in range(0, len(values), n_rows):
        np.matmul(values[start : start + n_rows], matrix, out=out[start : start + n_rows])
    return out


@cache
def hann(n_samples: int) -> Array:
    """Return the periodic Hann window, (n_samples,) float32, that librosa and scipy use for spectra."""
    return table(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_samples) / n_samples))


@cache
def dct(n_in: int, n_out: int) -> Array:
    """Return the first columns of the orthonormal DCT-II, (n_in, n_out) float32: `x @ matrix` transforms rows."""
    from scipy import fft  # as in `spectrum`

    return table(fft.dct(np.eye(n_in), norm="ortho")[:, :n_out])


@cache
def mel_filterbank(sample_rate_hz: int, window: int, n_mels: int, fmin_hz: float, fmax_hz: float | None) -> Array:
    """Return librosa's triangular filters of equal area, evenly spaced on Slaney's mel scale (Auditory Toolbox, 1998).

    Args:
        sample_rate_hz: of the signal.
        window: samples in a frame, which is also the length of its FFT.
        n_mels: number of bands.
        fmin_hz: lower edge of the first band.
        fmax_hz: upper edge of the last band; None: half the sample rate.

    Returns:
        (window // 2 + 1, n_mels) float32; `power @ filterbank` gives the bands.

    Raises:
        ConfigError: the edges are not within 0 Hz and half the sample rate, or a band has no FFT bin.
    """
    nyquist_hz = sample_rate_hz / 2
    top_hz = nyquist_hz if fmax_hz is None else fmax_hz
    if not 0 <= fmin_hz < top_hz <= nyquist_hz:
        need = f"set 0 <= fmin_hz < fmax_hz <= {nyquist_hz:g}, half of sample_rate_hz={sample_rate_hz}"
        raise ConfigError(f"feature.fmin_hz={fmin_hz:g} with fmax_hz={top_hz:g} leaves no mel bands: {need}.")
    edges = mel_to_hz(np.linspace(hz_to_mel(fmin_hz), hz_to_mel(top_hz), n_mels + 2))
    bins = np.arange(window // 2 + 1)[:, None] * (sample_rate_hz / window)
    widths = np.diff(edges)
    rising = (bins - edges[:-2]) / widths[:-1]
    falling = (edges[2:] - bins) / widths[1:]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))
    n_empty = int((filters.max(axis=0) == 0).sum())
    if n_empty:
        which = (
            f"{n_empty} of {n_mels} mel bands have no FFT bin with a window of {window} samples at {sample_rate_hz} Hz"
        )
        raise ConfigError(f"{which}: raise feature.window_s, or lower n_mels.")
    return table(filters)


@dataclass(frozen=True)
class MelConfig(AudioConfig):
    """How a signal is cut into frames, and their spectra into mel bands."""

    window_s: WindowS = 0.025  # length of a frame and of its FFT
    hop_s: Positive = 0.010  # from one frame to the next
    n_mels: Bands = 64  # mel bands
    fmin_hz: NonNegative = 50.0  # lower edge of the first band; below it there is hum, not speech
    fmax_hz: Positive | None = None  # upper edge of the last band; null: half the sample rate

    def __post_init__(self) -> None:
        """Compute the tables now, so that impossible settings are refused before any audio is read."""
        mel_frames(self)


@cache
def mel_frames(config: MelConfig) -> tuple[int, int, Array]:
    """Return the samples in a frame and to the next one, and the filterbank.

    Raises:
        ConfigError: as `frame_samples` and `mel_filterbank`.
    """
    rate_hz = config.sample_rate_hz
    window, hop = frame_samples(config.window_s, config.hop_s, rate_hz)
    return window, hop, mel_filterbank(rate_hz, window, config.n_mels, config.fmin_hz, config.fmax_hz)


def mel_levels(signal: Array, config: MelConfig) -> Array:
    """Return the power of mel bands in dB: librosa's `power_to_db(melspectrogram(..., center=False), top_db=None)`.

    Frames start at the first sample and nothing is padded, unless the clip is shorter than one frame. The floor is
    absolute, -100 dB: with a floor relative to the clip's maximum, a click would change every frame.

    Args:
        signal: (n_samples,) float32.
        config: its frames and bands.

    Returns:
        (T, n_mels) float32; T as `count_frames` returns it.
    """
    window, hop, filterbank = mel_frames(config)
    framed, taper = frames(signal, window, hop), hann(window)
    spectra = (power(framed[rows], taper) for rows in blocks(len(framed), window))
    return decibels(np.concatenate([multiply(spectrum, filterbank) for spectrum in spectra]))


def hz_to_mel(hz: float | Array) -> Array:
    """Slaney's mel scale: linear up to 1 kHz (15 mel), logarithmic above."""
    hz = np.asarray(hz, np.float64)
    return np.where(hz < 1000, hz * 0.015, 15 + np.log(np.maximum(hz, 1000) / 1000) * (27 / np.log(6.4)))


def mel_to_hz(mel: float | Array) -> Array:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    return np.where(mel < 15, mel / 0.015, 1000 * np.exp((np.maximum(mel, 15) - 15) * (np.log(6.4) / 27)))


def decibels(level: Array) -> Array:
    """`10 log10(power)` in place, with `SILENCE` (-100 dB) as the floor; returns its argument."""
    np.maximum(level, SILENCE, out=level)
    np.log10(level, out=level)
    level *= 10
    return level


def table(values: Array) -> Array:
    """Return a constant that can be shared: float32 and read-only."""
    values = values.astype(np.float32)
    values.setflags(write=False)
    return values
