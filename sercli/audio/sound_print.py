"""The print of a sound: a digest of its samples, and bits that survive resampling, another codec or another level.

The digest is the same for a WAV, FLAC and AIFF of one sound. The bits say, for each moment, between which neighbouring
bands of frequency the difference of energy grows. Copies differ in few of them, other sounds in about half.

Source: Haitsma and Kalker 2002, "A highly robust audio fingerprinting system", with bands and times that suit speech.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from sercli.types import Array

HOP_S = 0.016  # between two words of bits

_WINDOW_S = 0.032
_SMOOTH = 16  # windows over which energy is averaged, so that a small shift in time changes few bits
_APART = 4  # hops between the two moments that are compared
_BANDS_HZ = (300.0, 3400.0)  # what a telephone transmits
_N_BITS = 32
_QUIET = 1e-4  # of the highest energy; below, bits are those of noise, and the word is 0
_WILD = 1e12  # the energy of higher samples may be too large for a number
_BLOCK = 128  # windows that are transformed at once
_CHUNK_S = 10  # of which words are made at once
EDGE = _SMOOTH + _APART + 2  # hops at the end of a sound that have no words of their own


@dataclass(frozen=True)
class SoundPrint:
    """What tells whether two recordings are the same sound."""

    digest: str  # BLAKE2b over sample rate and samples
    words: bytes  # uint32, little-endian, one each HOP_S; 0 where it is quiet; empty for a very short recording


class Printer:
    """Makes the print of a recording that is read in blocks."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._hash = hashlib.blake2b(str(rate_hz).encode(), digest_size=16)
        self._n_chunk, self._n_more = _CHUNK_S * rate_hz, math.ceil(EDGE * HOP_S * rate_hz)
        self._held: list[Array] = []  # what has no words yet
        self._words: list[Array] = []

    def add(self, block: Array) -> None:
        """Take the next block (n,) float32."""
        self._hash.update((block + np.float32(0)).tobytes())  # + 0: -0.0 is 0.0
        self._held.append(block.copy())
        while sum(map(len, self._held)) >= self._n_chunk + self._n_more:
            held = np.concatenate(self._held)
            words = _words(held[: self._n_chunk + self._n_more], self._rate_hz)
            self._words.append(words[: round(_CHUNK_S / HOP_S)])
            self._held = [held[self._n_chunk :]]

    def finish(self) -> SoundPrint:
        """Return the print of all blocks."""
        rest = _words(np.concatenate(self._held), self._rate_hz) if self._held else np.zeros(0, "<u4")
        return SoundPrint(self._hash.hexdigest(), np.concatenate([*self._words, rest]).tobytes())


def _words(signal: Array, rate_hz: int) -> Array:
    """(W,) uint32 of a signal (n,), whatever its level."""
    if (peak := np.abs(signal).max(initial=0)) > _WILD:
        signal = signal / peak
    energy = _energy(signal, rate_hz)
    if len(energy) <= _SMOOTH + _APART:
        return np.zeros(0, "<u4")
    summed = np.concatenate([np.zeros((1, energy.shape[1])), np.cumsum(energy, axis=0)])
    smooth = summed[_SMOOTH:] - summed[:-_SMOOTH]  # (M, bands)
    slope = smooth[:, :-1] - smooth[:, 1:]
    grows = slope[_APART:] > slope[:-_APART]  # (W, bits)
    words = np.packbits(grows, axis=1, bitorder="little").view("<u4")[:, 0]
    loudness = smooth[_APART:].sum(axis=1)
    return np.where(loudness > _QUIET * loudness.max(), words, np.uint32(0))


def _energy(signal: Array, rate_hz: int) -> Array:
    """(M, bands) energy of each window in each band; bands beyond the sample rate have none."""
    n, window, bands = _transform(rate_hz)
    if len(signal) < n:
        return np.zeros((0, bands.shape[1]))
    starts = np.round(np.arange(int((len(signal) - n) / (HOP_S * rate_hz)) + 1) * HOP_S * rate_hz).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(signal, n)
    blocks = [windows[starts[place : place + _BLOCK]] * window for place in range(0, len(starts), _BLOCK)]
    spectra = (np.fft.rfft(block)[:, : len(bands)] for block in blocks)
    return np.concatenate([(spectrum.real**2 + spectrum.imag**2) @ bands for spectrum in spectra])


@cache
def _transform(rate_hz: int) -> tuple[int, Array, Array]:
    """The window's number of samples, its shape (n,), and which bins (up to the last used) are in which band."""
    n = max(2, round(_WINDOW_S * rate_hz))
    low, high = (np.log1p(hz / 700) for hz in _BANDS_HZ)  # mel scale
    edges = 700 * np.expm1(np.linspace(low, high, _N_BITS + 2))
    bins = np.fft.rfftfreq(n, 1 / rate_hz)
    bins = bins[bins < edges[-1]]
    return n, np.hanning(n).astype(np.float32), ((bins[:, None] >= edges[:-1]) & (bins[:, None] < edges[1:])) * 1.0
