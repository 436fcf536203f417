"""A dask cluster on this machine, and work for it that workers can import."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from sercli._system import processes

ROOT = Path(__file__).parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def free_port():
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Dask:
    """A scheduler and its workers, processes of this machine; which end with `end`."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.workers = []
        self.start_scheduler()

    def _start(self, module, *words, **env):
        path = os.pathsep.join(filter(None, [env.pop("first", ""), str(ROOT), str(ROOT / "tests")]))
        # A task may end one worker in vain, not three, before it is given up.
        env |= {"PYTHONPATH": path, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        with (self.folder / "log").open("a") as log:
            command = [sys.executable, "-m", f"distributed.cli.{module}", *map(str, words), "--no-dashboard"]
            return subprocess.Popen(command, env={**os.environ, **ONE_THREAD, **env}, cwd=self.folder, stderr=log)

    def start_scheduler(self):
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", self.port)

    def start_worker(self, *words, **env):
        # Without its nanny a worker starts in half of the time, and what kills it is not undone.
        words = ["--nthreads", 1, "--no-nanny", "--host", "127.0.0.1", *words]
        worker = self._start("dask_worker", self.address, *words, **env)
        self.workers.append(worker)
        return worker

    def ready(self, n):
        """Have so many workers; return the address."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for _ in range(n - len(self.workers)):
            self.start_worker()
        self.wait_for(len(self.workers))
        return self.address

    def wait_for(self, n):
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            while len(client.nthreads()) != n:
                time.sleep(0.05)

    def end(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def die(path):
    """End the worker."""
    os._exit(1)


def die_once(path):
    """End the worker that does this first; return the process of the one that does it again."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return os.getpid()
    os._exit(1)


def halves(n):
    """Report half of a number, then the other half."""
    processes.report(n / 2, 1)
    processes.report(n / 2, 1)
    return str(Path.cwd()), n


def last(seconds):
    """Go on for a time, and look now and then whether somebody waits; return the process."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
        processes.go_on()
    return os.getpid()


def kill(pid):
    """End a process, such as the scheduler, and stay busy."""
    os.kill(pid, signal.SIGKILL)
    time.sleep(60)


def last_of(seconds):
    """Return how long it took."""
    time.sleep(seconds)
    return seconds
