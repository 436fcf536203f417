"""What a file is by its first bytes, whatever its name, and recordings that libsndfile decodes quickly and exactly."""

import io
import mmap
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from sercli._system.files import odd_name
from sercli.audio import ogg
from sercli.errors import AudioError
from sercli.types import Array

_N_FRAMES_MAX = 2**40  # no recording is longer; a file that claims more was written to a pipe or is damaged
_LEAST_BYTES = 1024  # a file of 0 samples and more bytes was never finished
_COUNTED = frozenset({"WAV", "WAVEX", "RF64"})
_EXACT = frozenset({"FLAC", "WAV", "WAVEX", "AIFF"})  # formats whose header gives the length, and not an estimate
_CENTRES = {"FLAC": 2, "OGG": 1}  # of formats whose channels have a fixed order
_STEP_16_BITS = np.float32(2**-15)
# Messages of libsndfile's log, one per format, that a file is shorter than its header says.
_CUT = re.compile(r"\b(?:data|Data Size|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")


NO_LENGTH = "its header gives no length"
"""The reason why libsndfile does not read a file that was written to a pipe or never finished."""

HEAD_BYTES = 4096

JOINED = "its joined streams are damaged"
"""The reason why libsndfile does not read a file of several streams one after the other."""

_FLAC_BEGINS = b"fLaC\x00\x00\x00\x22"  # magic and the header of the first block of metadata
_JOINED_SHARE = 1.5  # an MP3 this much longer than its header says is followed by another one
# By a format's first bytes: form and place of the numbers whose sum is the file's length, and what they do not count.
_ENDS = {
    b"RIFF": ("<I", 4, 8),
    b"RF64": ("<Q", 20, 8),
    b"riff": ("<Q", 16, 0),  # W64
    b"FORM": (">I", 4, 8),
    b".snd": (">II", 4, 0),
}
_LEAST_AFTER = 1024  # bytes after the end that the header gives; fewer are padding or a tag


def open_sound_file(path: Path, remarks: list[str]) -> "SoundFile | str":
    """Return the open file, which the caller closes, or the reason why libsndfile cannot read it.

    A file that is not returned is closed when it is collected.

    Args:
        path: a file that exists.
        remarks: gets a phrase where the length is unknown.

    Raises:
        AudioError: the header shows that the file is truncated, or its name is not UTF-8.
    """
    if odd := odd_name(path):
        raise AudioError(odd)
    try:
        file = soundfile.SoundFile(os.open(path, os.O_RDONLY))  # by its path, libsndfile would believe the suffix
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
        self.centre = _centre(file)
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
                if self._file.subtype == "PCM_16":  # scaled here, which libsndfile does three times as slowly
                    part = self._file.read(min(block, left), dtype="int16", always_2d=True) * _STEP_16_BITS
                else:
                    part = self._file.read(min(block, left), dtype="float32", always_2d=True)
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


def _centre(file: soundfile.SoundFile) -> int | None:
    """Return which channel, from 0, is the centre of surround sound; None: none, or the file does not say."""
    if file.format in _CENTRES:
        return _CENTRES[file.format] if file.channels > 2 and file.channels != 4 else None
    found = re.search(r"Channel Mask *: 0x(\w+)", file.extra_info)
    mask = int(found[1], 16) if found else 0
    return (mask & 0b11).bit_count() if mask & 0b100 and file.channels > 2 else None


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


def stand_in(head: bytes) -> str | None:
    """Return what a file is that stands in for a recording, and what to do about it; None: it may be a recording.

    Args:
        head: its first `HEAD_BYTES` bytes.

    >>> stand_in(b"version https://git-lfs.github.com/spec/v1")
    'is a git-lfs pointer, not the recording; run git lfs pull in its folder.'
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"version https://git-lfs", b"version https://hawser.")):
        return "is a git-lfs pointer, not the recording; run git lfs pull in its folder."
    if b"annex/objects/" in start[:200] and start[:1] in b"./":
        return "is a git-annex pointer, not the recording; run git annex get on it."
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<error")):
        return "is a web page or a server's message, not a recording; download it again, logged in if need be."
    if start.startswith(b'{"') and start.rstrip(b"\0 \r\n").endswith(b"}"):
        return "is a server's message (JSON), not a recording; download it again, logged in if need be."
    if start.startswith(b"bplist00") and b"nsurl" in start:
        return "is an iCloud placeholder, not the recording; open it once so that it is downloaded."
    if head and not head.strip(b"\0"):
        return "begins with zeros in place of a header: it was never downloaded or saved; get it again."
    return None


def ffmpeg_alone(path: Path, head: bytes) -> str | None:
    """Return why libsndfile must not read a file, though it would try; None: it may.

    It takes other formats for MP3, its decoder of MP3 writes on stderr, of joined streams it reads the first, and it
    reads what follows a W64 as samples.
    """
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return "its MPEG frames are damaged"
    if head[:4] == b"riff" and n_bytes_after_end(path, head):
        return JOINED
    if head[:4] == b"OggS" and ogg.has_several_streams(path):
        return JOINED
    if head[:4] == b"fLaC":
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return JOINED if content.find(_FLAC_BEGINS, 1) > 0 else None
    return None


def n_bytes_after_end(path: Path, head: bytes) -> int:
    """Return how many bytes follow the end of a recording by its header; 0 if few, or if its format does not say.

    They are there where recordings were joined, or the recorder stopped before it wrote the final length.
    """
    n_file = path.stat().st_size
    if head[:4] in _ENDS and head[8:12] != b"AVI ":  # of which each GB is a part of its own, all of them read
        form, at, n_before = _ENDS[head[:4]]
        end = sum(struct.unpack_from(form, head.ljust(HEAD_BYTES, b"\0"), at)) + n_before
    elif head[:4] == b"caff" or head[4:8] == b"ftyp":
        end = _next_begins(path, n_file, is_caf=head[:4] == b"caff")
    elif head[:4] in (b"FLV\x01", b"TTA1"):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            end = content.find(head[:13], 1) % (n_file + 1)  # -1, none, is the end of the file
    else:
        return 0
    n_after = n_file - end
    return n_after if end > HEAD_BYTES // 16 and n_after >= _LEAST_AFTER else 0


def _next_begins(path: Path, n_file: int, *, is_caf: bool) -> int:
    """Return where another recording begins in a CAF or MP4, which consist of parts with sizes; else the file's end."""
    begins = (b"caff", 0) if is_caf else (b"ftyp", 4)
    at = 0
    with path.open("rb") as file:
        while at < n_file:
            file.seek(at)
            part = file.read(16).ljust(16, b"\0")
            if at and part[begins[1] :].startswith(begins[0]):
                return at
            if is_caf:
                n_content = struct.unpack_from(">q", part, 4)[0] if at else -4
                n_part = 0 if n_content == -1 else 12 + n_content
            else:
                short, long = struct.unpack(">I4xQ", part)
                n_part = long if short == 1 else short
            if n_part < 8:  # it reaches to the end of the file
                break
            at += n_part
    return n_file


def n_mpeg_frames(path: Path) -> int | None:
    """Return how many frames a variable bit rate MP3 has by its header; None where it does not say or is joined."""
    with path.open("rb") as file:
        start = file.read(10)
        if start[:3] == b"ID3":  # its size is four times seven bits
            file.seek(10 + sum(byte << 7 * (3 - n) for n, byte in enumerate(start[6:10])))
            start = b""
        frame = start + file.read(250)
    at = frame.find(b"Xing")
    if at < 0 or len(frame) < at + 16 or frame[at + 7] & 3 != 3:
        return None
    n_frames, n_bytes = struct.unpack(">II", frame[at + 8 : at + 16])
    return n_frames if path.stat().st_size < _JOINED_SHARE * n_bytes else None
