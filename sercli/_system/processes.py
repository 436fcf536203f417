"""Pools of worker processes, which report their progress while they work."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from itertools import islice
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import SynchronizedArray
from typing import TypeVar

from sercli.errors import SerError

T = TypeVar("T")
R = TypeVar("R")
OnReport = Callable[[float, int], None]
"""Called with work that was done since the last call, and the stage that it belongs to."""

_LOOK_S = 0.2  # from one look at what processes report to the next
_AHEAD = 64  # blocks of items that wait for each process, so that a slow one does not keep the others idle


@contextmanager
def pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield an executor whose processes end with the context, at once if it is interrupted: file writes are atomic.

    Each computes on one core, leaves Ctrl-C to its parent process, and ends with its parent even if that is killed.
    Inside `shared` they are kept for the next pool.
    """
    held = _held[0] if _held else _Processes(jobs)
    try:
        held.start()
        yield held.executor
    except BaseException:
        held.end()
        if _held:
            _held.clear()
        raise
    if _held is None:
        held.executor.shutdown()
    elif not _held:
        _held.append(held)


def report(done: float, stage: int = 0) -> None:
    """Report work as done to `mapped` or `result`, from any process.

    Args:
        done: since the last call.
        stage: that the work belongs to, below 16.
    """
    if done:
        _reported(done, stage)


def result(future: Future[R], on_report: OnReport) -> R:
    """Return the result of work in a pool; until then pass on what the processes report."""
    waiting = True
    while waiting:
        waiting = bool(wait([future], _LOOK_S).not_done)
        for stage, done in enumerate(_counters().get_obj()):
            if done > _passed_on[stage]:
                on_report(done - _passed_on[stage], stage)
                _passed_on[stage] = done
    return future.result()


def mapped(
    function: Callable[[T], R],
    items: Iterable[T],
    jobs: int,
    *,
    killed: str,
    chunksize: int = 1,
    ahead: int = _AHEAD,
    on_report: OnReport | None = None,
) -> Generator[R, None, None]:
    """Yield a function's result for each item, in order, computed by `jobs` processes.

    Close the generator, for example with `closing`, so that the processes end if the work is interrupted.

    Args:
        function: defined at module level, because other processes must be able to import it.
        items: its arguments, read only a little ahead of the processes.
        jobs: number of processes; 1: the work is done in this process.
        killed: the error message if one of them was killed.
        chunksize: items in a block, which a process takes at once.
        ahead: blocks that wait for each process.
        on_report: gets what the function reports while it works.

    Raises:
        SerError: a process was killed.
    """
    if jobs < 2:
        yield from map(partial(_reporting, on_report or _ignored, function), items)
        return
    try:
        with pool(jobs) as executor:
            remaining = iter(items)
            blocks = iter(lambda: list(islice(remaining, chunksize)), [])
            coming = (executor.submit(_each, function, block) for block in blocks)
            waiting = deque(islice(coming, jobs * ahead))
            while waiting:
                done = result(waiting.popleft(), on_report or _ignored)
                waiting.extend(islice(coming, 1))
                yield from done
    except BrokenProcessPool:
        raise SerError(killed) from None


@contextmanager
def shared() -> Iterator[None]:
    """Let all stages of a command use the first one's pool, so that processes start and import only once."""
    global _held
    _held = []
    try:
        yield
        for held in _held:
            held.executor.shutdown()
    except BaseException:
        for held in _held:
            held.end()
        raise
    finally:
        _held = None


def start(jobs: int, *, needs: str) -> None:
    """Inside `shared`: start the processes before there is work for them.

    Args:
        jobs: how many.
        needs: the module that each process imports when it starts.
    """
    if _held == []:
        _held.append(_Processes(jobs, needs))
        _held[0].start()


class _Processes:
    """The processes of a pool, as many as jobs, started together."""

    def __init__(self, jobs: int, needs: str | None = None) -> None:
        self.executor = ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(needs, _counters())
        )
        self._jobs = jobs
        self._before: set[BaseProcess] | None = None  # processes that are not of this pool; None: not started

    def start(self) -> None:
        """Start the processes; further calls do nothing."""
        if self._before is not None:
            return
        self._before = set(active_children())
        with ctrl_c_blocked():
            for _ in range(self._jobs):  # each call starts one process, because the earlier ones are not ready yet
                self.executor.submit(os.getpid)

    def end(self) -> None:
        """Terminate the processes at once, even if they are busy."""
        begun = set(active_children()) - (self._before or set())
        for process in begun:
            process.terminate()
        for process in begun:
            process.join()
        # The executor's thread may be reading a result that a process has sent only in part. It sees the end of the
        # pipe once nobody holds the other end, which this process holds, too; no public call closes it.
        results = getattr(self.executor, "_result_queue", None)
        if results is not None:
            results._writer.close()
        # Wait for it: Python cannot shut down properly while that thread is ending.
        self.executor.shutdown(cancel_futures=True)


_held: list[_Processes] | None = None  # the pool that `shared` keeps, once there is one; None outside of `shared`


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Shield processes that start in this context from Ctrl-C, even while they import; here it is only delayed."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    # A signal that is blocked here is blocked in processes that start here. A thread of some library may get it
    # instead, and then the handler is called all the same.
    resource_tracker.ensure_running()  # if the first process started it, it would unblock the signal
    received: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
        if received and callable(handler):
            handler(signal.SIGINT, None)


def end_with_first() -> None:
    """End this process when its parent ends, even if the parent is killed."""
    threading.Thread(target=_await_first, daemon=True).start()


def _each(function: Callable[[T], R], block: list[T]) -> list[R]:
    return [function(item) for item in block]


def _reporting(on_report: OnReport, function: Callable[[T], R], item: T) -> R:
    """Return a function's result; what it reports meanwhile stays in this process."""
    global _reported
    before, _reported = _reported, on_report
    try:
        return function(item)
    finally:
        _reported = before


def _ignored(done: float, stage: int) -> None:
    """Nobody waits for what is reported."""


_reported: OnReport = _ignored
_passed_on = [0.0] * 16  # of what processes reported, by stage


@cache
def _counters() -> "SynchronizedArray[float]":
    """Return what the processes of all pools have reported, by stage."""
    return get_context("spawn").Array("d", len(_passed_on))


def _count(counters: "SynchronizedArray[float]", done: float, stage: int) -> None:
    with counters.get_lock():
        counters[stage] += done


def _begin(needs: str | None, counters: "SynchronizedArray[float]") -> None:
    global _reported
    _reported = partial(_count, counters)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; later it has no effect
    end_with_first()
    if needs is not None:
        import_module(needs)


def _await_first() -> None:
    first = parent_process()
    assert first is not None
    first.join()
    os._exit(1)
