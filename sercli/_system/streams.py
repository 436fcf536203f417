"""Standard streams that the caller closed, as in `ser predict clip.wav >&-`."""

import os
import sys
from functools import cache


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
