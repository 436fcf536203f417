"""The processes that a test started, as the operating system sees them.

`multiprocessing.active_children` alone can list a process that has ended: one that another thread waited for and has
not yet recorded as ended.
"""

import os
import time
from multiprocessing import active_children
from pathlib import Path


def living():
    """The ids of the running processes that this one started."""
    return {process.pid for process in active_children() if alive(process.pid)}


def alive(pid):
    """Whether a process runs; where the system has /proc, a zombie does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError as error:
        return isinstance(error, FileNotFoundError) and not Path("/proc/self/stat").exists()


def ended(pids):
    """Whether all of these processes end within 20 s."""
    end = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))
