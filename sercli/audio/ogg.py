"""The pages of an Ogg file: decoders skip damaged ones in silence, so that all times after them are early."""

import mmap
import struct
import zlib
from functools import lru_cache
from pathlib import Path

from sercli.errors import AudioError

_N_HEADER = 27  # bytes, before the sizes of the page's segments
_BEGINS = 2  # bit of a page's header: it is the first of its stream
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def has_several_streams(path: Path) -> bool:
    """Return whether another stream begins after the first one, in a file that is whole.

    It may begin in the middle of a broadcast, after its header.

    Raises:
        AudioError: a page is damaged or missing; naming the share of the file that is before it.
    """
    stat = path.stat()
    return _walk(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=16)  # a table may list a thousand stretches of one recording
def _walk(path: Path, _size: int, _mtime_ns: int) -> bool:
    numbers: dict[int, int] = {}  # of the last page of each stream
    at, several = 0, False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while at + _N_HEADER <= len(content):
            position, serial, number, checksum = struct.unpack_from("<qIII", content, at + 6)
            n_segments = content[at + 26]
            end = at + _N_HEADER + n_segments + sum(content[at + _N_HEADER : at + _N_HEADER + n_segments])
            if end > len(content) and content[at : at + 4] == b"OggS":  # it is cut, which others tell
                break
            page = content[at : at + 22] + bytes(4) + content[at + 26 : end]
            is_header = position == 0  # at the beginning, or at that of the next of several joined recordings
            expected = number if is_header else numbers.get(serial, number - 1) + 1
            if page[:4] != b"OggS" or _checksum(page) != checksum or number != expected:
                raise AudioError(
                    f"{path} is damaged after {at / len(content):.0%} of its bytes (an Ogg page is broken or missing); "
                    "copy or export it again."
                )
            if is_header:
                numbers.pop(serial, None)
            else:
                numbers[serial] = number
            several = several or (at > 0 and bool(content[at + 5] & _BEGINS))
            at = end
    return several


def _checksum(page: bytes) -> int:
    """Return Ogg's checksum of a page whose own is 0: zlib's, with all bits the other way round, from 0."""
    return int(f"{zlib.crc32(page.translate(_REVERSED), 2**32 - 1) ^ (2**32 - 1):032b}"[::-1], 2)
