"""The 34 short-term descriptors of pyAudioAnalysis, in its order and with its names, as in the original study.

Definitions are those of Giannakopoulos & Pikrakis, Introduction to Audio Analysis (2014), chapter 4; frequencies are
fractions of half the sample rate. The differences from pyAudioAnalysis 0.3 are deliberate:

- Spectra use a Hann window: without it, loud vowels leak over the whole spectrum.
- Bin k is the frequency k * rate / window. In pyAudioAnalysis it is one bin too high for centroid, spread and chroma,
  and mel filters are an octave too low. (In the original study's copy 13 of the 34 columns were always zero.)
- Mel filters are Slaney's, 40 from 65 Hz up to half the sample rate, on power; MFCC are the DCT of its log10.
- Chroma sums the energy of all bins of a pitch class. In pyAudioAnalysis each bin overwrites the one before.
- The clip's mean is subtracted, as there, but its peak is not scaled: its level is already normalised.
- Silence gives zeros (MFCC: the floor), not a division by almost zero.

Energy is linear, as defined; its logarithm is in the first MFCC.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from sercli.audio import dsp
from sercli.contracts import Extractor
from sercli.types import Array, AudioConfig, Positive, WindowS

INPUT = "audio"
VERSION = 1
DTYPE = "float16"

N_MFCC = 13
N_MELS = 40
PITCH_CLASSES = 12
PARTS = 10  # pieces of a frame, and of its spectrum, for the entropies
ROLLOFF = 0.90  # share of the energy that lies below the roll-off frequency
LOWEST_HZ = 65.0  # of mel bands and chroma: below it there is hum, not voice
LOWEST_A_HZ = 27.5  # chroma_1 is the pitch class of this note
_FAINT = dsp.SILENCE**0.5  # a smaller sum of magnitudes counts as silence
_TINY = np.float32(1e-12)  # keeps the logarithm of an empty share finite

NAMES = (
    *("zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread"),
    *("spectral_entropy", "spectral_flux", "spectral_rolloff"),
    *(f"mfcc_{i}" for i in range(1, N_MFCC + 1)),
    *(f"chroma_{i}" for i in range(1, PITCH_CLASSES + 1)),
    "chroma_std",
)
"""Names of the first 34 columns."""


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames and columns."""

    window_s: WindowS = 0.050  # length of a frame and of its FFT
    hop_s: Positive = 0.025  # from one frame to the next
    deltas: bool = False  # 34 more columns: the difference from the frame before (0 in the first)

    def __post_init__(self) -> None:
        """Compute the tables now, so that impossible settings are refused before any audio is read."""
        _tables(self)


class _Tables(NamedTuple):
    window: int  # samples
    hop: int  # samples
    frequencies: Array  # (n_bins,) fractions of half the sample rate
    moments: Array  # (n_bins, 3): the magnitudes' sum, first and second moment
    bands: Array  # (n_bins, N_MELS + PITCH_CLASSES + PARTS): power in mel bands, pitch classes, equal parts


@cache
def _tables(config: Config) -> _Tables:
    rate = config.sample_rate_hz
    window, hop = dsp.frame_samples(config.window_s, config.hop_s, rate)
    mel = dsp.mel_filterbank(rate, window, N_MELS, LOWEST_HZ, None)
    n_bins = len(mel)
    frequencies = np.arange(n_bins) * (2 / window)
    moments = frequencies[:, None] ** np.arange(3)
    bands = [mel, _pitch_classes(frequencies * rate / 2), _equal_parts(n_bins)]
    return _Tables(window, hop, *(dsp.table(array) for array in (frequencies, moments, np.hstack(bands))))


def _pitch_classes(hz: Array) -> Array:
    """(n_bins, 12) of 0 and 1: each bin from `LOWEST_HZ` up belongs to the nearest semitone of any octave."""
    in_range = hz >= LOWEST_HZ
    semitone = np.round(12 * np.log2(np.where(in_range, hz, LOWEST_A_HZ) / LOWEST_A_HZ)).astype(int)
    return np.eye(PITCH_CLASSES)[semitone % PITCH_CLASSES] * in_range[:, None]


def _equal_parts(n_bins: int) -> Array:
    """(n_bins, PARTS) of 0 and 1: bins above 0 Hz in parts of equal width; a remainder at the top belongs to none."""
    width = (n_bins - 1) // PARTS
    part = (np.arange(n_bins) - 1) // width
    return (part[:, None] == np.arange(PARTS)).astype(np.float32)


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]


def extract(signal: Array, config: Config) -> Array:
    """Return the descriptors of a clip, one row per frame.

    Args:
        signal: (n_samples,) float32 at `config.sample_rate_hz`.
        config: see its fields.

    Returns:
        (T, 34) float32, or (T, 68) with deltas; T as `dsp.count_frames` says. Columns are `NAMES`, then their deltas.
    """
    table = _tables(config)
    n_frames = dsp.count_frames(signal.size, table.window, table.hop)
    features = np.zeros((n_frames, len(NAMES) * (2 if config.deltas else 1)), np.float32)
    described = features[:, : len(NAMES)]
    mean = signal.mean()
    before: Array | None = None
    for rows in dsp.blocks(n_frames, table.window):
        samples = signal[dsp.stretch(rows, table.window, table.hop)] - mean
        before = _describe(samples, table, before, out=described[rows])
    if config.deltas:
        np.subtract(described[1:], described[:-1], out=features[1:, len(NAMES) :])
    return features


def _describe(samples: Array, table: _Tables, before: Array | None, *, out: Array) -> Array:
    """Write the descriptors of one block, and return the last frame's magnitudes.

    Args:
        samples: of the block's T frames, with the clip's mean subtracted.
        table: the constants of the configuration.
        before: (1, n_bins) magnitudes of the frame before the block; None: there is none.
        out: (T, 34), overwritten.

    Returns:
        (1, n_bins) magnitudes of the block's last frame.
    """
    framed = dsp.frames(samples, table.window, table.hop)
    magnitude = np.abs(dsp.spectrum(framed, dsp.hann(table.window)))
    power = magnitude * magnitude
    bands = dsp.multiply(power, table.bands)
    mel, chroma, parts = np.split(bands, np.cumsum((N_MELS, PITCH_CLASSES)), axis=1)
    out[:, 0] = _zero_crossing_rate(samples, table.window, table.hop)
    out[:, 1] = np.einsum("tn,tn->t", framed, framed) / table.window
    out[:, 2] = _entropy(_part_energies(framed))
    out[:, 3], out[:, 4] = _centroid_and_spread(dsp.multiply(magnitude, table.moments))
    out[:, 5] = _entropy(parts)
    out[:, 6] = _flux(np.concatenate([magnitude[:1] if before is None else before, magnitude]))
    out[:, 7] = _rolloff(power, table.frequencies)
    out[:, 8:21] = np.log10(np.maximum(mel, dsp.SILENCE)) @ dsp.dct(N_MELS, N_MFCC)
    out[:, 21:33] = chroma / np.maximum(chroma.sum(axis=1, keepdims=True), dsp.SILENCE)
    out[:, 33] = out[:, 21:33].std(axis=1)
    return magnitude[-1:]


def _zero_crossing_rate(samples: Array, window: int, hop: int) -> Array:
    """Return the share of neighbouring samples that differ in sign, (T,); zero counts as positive.

    Crossings are found once for the whole block and then counted in each frame.
    """
    negative = dsp.pad(samples, window) < 0
    crossings = (negative[1:] != negative[:-1]).view(np.uint8)
    count: Array = dsp.frames(crossings, window - 1, hop).sum(axis=1, dtype=np.uint32)
    return count / np.float32(window - 1)


def _part_energies(framed: Array) -> Array:
    """Energy of ten equal pieces of each frame, (T, PARTS); a remainder at the end belongs to none."""
    width = framed.shape[1] // PARTS
    parts = framed[:, : PARTS * width].reshape(len(framed), PARTS, width)
    return np.einsum("tpn,tpn->tp", parts, parts)


def _entropy(energies: Array) -> Array:
    """Entropy in bits of the energy's distribution over its parts, (T,): from 0, all in one, to log2(PARTS), even."""
    shares = energies / np.maximum(energies.sum(axis=1, keepdims=True), dsp.SILENCE)
    bits: Array = np.einsum("tp,tp->t", shares, np.log2(shares + _TINY))
    return np.maximum(-bits, 0)


def _centroid_and_spread(moments: Array) -> tuple[Array, Array]:
    """Centre of gravity of the magnitude spectrum, and the deviation around it, (T,) each."""
    total = np.maximum(moments[:, 0], _FAINT)
    centroid, square = moments[:, 1] / total, moments[:, 2] / total
    return centroid, np.sqrt(np.maximum(square - centroid * centroid, 0))


def _flux(magnitude: Array) -> Array:
    """Squared distance of each magnitude spectrum (1 + T, n_bins) but the first from the one before, both with sum 1.

    Returns:
        (T,)
    """
    shares = magnitude / np.maximum(magnitude.sum(axis=1, keepdims=True), _FAINT)
    change = shares[1:] - shares[:-1]
    return np.einsum("tk,tk->t", change, change)


def _rolloff(power: Array, frequencies: Array) -> Array:
    """Lowest frequency below which `ROLLOFF` of the energy lies, (T,).

    A long running sum is slow, since each step waits for the one before. Two short ones replace it: over groups of
    bins, to find the group that holds the bin, then within this group.
    """
    width = 20
    every_frame = np.arange(len(power))
    groups = np.add.reduceat(power, np.arange(0, frequencies.size, width), axis=1)
    running = np.cumsum(groups, axis=1)
    needed = np.float32(ROLLOFF) * running[:, -1:]
    group = np.argmax(running >= needed, axis=1)
    needed -= (running - groups)[every_frame, group, None]
    bins = np.minimum(group[:, None] * width + np.arange(width), frequencies.size - 1)
    within = np.cumsum(power[every_frame[:, None], bins], axis=1)
    within[:, -1] = np.inf  # rounding can leave a little missing: then it is the last bin of the group
    first: Array = bins[every_frame, np.argmax(within >= needed, axis=1)]
    return frequencies[first]
