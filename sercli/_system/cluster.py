"""The workers of a dask cluster, to which `processes.mapped` gives its work.

They share a file system with the command. Work travels as bytes, which a worker reads only after it has found that its
version of ser is the command's; the scheduler never reads them. What the work reports comes back with its results.
"""

import logging
import os
import pickle
import signal
import socket
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sercli import __version__
from sercli._system import limits, locks, packages, processes
from sercli.errors import SerError, reason

if TYPE_CHECKING:
    from distributed import Client, Worker

T = TypeVar("T")
R = TypeVar("R")
Reports = dict[int, float]
"""Work that was reported as done, by stage."""

_CONNECT_S = 10.0
_COUNT_S = 2.0  # from one count of the workers to the next
_LOCKED_S = 120.0  # a worker that was given up stops at its next report; NFS keeps the locks of a dead machine 90 s
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Cluster:
    """The workers of a scheduler."""

    def __init__(self, client: "Client", where: str) -> None:
        """Refuse workers that cannot do the work as this process would.

        Raises:
            SerError: as `check`, or there is no worker yet, and nobody who starts one.
        """
        self._client, self._where, self._folder = client, where, str(Path.cwd())
        self._connection = client.scheduler_comm
        self._n_workers, self._counted_s = 1, 0.0
        found = client.run(check, __version__, self._folder, on_error="return")
        for address, error in found.items():
            if isinstance(error, BaseException):
                raise self._named(error, f"The worker {address}")
        if not found and not where.startswith("slurm:"):
            raise SerError(f"{where} has no workers; start some: dask worker {where} --nthreads 1 --nworkers N.")

    def check_reachable(self) -> None:
        """Raise SerError where the scheduler was lost: dask forgets a result that it was just about to fetch."""
        if self._client.scheduler_comm is not self._connection:
            raise self._lost()

    @contextmanager
    def pool(self) -> Iterator[processes.Submit]:
        """Yield what gives work to the workers; at the end of the context, work that is left is cancelled."""
        executor = self._client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        try:
            yield partial(self._submit, executor)
        finally:
            executor.shutdown(wait=False)

    @property
    def n_workers(self) -> int:
        """The number of workers, which may change."""
        if time.monotonic() - self._counted_s > _COUNT_S and self._client.status == "running":
            threads = self._client.nthreads()  # type: ignore[no-untyped-call]
            self._n_workers, self._counted_s = max(1, len(threads)), time.monotonic()
        return self._n_workers

    def _submit(self, executor: Executor, function: Callable[[T], R], block: list[T]) -> "Future[list[R]]":
        """Return the future results of a function for each item of a block; its reports are counted as they come."""
        results: Future[list[R]] = Future()

        def done(task: "Future[tuple[list[R], Reports]]") -> None:
            try:
                answers, reports = task.result()
            except (Exception, CancelledError) as error:
                results.set_exception(self._named(error, "The scheduler or a worker"))
                return
            for stage, amount in reports.items():
                processes.count(amount, stage)
            results.set_result(answers)

        work = zlib.compress(pickle.dumps((function, block)), 1)
        task: Future[tuple[list[R], Reports]] = executor.submit(_run, __version__, self._folder, sys.argv, work)
        task.add_done_callback(done)
        return results

    def _named(self, error: BaseException, who: str) -> BaseException:
        """Return the error that says what to do."""
        if isinstance(error, CancelledError):
            return self._lost()
        if type(error).__name__ == "KilledWorker":
            return BrokenProcessPool()
        if isinstance(error, ImportError) and "sercli" in str(error):
            return SerError(f"{who} cannot load ser {__version__} ({error}); install it there, then start it again.")
        return error

    def _lost(self) -> SerError:
        return SerError(
            f"The scheduler {self._where} has ended or lost the work; once it runs again, the same command goes on "
            "from there (ser predict: with --out and --skip-done)."
        )


@contextmanager
def connected(where: str | None, jobs: int | None) -> Iterator[None]:
    """Let the workers of the cluster that `--cluster` names do the work of `processes.mapped` inside the context.

    Args:
        where: tcp://HOST:PORT, a dask scheduler; slurm:FILE, to start one here and its workers as jobs of Slurm; None:
            no cluster.
        jobs: workers to start, for Slurm.

    Raises:
        SerError: dask is not installed, `where` is none of these, nothing answers, or a worker cannot do the work.
    """
    if where is None:
        yield
        return
    kind, _, file = where.partition(":")
    if kind not in ("tcp", "tls", "slurm"):
        raise SerError(f"--cluster {where}: give tcp://HOST:8786, the address of a dask scheduler, or slurm:FILE.")
    if (jobs is None) == (kind == "slurm"):
        raise SerError(
            f"--cluster {where} needs --jobs, the number of workers to start."
            if jobs is None
            else f"--jobs {jobs} does nothing with --cluster {where}, whose workers run already; leave it out."
        )
    distributed = packages.load("distributed", "cluster")
    for name in ("distributed", "distributed.client"):  # what counts is raised
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as until_the_end:
        address = until_the_end.enter_context(_slurm(Path(file), jobs or 1)) if kind == "slurm" else where
        try:
            client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError):
            raise SerError(f"--cluster {where}: no scheduler answers there; start one: dask scheduler.") from None
        until_the_end.enter_context(client)
        until_the_end.enter_context(processes.elsewhere(Cluster(client, where)))
        yield


def check(version: str, folder: str, dask_worker: "Worker | None" = None) -> None:
    """Refuse to work for a command, in a worker that would not compute the same.

    Args:
        version: of the command's ser.
        folder: in which the command was started.
        dask_worker: this worker, which dask sets outside of tasks.

    Raises:
        SerError: it has another version of ser, several threads, or no such folder.
    """
    from distributed import get_worker

    worker = dask_worker or get_worker()
    who = f"The worker {worker.name} on {socket.gethostname()}"
    if version != __version__:
        raise SerError(
            f"{who} has ser {__version__}, and this is ser {version}; install that there and start it again."
        )
    if worker.state.nthreads != 1 or any(os.environ.get(name) != "1" for name in _ONE_THREAD):
        raise SerError(f"{who} computes with several threads; start it again with --nthreads 1 and --nanny.")
    if not Path(folder).is_dir():
        raise SerError(f"{who} has no folder {folder}; start ser in a folder that all machines share.")
    limits.set_environment(few_kernels=True)


def _run(version: str, folder: str, command: list[str], work: bytes) -> tuple[list[Any], Reports]:
    """Do work in a worker; return its results and what it reported, by stage."""
    from distributed import get_worker

    check(version, folder)
    os.chdir(folder)  # paths are as in the command
    sys.argv = command  # which runs note
    worker = get_worker()
    task = worker.state.tasks[worker.get_current_task()]
    reports: defaultdict[int, float] = defaultdict(float)

    def collect(done: float, stage: int) -> None:
        if task.state != "executing" or worker.status.name not in ("running", "paused"):
            raise CancelledError  # the command has ended, or takes this worker for dead
        reports[stage] += done

    function, block = pickle.loads(zlib.decompress(work))
    return [processes.reporting(collect, lambda item: _patiently(function, item), item) for item in block], dict(
        reports
    )


def _patiently(function: Callable[[T], R], item: T) -> R:
    """Return a function's result for an item, which may still be locked by a worker that was given up."""
    end_s = time.monotonic() + _LOCKED_S
    while True:
        try:
            return function(item)
        except locks.HeldError:
            if time.monotonic() > end_s:
                raise
            time.sleep(1)


@contextmanager
def _slurm(file: Path, jobs: int) -> Iterator[str]:
    """Yield the address of a scheduler here, whose workers run as jobs of Slurm until the context ends.

    Raises:
        SerError: the file cannot be read, lacks settings, or Slurm refuses the job.
    """
    usual = signal.getsignal(signal.SIGINT)
    dask_jobqueue = packages.load("dask_jobqueue", "cluster")
    signal.signal(signal.SIGINT, usual)  # which that import replaces by a silent exit
    import dask.config

    if not file.is_file():
        raise SerError(f"--cluster slurm:{file}: there is no such file; give one with the settings of dask-jobqueue.")
    try:
        for settings in dask.config.collect_yaml([str(file)]):
            dask.config.update(dask.config.global_config, settings)
        cluster = dask_jobqueue.SLURMCluster()
        cluster.scale(jobs)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        why = reason(error).removesuffix(", for example:")
        raise SerError(f"--cluster slurm:{file}: {why}; correct its section jobqueue: slurm:.") from None
    with cluster:
        yield cluster.scheduler_address
