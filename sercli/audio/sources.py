"""Opening recordings: libsndfile first, which is quick and exact; PyAV for what libsndfile does not know."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from sercli._system.files import odd_name
from sercli.errors import AudioError
from sercli.types import Array

BLOCK_S = 20.0
"""Files are read in blocks, so that a header that lies about its length cannot ask for memory."""

_BLOCK_VALUES = 2**22  # most numbers in a block, whatever rate and channels a header claims
_RATES_HZ = range(1_000, 1_000_001)  # outside of these a header is damaged, and resampling could ask for any memory
_N_FRAMES_MAX = 2**40  # no recording is as long; what claims to be was written to a pipe or is damaged
_STEP_16_BITS = np.float32(2**-15)
# How libsndfile's log tells, for one format or another, that a file is shorter than its header says.
_CUT = re.compile(r"\b(?:data|Data Size|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")


class Source(Protocol):
    """A recording that is open. A frame is one sample of each channel; what is read is the mean of the channels."""

    @property
    def rate_hz(self) -> int:
        """Frames a second."""

    @property
    def n_channels(self) -> int:
        """Channels of the recording."""

    @property
    def n_frames(self) -> int | None:
        """Length by the header; None where it does not tell, or only guesses."""

    def blocks(self, first: int, n_frames: int | None, block: int) -> Iterator[Array]:
        """Yield (n,) float32, once, n about `block`.

        Args:
            first: the frame to begin with, 0 or more.
            n_frames: how many; None: to the end, which then has to be where the header says.
            block: frames to read at a time.

        Raises:
            AudioError: damaged or truncated.
        """


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file for reading.

    Raises:
        AudioError: missing, empty, truncated as far as its header tells, or not audio; the message names the file and
            what to do.
    """
    _check_file(path)
    found = _by_libsndfile(path)
    if isinstance(found, soundfile.SoundFile):
        with found:
            source = _SndFile(found, path)
            _check_rate(path, source.rate_hz)
            yield source
    else:
        from sercli.audio import containers  # PyAV takes its time to import

        with containers.open_container(path, found) as container:
            _check_rate(path, container.rate_hz)
            yield container


def block_frames(source: Source, block_s: float) -> int:
    """How many frames of a recording are read at a time: of about that length, and never too many to hold."""
    return max(1, min(int(block_s * source.rate_hz), _BLOCK_VALUES // max(1, source.n_channels)))


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise AudioError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; give a recording.")
        path.open("rb").close()  # libsndfile would say "System error" of a file that may not be read
    except PermissionError:
        raise AudioError(f"{path} cannot be read: Permission denied; change its permissions.") from None
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}; check the path.") from None
    if size == 0:
        raise AudioError(f"{path} is empty (0 bytes); record or export it again.")


def _check_rate(path: Path, rate_hz: int) -> None:
    if rate_hz not in _RATES_HZ:
        raise AudioError(f"{path} is damaged: its header says {rate_hz} samples a second; copy or export it again.")


def _by_libsndfile(path: Path) -> soundfile.SoundFile | str:
    """The open file, or why libsndfile cannot read it."""
    try:
        file = soundfile.SoundFile(path)
    except UnicodeEncodeError:
        raise AudioError(odd_name(path)) from None
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        return _reason(error)
    if file.frames > _N_FRAMES_MAX:
        file.close()
        return "it does not tell its length, as if written to a pipe"
    return file


class _SndFile:
    """What libsndfile reads."""

    def __init__(self, file: soundfile.SoundFile, path: Path) -> None:
        _check_header(file, path)
        self._file, self._path = file, path
        self.rate_hz: int = file.samplerate
        self.n_channels: int = file.channels
        self.n_frames: int = file.frames

    def blocks(self, first: int, n_frames: int | None, block: int) -> Iterator[Array]:
        """As `Source` says; short reads of exact formats are truncation."""
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
                yield part[:, 0] if part.shape[1] == 1 else part.mean(axis=1)
        # ValueError: what was decoded led behind the end, so that fewer than no frames are left.
        except (soundfile.LibsndfileError, ValueError) as error:
            raise AudioError(
                f"{self._path} is damaged or truncated ({_reason(error)}); copy or export it again."
            ) from None
        if n_frames is None and left > _tolerance(self._file):
            raise truncated(self._path, self.n_frames / self.rate_hz, (self.n_frames - left) / self.rate_hz)

    def _read(self, n_frames: int) -> Array:
        """(n, channels) float32. What has 16 bits is read as such: libsndfile takes three times as long to scale it."""
        if self._file.subtype != "PCM_16":
            decoded: Array = self._file.read(n_frames, dtype="float32", always_2d=True)
            return decoded
        scaled: Array = self._file.read(n_frames, dtype="int16", always_2d=True) * _STEP_16_BITS
        return scaled


def truncated(path: Path, promised_s: float, found_s: float) -> AudioError:
    """The error for a recording that ends before its header says."""
    return AudioError(
        f"{path} is truncated: {promised_s:.2f} s promised, {found_s:.2f} s found; copy or export it again."
    )


def _check_header(file: soundfile.SoundFile, path: Path) -> None:
    """Refuse what the header gives away.

    Libsndfile quietly shortens a file whose header claims more sound than it has; only its log tells.
    """
    for claimed, present in _CUT.findall(file.extra_info):
        if int(claimed) > int(present) and not _is_unknown_size(int(claimed)):
            raise AudioError(
                f"{path} is truncated: its header promises {claimed} bytes, the file holds {present}; "
                "copy or export it again."
            )
    if "Junk after the last page" in file.extra_info:
        raise AudioError(f"{path} is truncated: it ends in the middle of a page; copy or export it again.")


def _is_unknown_size(n_bytes: int) -> bool:
    """Whether a size stands for "not known": programs that write to a pipe put the largest number there, or one near.

    >>> [_is_unknown_size(n) for n in (0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFF000, 4_000_000_000)]
    [True, True, True, False]
    """
    return n_bytes < 2**32 and n_bytes & 0x7FFFF000 == 0x7FFFF000


def _reason(error: Exception) -> str:
    """What libsndfile says, without the punctuation around it."""
    text = str(getattr(error, "error_string", error))
    return text.strip().removeprefix("Error : ").rstrip(".")


def _tolerance(file: soundfile.SoundFile) -> float:
    """How many frames less than promised are no sign of truncation: any number, where the promise is an estimate."""
    if file.format == "MP3":
        counted = re.search(r"bitrate mode\s*: variable", file.extra_info)  # tells of a Xing header, which counts
        return 4 * 1152 if counted else math.inf
    return 0 if file.format in {"FLAC", "WAV", "WAVEX", "AIFF"} else math.inf
