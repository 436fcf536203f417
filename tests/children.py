"""The processes that a test began, as the system sees them.

`multiprocessing.active_children` alone can count one that has ended: another thread has waited for it and has yet to
note that.
"""

import os
import time
from multiprocessing import active_children
from pathlib import Path


def living():
    """Numbers of the processes that this one began and that still run."""
    return {process.pid for process in active_children() if alive(process.pid)}


def alive(pid):
    """Whether a process runs; one that ended and was not waited for does not, where the system has a /proc."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError as error:
        return isinstance(error, FileNotFoundError) and not Path("/proc/self/stat").exists()


def ended(pids):
    """Whether processes have ended within 20 s."""
    end = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))
