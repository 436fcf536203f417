"""Memory, threads and standard streams of this process, and batches of bounded size."""

import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache

# As glibc's malloc.h numbers them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_LARGEST = 32 << 20  # bytes of the largest array that reuses memory: malloc's own limit
_KEPT = 256 << 20  # most bytes that are kept
_KERNELS = 64
_ROUNDS = 3000  # how many rounds a waiting OpenMP thread spins


def set_environment(*, few_kernels: bool) -> None:
    """Set how torch and numpy use memory and threads, in this process and those that it starts.

    It has an effect only before the libraries are imported. The user's settings are kept.

    On a CPU, oneDNN compiles kernels for each length of audio and keeps 1,024 of them, although lengths seldom repeat:
    100 MB after a few hundred clips. Recompiling has no measurable cost.

    GNU's OpenMP, which torch uses on Linux, lets a thread that waits for others spin 300,000 rounds. Where other
    programs need the processor, that delays the very thread that is waited for: training and predict took up to twenty
    times as long. With so few rounds, an idle machine loses 7 % at most.

    OpenBLAS, which numpy uses, rounds differently with each number of threads, so that features and transcripts would
    depend on the number of cores and of processes. For the small matrices here one thread is the fastest, too.

    Args:
        few_kernels: keep only the kernels of the last input lengths; not for trainings, which meet each in every epoch.
    """
    if few_kernels:
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS))
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_ROUNDS))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def keep_freed() -> None:
    """Let glibc's malloc keep the memory of freed arrays for the next ones.

    Otherwise it returns memory to the system and gets it back, cleared page by page, for each clip and each batch,
    which takes up to half of the time for computing features. Peak memory stays the same.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):  # musl's malloc has no such settings
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def like_length(lengths: Sequence[float], most: float) -> Iterator[list[int]]:
    """Yield batches of item indices, shortest items first, each with a padded size of at most `most`.

    Args:
        lengths: of the items.
        most: largest padded size, the longest item times the number of items; a longer item gets its own batch.

    >>> list(like_length([3, 1, 2, 9], 6))
    [[1, 2], [0], [3]]
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@cache
def open_closed() -> frozenset[str]:
    """Open what is closed of stdin, stdout and stderr on the null device, once a process; return their names.

    Otherwise the first file that this process or a child opens would get the stream's number, and what a library prints
    would be written into it. `sys.stdin` stays None: nothing can be read from it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            os.set_inheritable(number, True)
    closed = frozenset(name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None)
    for name in closed - {"stdin"}:
        setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open until the end
    return closed
