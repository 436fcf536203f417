"""How the threads of one computation wait for each other."""

import os

_ROUNDS = 3000


def wait_briefly() -> None:
    """Let threads that wait for the others soon leave the processor, in this process and in those that it starts.

    GNU's OpenMP, which torch computes with on Linux, lets them spin 300,000 rounds by itself. Where other programs want
    the processor too, they spin away the very time that the one they wait for needs: training and predict took up to
    twenty times as long. With so many rounds a machine that has nothing else to do loses a fourteenth at most. It
    counts before torch is imported; what a person has set stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_ROUNDS))
