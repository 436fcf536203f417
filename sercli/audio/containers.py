"""Recordings that libsndfile does not know, decoded by PyAV (FFmpeg): m4a, mp4, mov, webm, mkv, aac, wma, amr, ..."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame, format_dtypes
from av.audio.stream import AudioStream
from av.container import InputContainer

from sercli._system.text import clock, parse_clock
from sercli.audio import segments
from sercli.audio.channels import regrouped
from sercli.audio.condition import speech_level_dbfs
from sercli.audio.soundfiles import JOINED, NO_LENGTH, n_mpeg_frames, no_samples, truncated
from sercli.errors import AudioError
from sercli.types import Array

_LATE_S = 0.5  # a recording that ends this much earlier than its header says is truncated; codecs pad and round by less
_GAPS_S = (0.1, 600.0)  # a time stamp gap of this length is a pause of the recorder; a longer one is an error
_SILENCE_S = 600.0  # silence may be inserted for this long, and for as long as there was sound before
_RUN_UP_S = 0.5  # decoding starts this long before the wanted part: the first frames after a seek are not exact
_PLAYLISTS = frozenset({"concat", "dash", "hls", "imf"})  # text files that name recordings
_RAW = re.compile(r"alaw|mulaw|vidc|[fsu](8|16|24|32|64)(le|be)?")  # formats by suffix alone, of an assumed sample rate
_SEEKABLE = frozenset({"mov", "matroska", "webm"})  # containers whose time stamps are still correct after a seek
_COUNTING = frozenset({"mov", "flac", "wv", "asf", "avi"})  # containers whose streams store their exact length
# How files of known containers begin: (offset, bytes).
_MAGIC = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1aE\xdf\xa3"), (0, b"0&\xb2u"))
# A title that is not UTF-8 must not make a recording unreadable; PyAV 19 and later ignore it by themselves.
_LENIENT: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}

LISTENED_S = 600.0
"""The beginning of a track that is listened to, to choose one."""

Listen = Callable[[Path, int], Iterator[Array]]
"""What can be read of `LISTENED_S` of a track of a file, by its number from 1, as blocks (n_samples,) at 16 kHz."""


@contextmanager
def open_container(
    path: Path, reason: str, track: int | None, remarks: list[str], listen: Listen
) -> Iterator["Container"]:
    """Yield a sound track of a file, open until the context ends.

    Args:
        path: a file that exists.
        reason: why libsndfile cannot read it.
        track: number of the sound track, from 1; None: the one flagged default, else the first with speech.
        remarks: gets a phrase where there are several tracks, or times are not those of the file.
        listen: reads a track of the file, to choose one by what is in it.

    Raises:
        AudioError: the file is damaged, has no such track, or is in a format that FFmpeg does not know.
    """
    with _opened(path, reason) as container:
        kinds = sorted({stream.type for stream in container.streams})
        if container.format.name in _PLAYLISTS or not kinds:
            raise _no_audio(path, reason)
        if not container.streams.audio:
            raise AudioError(f"{path} has no audio, only {' and '.join(kinds)}; give a recording with audio.")
        if _RAW.fullmatch(container.format.name):
            raise AudioError(f"{path} has no header, so its sample rate is not known; convert it to WAV or FLAC.")
        n_tracks = len(container.streams.audio)
        chosen = 1 if n_tracks == 1 and track is None else track
        if chosen is None:
            default, stat = av.stream.Disposition.default, path.stat()
            flagged = tuple(bool(stream.disposition & default) for stream in container.streams.audio)
            chosen, why = _choose(path, (stat.st_size, stat.st_mtime_ns), flagged, listen)
            remarks.append(f"{n_tracks} sound tracks: track {chosen}, {why}, is used; --track N takes another")
        elif not 1 <= chosen <= n_tracks:
            tell = "1 sound track" if n_tracks == 1 else f"{n_tracks} sound tracks"
            raise AudioError(f"{path} has {tell}, and track {chosen} is asked for; correct --track.")
        counted = reason not in (NO_LENGTH, JOINED)
        yield Container(path, container, container.streams.audio[chosen - 1], remarks, counted=counted)


def _opened(path: Path, reason: str) -> InputContainer:
    try:
        # The absolute path, because FFmpeg takes text before a colon for a protocol. Nothing is fetched from a network.
        options = {"protocol_whitelist": "file"}
        return av.open(str(path.absolute()), "r", options=options, **_LENIENT)
    except (av.FFmpegError, OSError, ValueError) as error:
        with path.open("rb") as file:
            head = file.read(16)
        if any(head[at:].startswith(magic) for at, magic in _MAGIC):  # damaged, and not another format
            raise _damaged(path, error) from None
        raise _no_audio(path, reason) from None


class Container:
    """A sound track of a container, by the container's own clock; it is read like a `SoundFile`."""

    def __init__(
        self, path: Path, container: InputContainer, stream: AudioStream, remarks: list[str], *, counted: bool
    ) -> None:
        if getattr(stream, "codec_context", None) is None:
            raise _unknown_form(path)
        self._path, self._container, self._stream, self._remarks = path, container, stream, remarks
        self._counted = counted
        self._kinds = frozenset(container.format.name.split(","))
        self._decoded = self._decode()
        # The headers of some codecs give half the rate or one channel less; a decoded frame has the true values.
        head = next(self._decoded, None)
        if head is None:
            raise no_samples(path)
        if head.format.name not in format_dtypes:
            raise _unknown_form(path)
        self._head = head
        self.rate_hz = head.sample_rate
        names = [channel.name for channel in head.layout.channels]
        self.n_channels = len(names)
        self.centre = names.index("FC") if len(names) > 2 and "FC" in names else None
        self._origin, late_s = _begin(container, stream, head)
        promised_s = _promised_s(path, container, stream, self.rate_hz, late_s) if counted else None
        # In Matroska some programs count from the beginning of the file, others from that of the track.
        self._slack_s = _LATE_S + (late_s if "matroska" in self._kinds else 0.0)
        self.n_frames = None if promised_s is None else round(promised_s * self.rate_hz)

    def blocks(self, first: int, n_frames: int | None, block: int) -> Iterator[Array]:
        """As `SoundFile.blocks`. In Matroska the start is exact to 1 ms, the resolution of its time stamps."""
        return regrouped(self._pieces(first, None if n_frames is None else first + n_frames), block)

    def _pieces(self, first: int, stop: int | None) -> Iterator[Array]:
        """Yield consecutive (n, n_channels) float32, with silence where nothing was recorded.

        Args:
            first: the frame to begin with.
            stop: the frame to end before; None: the last one is included.
        """
        at, frames = self._from(first)
        shift, budget = 0, _SILENCE_S * self.rate_hz  # frames of silence that were left out; that may be inserted
        for frame in frames:
            if frame.sample_rate != self.rate_hz:
                raise AudioError(f"{self._path} changes its sample rate in the middle; convert it to WAV or FLAC.")
            gap = self._position(frame, at + shift) - shift - at
            shortest, longest = (s * self.rate_hz for s in _GAPS_S)
            silence = gap if shortest < gap <= min(longest, budget) else 0
            if gap > shortest and not silence:
                shift += gap
                self._leap(at, gap)
            budget += frame.samples - silence
            for part in chain(self._silence(silence), [_samples(frame, self.n_channels)]):
                begin, at = at, at + len(part)
                if at > first:
                    yield part[max(0, first - begin) : None if stop is None else stop - begin]
                if stop is not None and at >= stop:
                    return
        if stop is None and self.n_frames is not None and at + shift < self.n_frames - self._slack_s * self.rate_hz:
            raise truncated(self._path, self.n_frames / self.rate_hz, at / self.rate_hz)

    def _leap(self, at: int, gap: int) -> None:
        """Remark once that the time stamps are not believed from here on."""
        if not any("its time stamps leap" in remark for remark in self._remarks):
            where, how_far = clock(at / self.rate_hz), clock(gap / self.rate_hz)
            self._remarks.append(
                f"its time stamps leap by {how_far} at {where}; they are not believed, so later times may be too early"
            )

    def _silence(self, n_frames: int) -> Iterator[Array]:
        """Yield zeros, a second at a time."""
        for at in range(0, n_frames, self.rate_hz):
            yield np.zeros((min(self.rate_hz, n_frames - at), self.n_channels), np.float32)

    def _from(self, first: int) -> tuple[int, Iterator[AudioFrame]]:
        """Return where decoding starts, at frame `first` or before, and the frames from there on."""
        ahead_s = first / self.rate_hz - _RUN_UP_S
        if ahead_s <= 0 or not self._kinds & _SEEKABLE or self._stream.time_base is None:
            return 0, chain([self._head], self._decoded)
        self._container.seek(self._origin + int(ahead_s / self._stream.time_base), stream=self._stream)
        frames = self._decode()
        head = next(frames, None)
        # Where nothing was recorded, the first frame found is later than the wanted part.
        return (0, iter(())) if head is None else (min(first, self._position(head, 0)), chain([head], frames))

    def _position(self, frame: AudioFrame, otherwise: int) -> int:
        """Return the first sample of a decoded frame by its time stamp; `otherwise` if it has none."""
        if frame.pts is None or self._stream.time_base is None:
            return otherwise
        return round((frame.pts - self._origin) * self._stream.time_base * self.rate_hz)

    def _decode(self) -> Iterator[AudioFrame]:
        try:
            for packet in self._container.demux(self._stream):
                # A broadcast starts and ends anywhere, and an unfinished file does not end with a whole packet.
                if packet.is_corrupt and self._counted and "mpegts" not in self._kinds:
                    raise AudioError(f"{self._path} is truncated: a packet is incomplete; copy or export it again.")
                if "mp3" in self._kinds and bytes(packet).startswith(b"ID3"):
                    continue  # the tag of a recording that was joined to the one before
                yield from packet.decode()
        except (av.FFmpegError, OSError, ValueError, IndexError) as error:  # IndexError: of a stream that begins later
            raise _damaged(self._path, error) from None


@lru_cache(maxsize=64)
def _choose(path: Path, identity: tuple[int, int], flagged: tuple[bool, ...], listen: Listen) -> tuple[int, str]:
    """Return the number of a track, from 1, and why: the one flagged default, else the first with speech.

    Many programs flag their first track, whatever is in it, so a flagged track that is silent is no choice.

    Args:
        path: a file with several sound tracks.
        identity: size and time of the file, so that another file of its name is listened to again.
        flagged: for each track whether it is flagged default.
        listen: reads a track.
    """
    if sum(flagged) == 1:
        default = flagged.index(True) + 1
        if any(speech_level_dbfs(block) >= segments.FAINTEST_DBFS for block in listen(path, default)):
            return default, "flagged default"
    for track in range(1, len(flagged) + 1):
        if any(segments.segments(listen(path, track))):
            return track, "the first with speech"
    return 1, "as none has speech in its first ten minutes"


def _begin(container: InputContainer, stream: AudioStream, head: AudioFrame) -> tuple[int, float]:
    """Return the time stamp of the container's first moment, and how many seconds later the track begins.

    Codecs begin a few milliseconds before or after that moment; then the track begins with it.
    """
    begins = head.pts or 0
    if container.start_time is None or stream.time_base is None:
        return begins, 0.0
    origin = round(container.start_time / 1_000_000 / stream.time_base)
    late_s = float((begins - origin) * stream.time_base)
    return (origin, late_s) if late_s > _GAPS_S[0] else (begins, 0.0)


def _promised_s(
    path: Path, container: InputContainer, stream: AudioStream, rate_hz: int, late_s: float
) -> float | None:
    """Return the length in the header; None for containers that only estimate it from the bit rate."""
    kinds = frozenset(container.format.name.split(","))
    if "mp3" in kinds and (n_frames := n_mpeg_frames(path)):
        return n_frames * (1152 if rate_hz >= 32_000 else 576) / rate_hz
    if kinds & _COUNTING and stream.duration and stream.time_base is not None:
        return late_s + float(stream.duration * stream.time_base)
    if "matroska" not in kinds:
        return None
    end_s = None
    if "DURATION" in stream.metadata:
        end_s = parse_clock(stream.metadata["DURATION"])
    elif len(container.streams) == 1 and container.duration:
        end_s = container.duration / 1_000_000
    return None if end_s is None else max(0.0, end_s - (container.start_time or 0) / 1_000_000)


def _samples(frame: AudioFrame, n_channels: int) -> Array:
    """Return (n, n_channels) float32 in [-1, 1]; where the number of channels has changed, each is their mean."""
    samples: Array = frame.to_ndarray()  # (channels, n), or (1, n * channels) interleaved
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, len(frame.layout.channels))
    if samples.dtype.kind in "ui":
        half = 2.0 ** (8 * samples.itemsize - 1)
        samples = (samples - half * (samples.dtype.kind == "u")) / half
    samples = samples.astype(np.float32, copy=False)
    return samples if samples.shape[1] == n_channels else samples.mean(axis=1, keepdims=True).repeat(n_channels, axis=1)


def _damaged(path: Path, error: Exception) -> AudioError:
    reason = getattr(error, "strerror", None) or error
    return AudioError(f"{path} is damaged, truncated, or joined of several ({reason}); copy or export it again.")


def _unknown_form(path: Path) -> AudioError:
    return AudioError(f"{path} holds audio in a format that cannot be decoded; convert it to WAV or FLAC.")


def _no_audio(path: Path, reason: str) -> AudioError:
    return AudioError(f"{path} cannot be read as audio ({reason}); convert it to WAV or FLAC.")
