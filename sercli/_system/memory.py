"""How this process deals with memory that was freed, and with what is kept to be used again."""

import os
import sys
from functools import cache

# As glibc's malloc.h numbers them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_LARGEST = 32 << 20  # bytes of an array that comes from what is kept: more malloc does not allow
_KEPT = 256 << 20  # most bytes that are kept for the next array
_KERNELS = 64


def keep_few_kernels() -> None:
    """Let torch keep the kernels of the last lengths alone, in this process and in those that it starts.

    On a CPU its oneDNN makes kernels for each length of sound that comes along, and by itself keeps 1,024 of them for
    a next time that seldom comes: 100 MB after some hundred clips, lying about among the memory that is used again.
    Making them anew costs nothing that can be measured. It counts before torch has computed anything.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS))


@cache
def keep_freed() -> None:
    """Let malloc keep what arrays leave behind for the next ones, where it is glibc's.

    By itself it gives memory back to the system and fetches it again, emptied page by page, for each clip and each
    batch: up to half of the time that features take. Memory at its highest stays as high.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):  # musl's malloc has no such settings
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
