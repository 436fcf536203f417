"""Threads of the numerical libraries. What is set here counts before these libraries are imported."""

import os

_ROUNDS = 3000


def configure() -> None:
    """Set how torch and numpy use threads, in this process and those that it starts; the user's settings stand.

    GNU's OpenMP, which torch uses on Linux, lets a thread that waits for others spin 300,000 rounds. Where other
    programs need the processor, that delays the very thread that is waited for: training and predict took up to twenty
    times as long. With so few rounds an idle machine loses a fourteenth at most.

    OpenBLAS, which numpy uses, rounds differently with each number of threads, so that features and transcripts would
    depend on the number of cores and of processes. For the small matrices here one thread is the fastest, too.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_ROUNDS))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
