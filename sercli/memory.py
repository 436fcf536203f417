"""How this process deals with memory that was freed."""

import ctypes
import sys
from functools import cache

# As glibc's malloc.h numbers them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_LARGEST = 32 << 20  # bytes of an array that comes from what is kept: more malloc does not allow
_KEPT = 256 << 20  # most bytes that are kept for the next array


@cache
def keep_freed() -> None:
    """Let malloc keep what arrays leave behind for the next ones, where it is glibc's.

    By itself it gives memory back to the system and fetches it again, emptied page by page, for each clip and each
    batch: up to half of the time that features take. Memory at its highest stays as high.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):  # musl's malloc has no such settings
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
