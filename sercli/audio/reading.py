"""Reading recordings: any file that libsndfile or FFmpeg decodes, checked, mono, resampled and level-normalised."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sercli.audio.discovery import find as find
from sercli.audio.discovery import stdin as stdin
from sercli.audio.sources import BLOCK_S, Source, block_frames, open_source
from sercli.errors import AudioError
from sercli.types import Array, AudioConfig

NO_SPEECH_DBFS = -60.0  # a recording whose loudest stretch stays below holds no speech

_FRAME_S = 0.05  # level is measured on frames of this length
_ACTIVE_DB = 30.0  # frames within this range below the loudest one count as speech
_FLOOR_POWER = 1e-12  # -120 dBFS


@dataclass(frozen=True)
class AudioFacts:
    """What a readable recording is."""

    digest: str  # BLAKE2b over the file's bytes
    duration_s: float
    sample_rate_hz: int
    n_channels: int


def inspect(path: Path) -> AudioFacts:
    """Decode the whole file once, so that a broken one is found before any work is done with it.

    Raises:
        AudioError: missing, empty, truncated, not audio, or with samples that are not numbers; the message names the
            file and what to do.
    """
    with open_source(path) as source:
        n_samples = sum(len(block) for block in _blocks(source, path))
        rate, channels = source.rate_hz, source.n_channels
    if n_samples == 0:
        raise _empty(path)
    with path.open("rb") as raw:
        digest = hashlib.file_digest(raw, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return AudioFacts(digest, n_samples / rate, rate, channels)


def duration_s(path: Path) -> float:
    """Length by the file's header; a file whose header does not tell is decoded to find out.

    Raises:
        AudioError: as `inspect`, as far as it is read.
    """
    with open_source(path) as source:
        n_frames = source.n_frames
        if n_frames is None:
            n_frames = sum(len(block) for block in _blocks(source, path))
        return float(n_frames / source.rate_hz)


def read(path: Path, *, sample_rate_hz: int, start_s: float | None = None, end_s: float | None = None) -> Array:
    """Read a recording, or a stretch of it, as one channel.

    Returns:
        (n_samples,) float32 in [-1, 1] at `sample_rate_hz`; channels are averaged.

    Raises:
        AudioError: missing, empty, truncated, not audio, or the stretch lies outside the file.
    """
    with open_source(path) as source:
        blocks = list(resampled(_blocks(source, path, start_s, end_s), source.rate_hz, sample_rate_hz))
    if blocks:
        return np.concatenate(blocks)
    whole_s = duration_s(path)
    if whole_s == 0:
        raise _empty(path)
    to = "its end" if end_s is None else f"{end_s:g} s"
    raise AudioError(
        f"{path} holds no samples between {start_s or 0.0:g} s and {to}, it is {whole_s:.2f} s long; "
        "correct start_s and end_s."
    )


def stream(path: Path, *, sample_rate_hz: int, block_s: float = BLOCK_S) -> Iterator[Array]:
    """Read a recording of any length piece by piece: put together, the pieces are what `read` gives.

    Yields:
        (n_samples,) float32 of about `block_s`; resampling goes on from one to the next.

    Raises:
        AudioError: as `read`. What is found in the course of reading, truncation above all, comes after the last piece
            that can be read.
    """
    empty = True
    with open_source(path) as source:
        for block in resampled(_blocks(source, path, block_s=block_s), source.rate_hz, sample_rate_hz):
            empty = False
            yield block
    if empty:
        raise _empty(path)


def prepare_signal(signal: Array, config: AudioConfig) -> Array:
    """Play a signal as fast and bring its active speech to the level that the configuration asks for.

    Loudness tells the microphone's gain before it tells the emotion: in RAVDESS anger is 14 dB over neutral. Silence
    stays as it is.
    """
    if config.speed != 1:
        import soxr

        played = soxr.resample(signal, config.sample_rate_hz * config.speed, config.sample_rate_hz)
        signal = played if len(played) else signal  # a recording is never less than one sample
    level = speech_level_dbfs(signal, sample_rate_hz=config.sample_rate_hz)
    if config.level_dbfs is None or level < NO_SPEECH_DBFS:
        return signal
    scaled: Array = signal * np.float32(10 ** ((config.level_dbfs - level) / 20))
    return scaled


def speech_level_dbfs(signal: Array, *, sample_rate_hz: int = 16_000) -> float:
    """Root mean square level of the 50 ms frames within 30 dB of the loudest, in dB relative to full scale.

    >>> round(speech_level_dbfs(np.ones(16000, np.float32)), 1)
    0.0
    """
    n = max(1, round(_FRAME_S * sample_rate_hz))
    usable = len(signal) - len(signal) % n
    frames = signal[:usable].reshape(-1, n) if usable else signal[None]
    power = np.einsum("tn,tn->t", frames, frames, dtype=np.float64) / frames.shape[1]
    active = power[power >= power.max() * 10 ** (-_ACTIVE_DB / 10)]
    return float(10 * np.log10(active.mean() + _FLOOR_POWER))


def is_silent(signal: Array, *, sample_rate_hz: int = 16_000) -> bool:
    """Whether the loudest stretch is too faint to be speech.

    A constant offset is no sound: many sound cards add one, and 8-bit silence at 127 of 255 is one of -42 dB.
    """
    return speech_level_dbfs(signal - signal.mean(), sample_rate_hz=sample_rate_hz) < NO_SPEECH_DBFS


def _blocks(
    source: Source, path: Path, start_s: float | None = None, end_s: float | None = None, *, block_s: float = BLOCK_S
) -> Iterator[Array]:
    """Yield (n,) float32 of a stretch; nothing where it lies outside.

    Raises:
        AudioError: damaged, truncated, or with samples that are not numbers.
    """
    first = round((start_s or 0.0) * source.rate_hz)
    n_frames = None if end_s is None else round(end_s * source.rate_hz) - first
    if first < 0 or (n_frames is not None and n_frames <= 0):
        return
    for block in source.blocks(first, n_frames, block_frames(source, block_s)):
        if not np.isfinite(block).all():
            raise AudioError(f"{path} holds samples that are not numbers (NaN or infinite); export it again.")
        yield block


def resampled(blocks: Iterator[Array], from_hz: int, to_hz: int) -> Iterator[Array]:
    """Yield the blocks at another rate, as if they were one signal."""
    if from_hz == to_hz:
        yield from blocks
        return
    import soxr

    resampler = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    start: Array | None = None
    n_samples = 0
    for block in blocks:
        start = block[:1] if start is None else start
        part = resampler.resample_chunk(block)
        n_samples += len(part)
        if len(part):
            yield part
    if start is None:
        return
    rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(rest):
        yield rest
    elif not n_samples:  # a few samples at a high rate can become none at a low one: a recording is never less than one
        yield start


def _empty(path: Path) -> AudioError:
    return AudioError(f"{path} holds no samples (length 0 s); record or export it again.")
