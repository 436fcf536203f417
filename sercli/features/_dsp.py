"""What the audio features share: frames, windows, power spectra, mel bands, cosine transform.

Everything is float32 and runs over blocks of frames that fit the processor's cache: that is faster than one large
array, and half an hour of sound needs no more memory than a second. Tables are made once and are read-only.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np

from sercli.errors import ConfigError
from sercli.types import Array

SILENCE = 1e-10
"""Power below which there is no sound: less than the rounding noise of 16-bit audio leaves in any band."""

# A block of this many samples, its spectra and what is made of them stay in the processor's caches, and malloc hands
# the same memory out again for the next block instead of fetching new pages from the system. Smaller blocks cost more
# calls than they save.
_MOST_OVERLAP = 64
_BLOCK_SAMPLES = 144_000

# A matrix product of up to this many multiplications is done by BLAS on the calling thread. Sharing a larger one gains
# little at these sizes, and where another process is busy it has been seen to cost a hundred times the product itself.
_ONE_THREAD_PRODUCT = 1_000_000


def to_samples(seconds: float, sample_rate_hz: int, *, setting: str) -> int:
    """A length in whole samples.

    Raises:
        ConfigError: it is less than one sample.

    >>> to_samples(0.025, 16_000, setting="window_s")
    400
    """
    n_samples = round(seconds * sample_rate_hz)
    if n_samples < 1:
        need = f"at sample_rate_hz={sample_rate_hz} it must be {1 / sample_rate_hz:.2g} or more"
        raise ConfigError(f"feature.{setting}={seconds:g} is less than one sample: {need}.")
    return n_samples


def count_frames(n_samples: int, window: int, hop: int) -> int:
    """How many frames a signal gives: `1 + (n_samples - window) // hop`, and one for a signal shorter than the window.

    A rest at the end that is shorter than a hop is left out, as in pyAudioAnalysis and in librosa with `center=False`.

    Raises:
        ConfigError: the frames overlap so often that they would take up any memory.

    >>> count_frames(16_000, 400, 160), count_frames(1, 400, 160)
    (98, 1)
    """
    if window > _MOST_OVERLAP * hop:
        raise ConfigError(
            f"Frames of {window} samples that begin every {hop} overlap more than {_MOST_OVERLAP} times; "
            "make the hop longer or the window shorter."
        )
    return 1 + max(0, n_samples - window) // hop


def pad(signal: Array, window: int) -> Array:
    """The signal, with zeros after it if it is too short for one frame."""
    return signal if signal.size >= window else np.pad(signal, (0, window - signal.size))


def frames(signal: Array, window: int, hop: int) -> Array:
    """Cut a signal into overlapping frames without copying it; one that is too short for a frame is padded with zeros.

    Args:
        signal: (n_samples,)
        window: samples in a frame.
        hop: samples from one frame's start to the next one's.

    Returns:
        (T, window) read-only view, T as `count_frames` says.
    """
    signal = pad(signal, window)
    shape = (count_frames(signal.size, window, hop), window)
    strides = (signal.itemsize * hop, signal.itemsize)
    return np.lib.stride_tricks.as_strided(np.ascontiguousarray(signal), shape, strides, writeable=False)


def blocks(n_frames: int, window: int, *, multiple_of: int = 1, n_samples: int = _BLOCK_SAMPLES) -> Iterator[slice]:
    """Walk T frames in blocks that fit the cache.

    Args:
        n_frames: T.
        window: samples in a frame.
        multiple_of: each block but the last has a multiple of this many frames.
        n_samples: how many a block has, about, those of overlapping frames counted in each.

    Yields:
        The rows of a block, for a (T, anything) array.
    """
    n_rows = multiple_of * max(1, n_samples // (window * multiple_of))
    for start in range(0, n_frames, n_rows):
        yield slice(start, min(start + n_rows, n_frames))


def stretch(rows: slice, window: int, hop: int) -> slice:
    """The samples that some rows of frames are cut from.

    >>> stretch(slice(2, 4), 400, 160)
    slice(320, 880, None)
    """
    return slice(rows.start * hop, (rows.stop - 1) * hop + window)


def spectrum(framed: Array, taper: Array) -> Array:
    """Fourier transform of each frame, unscaled: `rfft(frame * taper)`.

    By scipy, which transforms as many frames at once as the processor has lanes: seven times as fast as numpy, from
    which it differs by rounding alone.

    Args:
        framed: (T, window)
        taper: (window,)

    Returns:
        (T, window // 2 + 1) complex64, bins from 0 Hz up.
    """
    from scipy import fft  # takes as long to import as an hour of sound is worth: not before there is sound

    bins: Array = fft.rfft(framed * taper)
    return bins


def power(framed: Array, taper: Array) -> Array:
    """Power spectrum of each frame, (T, window // 2 + 1) float32.

    The square of the absolute value, not the sum of two squares: one of those can be too small for the processor's full
    speed, as in a stretch of digital silence.
    """
    level: Array = np.abs(spectrum(framed, taper))
    level *= level
    return level


def multiply(values: Array, matrix: Array, *, out: Array) -> None:
    """`np.matmul(values, matrix, out=out)`, in pieces that need no second thread.

    Args:
        values: (T, n)
        matrix: (n, m)
        out: (T, m), overwritten.
    """
    n_rows = max(1, _ONE_THREAD_PRODUCT // matrix.size)
    for start in range(0, len(values), n_rows):
        np.matmul(values[start : start + n_rows], matrix, out=out[start : start + n_rows])


@cache
def hann(n_samples: int) -> Array:
    """Periodic Hann window, (n_samples,) float32, as librosa and scipy make it for spectra."""
    return table(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_samples) / n_samples))


@cache
def dct(n_in: int, n_out: int) -> Array:
    """First columns of the orthonormal DCT-II as a matrix, (n_in, n_out) float32: `x @ matrix` transforms rows."""
    angle = np.pi / n_in * np.outer(np.arange(n_in) + 0.5, np.arange(n_out))
    matrix = np.cos(angle) * np.sqrt(2 / n_in)
    matrix[:, 0] /= np.sqrt(2)
    return table(matrix)


@cache
def mel_filterbank(sample_rate_hz: int, window: int, n_mels: int, fmin_hz: float, fmax_hz: float | None) -> Array:
    """Triangular filters of equal area, evenly spaced on Slaney's mel scale (Auditory Toolbox, 1998), as librosa's.

    Args:
        sample_rate_hz: of the signal.
        window: samples in a frame, which is also the length of its FFT.
        n_mels: number of bands.
        fmin_hz: lower edge of the first band.
        fmax_hz: upper edge of the last band; None: half the sample rate.

    Returns:
        (window // 2 + 1, n_mels) float32; `power @ filterbank` gives the bands.

    Raises:
        ConfigError: the edges are not within 0 Hz and half the sample rate, or a band holds no frequency.
    """
    nyquist_hz = sample_rate_hz / 2
    top_hz = nyquist_hz if fmax_hz is None else fmax_hz
    if not 0 <= fmin_hz < top_hz <= nyquist_hz:
        need = f"it takes 0 <= fmin_hz < fmax_hz <= {nyquist_hz:g}, half of sample_rate_hz={sample_rate_hz}"
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
            f"{n_empty} of {n_mels} mel bands hold no frequency of a window of {window} samples at {sample_rate_hz} Hz"
        )
        raise ConfigError(f"{which}: raise feature.window_s, or lower n_mels.")
    return table(filters)


def hz_to_mel(hz: float | Array) -> Array:
    """Slaney's mel scale: linear up to 1 kHz (15 mel), logarithmic above."""
    hz = np.asarray(hz, np.float64)
    return np.where(hz < 1000, hz * 0.015, 15 + np.log(np.maximum(hz, 1000) / 1000) * (27 / np.log(6.4)))


def mel_to_hz(mel: float | Array) -> Array:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    return np.where(mel < 15, mel / 0.015, 1000 * np.exp((np.maximum(mel, 15) - 15) * (np.log(6.4) / 27)))


def decibels(level: Array) -> Array:
    """`10 log10(power)` in place, with `SILENCE` (-100 dB) as the floor."""
    np.maximum(level, SILENCE, out=level)
    np.log10(level, out=level)
    level *= 10
    return level


def table(values: Array) -> Array:
    """A constant to be shared: float32 and read-only."""
    values = values.astype(np.float32)
    values.setflags(write=False)
    return values
