"""The 34 short-term descriptors of pyAudioAnalysis, in its order and by its names: what the original study's recurrent nets heard.

Definitions are those of Giannakopoulos & Pikrakis, Introduction to Audio Analysis (2014), chapter 4. Frequencies are fractions of half
the sample rate. Where this file differs from pyAudioAnalysis 0.3, it does so on purpose:

- Spectra are taken through a Hann window. A bare cut smears loud vowels over the bands of the quiet consonants' frequencies.
- Bin k is the frequency k * rate / window. There it is one bin too high for centroid and chroma, and an octave too low for the mel
  filters. (In the original study's copy 13 of the 34 columns were always zero; a test holds all 34 alive here.)
- Mel filters are Slaney's, 40 from 65 Hz up to half the sample rate, on power, as librosa's; MFCC are the DCT of log10, not of dB.
- Chroma adds up the energy of all bins of a pitch class. There each bin overwrites the one before.
- The clip's mean is taken off, as there, but its peak is left: the level was normalised before, and by speech, not by one click.
- Silence gives zeros (MFCC: the floor) and never a division by next to nothing.

Energy stays linear, as defined; the logarithm of it is in the first MFCC.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from sercli.features import _dsp
from sercli.types import Array, AudioConfig, Positive

INPUT = "audio"
VERSION = 1
DTYPE = "float16"

N_MFCC = 13
N_MELS = 40
PITCH_CLASSES = 12
PARTS = 10  # pieces of a frame, and of its spectrum, over which the entropies are taken
ROLLOFF = 0.90  # share of the energy that lies below the roll-off frequency
LOWEST_HZ = 65.0  # of mel bands and chroma: below lies hum, no voice
LOWEST_A_HZ = 27.5  # chroma_1 is the pitch class of this note

NAMES = (
    *("zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread"),
    *("spectral_entropy", "spectral_flux", "spectral_rolloff"),
    *(f"mfcc_{i}" for i in range(1, N_MFCC + 1)),
    *(f"chroma_{i}" for i in range(1, PITCH_CLASSES + 1)),
    "chroma_std",
)
"""What the first 34 columns are."""


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames and columns."""

    window_s: Positive = 0.050  # length of a frame and of its FFT
    hop_s: Positive = 0.025  # from one frame to the next
    deltas: bool = False  # 34 more columns: how much each changed since the frame before (0 in the first)

    def __post_init__(self) -> None:
        """Make the tables now, so that settings that cannot work together are refused before any audio is read."""
        _tables(self)


class _Tables(NamedTuple):
    window: int  # samples
    hop: int  # samples
    frequencies: Array  # (n_bins,) fractions of half the sample rate
    bands: Array  # (n_bins, N_MELS + PITCH_CLASSES + PARTS): one product sums power into mel bands, pitch classes, equal parts


@cache
def _tables(config: Config) -> _Tables:
    rate = config.sample_rate_hz
    window = _dsp.to_samples(config.window_s, rate, setting="window_s")
    hop = _dsp.to_samples(config.hop_s, rate, setting="hop_s")
    mel = _dsp.mel_filterbank(rate, window, N_MELS, LOWEST_HZ, None)
    frequencies = np.arange(len(mel)) * (2 / window)
    bands = np.hstack([mel, _pitch_classes(frequencies * rate / 2), _equal_parts(len(mel))])
    return _Tables(window, hop, frequencies.astype(np.float32), bands.astype(np.float32))


def _pitch_classes(hz: Array) -> Array:
    """(n_bins, 12) of 0 and 1: each bin from `LOWEST_HZ` up belongs to the nearest semitone, whatever its octave."""
    heard = hz >= LOWEST_HZ
    semitone = np.round(12 * np.log2(np.where(heard, hz, LOWEST_A_HZ) / LOWEST_A_HZ)).astype(int)
    return (np.eye(PITCH_CLASSES)[semitone % PITCH_CLASSES]) * heard[:, None]


def _equal_parts(n_bins: int) -> Array:
    """(n_bins, PARTS) of 0 and 1: the bins above 0 Hz in parts of equal width; a rest at the top belongs to none."""
    width = (n_bins - 1) // PARTS
    part = (np.arange(n_bins) - 1) // width
    return (part[:, None] == np.arange(PARTS)).astype(np.float64)


def extract(signal: Array, config: Config) -> Array:
    """Describe a clip frame by frame.

    Args:
        signal: (n_samples,) float32 at `config.sample_rate_hz`.
        config: see its fields.

    Returns:
        (T, 34) float32, or (T, 68) with deltas; T as `_dsp.count_frames` says. Columns are `NAMES`, then their deltas.
    """
    table = _tables(config)
    n_frames = _dsp.count_frames(signal.size, table.window, table.hop)
    features = np.zeros((n_frames, len(NAMES) * (2 if config.deltas else 1)), np.float32)
    described = features[:, : len(NAMES)]
    mean = np.float32(signal.mean(dtype=np.float64))
    before = None
    for rows in _dsp.blocks(n_frames, table.window):
        samples = signal[_dsp.stretch(rows, table.window, table.hop)] - mean
        before = _describe(samples, table, before, out=described[rows])
    if config.deltas:
        np.subtract(described[1:], described[:-1], out=features[1:, len(NAMES) :])
    return features


def _describe(samples: Array, table: _Tables, before: Array | None, *, out: Array) -> Array:
    """Fill a block's (T, 34) from its samples.

    Args:
        samples: the stretch that the block's frames are cut from, without the clip's mean.
        table: of the configuration.
        before: (1, n_bins) spectral shape of the frame before the block; None: there is none.
        out: (T, 34), overwritten.

    Returns:
        (1, n_bins) spectral shape of the block's last frame.
    """
    framed = _dsp.frames(samples, table.window, table.hop)
    power = _dsp.power(framed, _dsp.hann(table.window))
    mel, chroma, parts = np.split(power @ table.bands, (N_MELS, N_MELS + PITCH_CLASSES), axis=1)
    out[:, 0] = _zero_crossing_rate(samples, table.window, table.hop)
    out[:, 1] = np.einsum("tn,tn->t", framed, framed) / table.window
    out[:, 2] = _entropy(_part_energies(framed))
    out[:, 5] = _entropy(parts)
    out[:, 7] = _rolloff(power, table.frequencies)
    out[:, 8:21] = np.log10(np.maximum(mel, _dsp.SILENCE)) @ _dsp.dct(N_MELS, N_MFCC)
    out[:, 21:33] = _shares(chroma, least=_dsp.SILENCE)
    out[:, 33] = out[:, 21:33].std(axis=1)
    shape = _shares(np.sqrt(power), least=_dsp.SILENCE**0.5)
    out[:, 3], out[:, 4] = _centroid_and_spread(shape, table.frequencies)
    out[:, 6] = _flux(shape, before)
    return shape[-1:]


def _zero_crossing_rate(samples: Array, window: int, hop: int) -> Array:
    """Changes of sign per pair of neighbours, (T,); zero counts as positive.

    Crossings are counted once, running over the stretch: those of a frame are the count at its end less that at its start.
    """
    negative = _dsp.pad(samples, window) < 0
    count = np.zeros(negative.size, np.int32)
    np.cumsum(negative[1:] != negative[:-1], out=count[1:])
    at_end = count[window - 1 :: hop]
    crossings: Array = at_end - count[::hop][: at_end.size]
    return crossings / np.float32(window - 1)


def _part_energies(framed: Array) -> Array:
    """Energy of ten equal pieces of each frame, (T, PARTS); a rest at the end belongs to none."""
    width = framed.shape[1] // PARTS
    parts = framed[:, : PARTS * width].reshape(len(framed), PARTS, width)
    energies: Array = np.einsum("tpn,tpn->tp", parts, parts)
    return energies


def _entropy(energies: Array) -> Array:
    """Entropy in bits of how energy is spread over its parts, (T,): 0 all in one (or silence), log2(PARTS) evenly."""
    shares = _shares(energies, least=_dsp.SILENCE)
    bits: Array = np.einsum("tp,tp->t", shares, np.log2(shares + np.float32(1e-12)))
    return np.maximum(-bits, 0)


def _shares(values: Array, *, least: float) -> Array:
    """Each row divided by its sum; by `least` where that is larger, so that silence is a row of zeros."""
    result: Array = values / np.maximum(values.sum(axis=1, keepdims=True), np.float32(least))
    return result


def _centroid_and_spread(shape: Array, frequencies: Array) -> tuple[Array, Array]:
    """Centre of gravity of the magnitude spectrum, and the deviation around it, (T,) each."""
    centroid = np.einsum("tk,k->t", shape, frequencies)
    distance = frequencies - centroid[:, None]
    distance *= distance
    return centroid, np.sqrt(np.einsum("tk,tk->t", shape, distance))


def _flux(shape: Array, before: Array | None) -> Array:
    """Squared distance of each magnitude spectrum, as shares, from the one before, (T,); 0 in the first frame of all."""
    steps = np.diff(shape, axis=0, prepend=shape[:1] if before is None else before)
    distances: Array = np.einsum("tk,tk->t", steps, steps)
    return distances


def _rolloff(power: Array, frequencies: Array) -> Array:
    """Lowest frequency up to which `ROLLOFF` of the energy lies, (T,)."""
    below = np.cumsum(power, axis=1)
    first: Array = np.argmax(below >= np.float32(ROLLOFF) * below[:, -1:], axis=1)
    return frequencies[first]
