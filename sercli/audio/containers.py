"""Recordings that libsndfile does not know, decoded by PyAV (FFmpeg): m4a, mp4, mov, webm, mkv, aac, wma, amr, ..."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame, format_dtypes
from av.audio.stream import AudioStream
from av.container import InputContainer

from sercli._system.clock import parse_clock
from sercli.audio.sources import no_samples, truncated
from sercli.errors import AudioError
from sercli.types import Array

_LATE_S = 0.5  # a recording that ends this much earlier than its header says is truncated; codecs pad and round by less
_GAPS_S = (0.1, 600.0)  # a time stamp gap of this length is a pause of the recorder; a longer one is an error
_RUN_UP_S = 0.5  # decoding starts this long before the wanted part: the first frames after a seek are not exact
_PLAYLISTS = frozenset({"concat", "dash", "hls", "imf"})  # text files that name recordings
_SEEKABLE = frozenset({"mov", "matroska", "webm"})  # containers whose time stamps are still correct after a seek
_COUNTING = frozenset({"mov", "flac", "wv", "asf", "avi"})  # containers whose streams store their exact length
# How files of known containers begin: (offset, bytes).
_MAGIC = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1aE\xdf\xa3"), (0, b"0&\xb2u"))
# A title that is not UTF-8 must not make a recording unreadable; PyAV 19 and later ignore it by themselves.
_LENIENT: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}


@contextmanager
def open_container(path: Path, reason: str) -> Iterator["Container"]:
    """Yield the first audio stream of a file, open until the context ends.

    Args:
        path: a file that exists.
        reason: why libsndfile cannot read it.

    Raises:
        AudioError: the file is damaged, has no audio, or is in a format that FFmpeg does not know.
    """
    try:
        # The absolute path, because FFmpeg takes text before a colon for a protocol. Nothing is fetched from a network.
        options = {"protocol_whitelist": "file"}
        container = av.open(str(path.absolute()), "r", options=options, **_LENIENT)
    except (av.FFmpegError, OSError, ValueError) as error:
        if _looks_known(path):
            raise _damaged(path, error) from None
        raise _no_audio(path, reason) from None
    with container:
        yield Container(path, container, _first_audio(path, container, reason))


class Container:
    """A `Source` (see sources.py): the first audio stream of a container."""

    def __init__(self, path: Path, container: InputContainer, stream: AudioStream) -> None:
        self._path, self._container, self._stream = path, container, stream
        self._kinds = frozenset(container.format.name.split(","))
        self._decoded = self._decode()
        # The headers of some codecs give half the rate or one channel less; a decoded frame has the true values.
        head = next(self._decoded, None)
        if head is None:
            raise no_samples(path)
        if head.format.name not in format_dtypes:
            raise _unknown_form(path)
        self._head = head
        self._origin = head.pts or 0
        self.rate_hz = head.sample_rate
        self.n_channels = len(head.layout.channels)
        promised_s = _promised_s(container, stream, self._kinds)
        self.n_frames = None if promised_s is None else round(promised_s * self.rate_hz)

    def blocks(self, first: int, n_frames: int | None, block: int) -> Iterator[Array]:
        """See `Source`. In Matroska the start is exact to 1 ms, the resolution of its time stamps."""
        held: list[Array] = []
        n_held, left = 0, n_frames
        for piece in self._pieces(first, to_end=n_frames is None):
            part = piece[:left]
            held.append(part)
            n_held += len(part)
            if left is not None:
                left -= len(part)
            if n_held >= block or left == 0:
                yield np.concatenate(held)
                held, n_held = [], 0
            if left == 0:
                return
        if held:
            yield np.concatenate(held)

    def _pieces(self, first: int, *, to_end: bool) -> Iterator[Array]:
        """Yield consecutive (n,) float32 from frame `first` on, with silence where the recorder paused."""
        at, frames = self._from(first)
        for frame in frames:
            if frame.sample_rate != self.rate_hz:
                raise AudioError(f"{self._path} changes its sample rate in the middle; convert it to WAV or FLAC.")
            gap = self._position(frame, at) - at
            shortest, longest = (s * self.rate_hz for s in _GAPS_S)
            silence = gap if shortest < gap <= longest else 0
            for mono in chain(_silence(silence, self.rate_hz), [_mono(frame)]):
                at += len(mono)
                if at > first:
                    yield mono[max(0, first - at + len(mono)) :]
        if to_end and self.n_frames is not None and at < self.n_frames - _LATE_S * self.rate_hz:
            raise truncated(self._path, self.n_frames / self.rate_hz, at / self.rate_hz)

    def _from(self, first: int) -> tuple[int, Iterator[AudioFrame]]:
        """Return where decoding starts, at frame `first` or before, and the frames from there on."""
        ahead_s = first / self.rate_hz - _RUN_UP_S
        if ahead_s <= 0 or not self._kinds & _SEEKABLE or self._stream.time_base is None:
            return 0, chain([self._head], self._decoded)
        self._container.seek(self._origin + int(ahead_s / self._stream.time_base), stream=self._stream)
        frames = self._decode()
        head = next(frames, None)
        return (0, iter(())) if head is None else (self._position(head, 0), chain([head], frames))

    def _position(self, frame: AudioFrame, otherwise: int) -> int:
        """Return the first sample of a decoded frame by its time stamp; `otherwise` if it has none."""
        if frame.pts is None or self._stream.time_base is None:
            return otherwise
        return round((frame.pts - self._origin) * self._stream.time_base * self.rate_hz)

    def _decode(self) -> Iterator[AudioFrame]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt and "mpegts" not in self._kinds:  # a broadcast starts and ends anywhere
                    raise AudioError(f"{self._path} is truncated: a packet is incomplete; copy or export it again.")
                yield from packet.decode()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _damaged(self._path, error) from None


def _first_audio(path: Path, container: InputContainer, reason: str) -> AudioStream:
    kinds = sorted({stream.type for stream in container.streams})
    if container.format.name in _PLAYLISTS or not kinds:
        raise _no_audio(path, reason)
    if not container.streams.audio:
        raise AudioError(f"{path} has no audio, only {' and '.join(kinds)}; give a recording with audio.")
    stream = container.streams.audio[0]
    if getattr(stream, "codec_context", None) is None:
        raise _unknown_form(path)
    return stream


def _promised_s(container: InputContainer, stream: AudioStream, kinds: frozenset[str]) -> float | None:
    """Return the length in the header; None for containers that only estimate it from the bit rate."""
    if kinds & _COUNTING and stream.duration and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if "matroska" in kinds:
        if "DURATION" in stream.metadata:
            return parse_clock(stream.metadata["DURATION"])
        if len(container.streams) == 1 and container.duration:
            return container.duration / 1_000_000
    return None


def _mono(frame: AudioFrame) -> Array:
    """Return (n,) float32 in [-1, 1], the mean of the channels."""
    samples: Array = frame.to_ndarray()  # (channels, n), or (1, n * channels) interleaved
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    mean: Array = samples.mean(axis=0, dtype=np.float32 if samples.dtype == np.float32 else np.float64)
    if samples.dtype.kind == "u":
        mean -= 2 ** (8 * samples.itemsize - 1)
    if samples.dtype.kind in "ui":
        mean /= 2 ** (8 * samples.itemsize - 1)
    return mean.astype(np.float32, copy=False)


def _silence(n_frames: int, rate_hz: int) -> Iterator[Array]:
    """Yield zeros, a second at a time."""
    for at in range(0, n_frames, rate_hz):
        yield np.zeros(min(rate_hz, n_frames - at), np.float32)


def _looks_known(path: Path) -> bool:
    """Return whether a file begins like a known container, so that it is damaged rather than another format."""
    with path.open("rb") as file:
        head = file.read(16)
    return any(head[at:].startswith(magic) for at, magic in _MAGIC)


def _damaged(path: Path, error: Exception) -> AudioError:
    reason = getattr(error, "strerror", None) or error
    return AudioError(f"{path} is damaged or truncated ({reason}); copy or export it again.")


def _unknown_form(path: Path) -> AudioError:
    return AudioError(f"{path} holds audio in a format that cannot be decoded; convert it to WAV or FLAC.")


def _no_audio(path: Path, reason: str) -> AudioError:
    return AudioError(f"{path} cannot be read as audio ({reason}); convert it to WAV or FLAC.")
