"""Recordings that libsndfile decodes: WAV, FLAC, Ogg, MP3, AIFF and others, quickly and exactly."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from sercli._system.files import odd_name
from sercli.errors import AudioError
from sercli.types import Array

_N_FRAMES_MAX = 2**40  # no recording is longer; a file that claims more was written to a pipe or is damaged
_LEAST_BYTES = 1024  # a file of 0 samples and more bytes was never finished
_COUNTED = frozenset({"WAV", "WAVEX", "RF64"})
_EXACT = frozenset({"FLAC", "WAV", "WAVEX", "AIFF"})  # formats whose header gives the length, and not an estimate
_STEP_16_BITS = np.float32(2**-15)
# Messages of libsndfile's log, one per format, that a file is shorter than its header says.
_CUT = re.compile(r"\b(?:data|Data Size|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")


NO_LENGTH = "its header gives no length"
"""The reason why libsndfile does not read a file that was written to a pipe or never finished."""


def open_sound_file(path: Path, remarks: list[str]) -> "SoundFile | str":
    """Return the open file, which the caller closes, or the reason why libsndfile cannot read it.

    A file that is not returned is closed when it is collected.

    Args:
        path: a file that exists.
        remarks: gets a phrase where the length is unknown.

    Raises:
        AudioError: the header shows that the file is truncated, or its name is not UTF-8.
    """
    try:
        file = soundfile.SoundFile(path)
    except UnicodeEncodeError:
        raise AudioError(odd_name(path)) from None
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        return _reason(error)
    unfinished = file.frames == 0 and file.format in _COUNTED and path.stat().st_size > _LEAST_BYTES
    if file.frames > _N_FRAMES_MAX or unfinished:
        return NO_LENGTH
    _check_header(file, path, remarks)
    return SoundFile(file, path)


class SoundFile:
    """An open recording. A frame is one sample of each channel."""

    def __init__(self, file: soundfile.SoundFile, path: Path) -> None:
        self._file, self._path = file, path
        self.rate_hz: int = file.samplerate
        self.n_channels: int = file.channels
        self.n_frames: int = file.frames
        self.close = file.close

    def blocks(self, first: int, n_frames: int | None, block: int) -> Iterator[Array]:
        """Yield blocks (n, n_channels) float32 with n about `block`. It can be called only once.

        Args:
            first: the frame to begin with, 0 or more.
            n_frames: how many frames; None: up to the end.
            block: frames to read at a time.

        Raises:
            AudioError: damaged, or truncated in a format whose header gives the exact length.
        """
        left = self.n_frames - first if n_frames is None else n_frames
        if first >= self.n_frames:
            return
        try:
            if first:
                self._file.seek(first)
            while left > 0:
                part = self._read(min(block, left))
                if not len(part):
                    break
                left -= len(part)
                yield part
        except (soundfile.LibsndfileError, ValueError) as error:  # ValueError: the decoder is past the end
            raise AudioError(
                f"{self._path} is damaged or truncated ({_reason(error)}); copy or export it again."
            ) from None
        if n_frames is None and left > 0 and self._file.format in _EXACT:
            raise truncated(self._path, self.n_frames / self.rate_hz, (self.n_frames - left) / self.rate_hz)

    def _read(self, n_frames: int) -> Array:
        """Return (n, channels) float32; 16-bit samples are scaled here, which libsndfile does three times as slowly."""
        if self._file.subtype != "PCM_16":
            return self._file.read(n_frames, dtype="float32", always_2d=True)
        return self._file.read(n_frames, dtype="int16", always_2d=True) * _STEP_16_BITS


def as_mp3(signal: Array, rate_hz: int) -> bytes:
    """A signal (n_samples,) as an MP3, which every browser plays."""
    content = io.BytesIO()
    soundfile.write(content, signal, rate_hz, format="MP3", compression_level=0.9)  # 0 to 1; about 32 kbit/s
    return content.getvalue()


def _check_header(file: soundfile.SoundFile, path: Path, remarks: list[str]) -> None:
    """Raise if the header shows that the file is truncated.

    Libsndfile silently shortens a file whose header claims more samples than it holds; only its log says so.
    """
    for claimed, present in _CUT.findall(file.extra_info):
        unfinished = f"{NO_LENGTH}: read to the end of the file, which may be unfinished"
        if _is_unknown_size(int(claimed)):
            remarks += [] if unfinished in remarks else [unfinished]
        elif int(claimed) > int(present):
            raise AudioError(
                f"{path} is truncated: its header promises {claimed} bytes, the file holds {present}; "
                "copy or export it again."
            )
    if "Junk after the last page" in file.extra_info:
        raise AudioError(f"{path} is truncated: it ends in the middle of a page; copy or export it again.")


def _is_unknown_size(n_bytes: int) -> bool:
    """Return whether a size means "unknown": programs that write to a pipe write the largest number, or one near it.

    >>> [_is_unknown_size(n) for n in (0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFF000, 4_000_000_000)]
    [True, True, True, False]
    """
    return n_bytes < 2**32 and n_bytes & 0x7FFFF000 == 0x7FFFF000


def _reason(error: Exception) -> str:
    """Return libsndfile's message without the punctuation around it."""
    text = str(getattr(error, "error_string", error))
    return text.strip().removeprefix("Error : ").rstrip(".")


def truncated(path: Path, promised_s: float, found_s: float) -> AudioError:
    """Return the error for a recording that ends earlier than its header says."""
    return AudioError(
        f"{path} is truncated: {promised_s:.2f} s promised, {found_s:.2f} s found; copy or export it again."
    )


def no_samples(path: Path) -> AudioError:
    """Return the error for a recording of length 0."""
    return AudioError(f"{path} holds no samples (length 0 s); record or export it again.")
