"""Pools of worker processes, here or on other machines, which report their progress while they work."""

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from itertools import chain, islice
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import SynchronizedArray
from typing import Protocol, TypeVar

from sercli._system.progress import nothing
from sercli.errors import SerError

T = TypeVar("T")
R = TypeVar("R")
OnReport = Callable[[float, int], None]
"""Called with work that was done since the last call, and the stage that it belongs to."""

FEWER = "fewer --jobs, or more memory for each worker of --cluster"
"""What may help if processes are killed for want of memory."""

_LOOK_S = 0.2  # from one look at what processes report to the next
_AHEAD = 64  # blocks of items that wait for each process, so that a slow one does not keep the others idle


class Submit(Protocol):
    """Gives a block of work to a process."""

    def __call__(self, function: Callable[[T], R], block: list[T], /) -> "Future[list[R]]":
        """Return the future results of a function for each item; BrokenProcessPool: the process was killed."""


class Workers(Protocol):
    """Processes on other machines."""

    @property
    def n_workers(self) -> int:
        """Their number, which may change."""

    def check_reachable(self) -> None:
        """Raise SerError where what was submitted will never be done."""

    def pool(self) -> AbstractContextManager[Submit]:
        """Return a context for work, at the end of which what is left is cancelled."""


@contextmanager
def elsewhere(workers: Workers) -> Iterator[None]:
    """Let workers on other machines do the work of `mapped`, however many jobs it is given."""
    global _elsewhere
    _elsewhere = workers
    try:
        yield
    finally:
        _elsewhere = None


def here(jobs: int) -> bool:
    """Return whether this process does the work of `mapped` itself."""
    return jobs < 2 and _elsewhere is None


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
    """Report work as done to `mapped`, from any process.

    Args:
        done: since the last call.
        stage: that the work belongs to, below 16.
    """
    if done:
        _reported(done, stage)


def go_on() -> None:
    """Raise in a worker whose work nobody waits for any more; work that seldom reports calls it now and then."""
    _reported(0.0, 0)


def mapped(
    function: Callable[[T], R],
    items: Iterable[T],
    jobs: int,
    *,
    killed: str | Callable[[list[T]], str],
    chunksize: int = 1,
    ahead: int = _AHEAD,
    in_order: bool = True,
    on_report: OnReport = nothing,
) -> Generator[R, None, None]:
    """Yield a function's result for each item, computed by `jobs` processes, or by the workers of `elsewhere`.

    Close the generator, for example with `closing`, so that the processes end if the work is interrupted.

    Args:
        function: defined at module level, because other processes must be able to import it.
        items: its arguments, read only a little ahead of the processes.
        jobs: number of processes; 1: the work is done in this process, unless there are workers elsewhere.
        killed: the error message if one of them was killed; called with the items of which it had one in hand.
        chunksize: items in a block, which a process takes at once.
        ahead: blocks that wait for each process.
        in_order: yield the results in the order of the items, not as they come.
        on_report: gets what the function reports while it works.

    Raises:
        SerError: a process was killed.
    """
    if here(jobs):
        yield from map(partial(reporting, on_report, function), items)
        return
    remaining = iter(items)
    blocks = iter(lambda: list(islice(remaining, chunksize)), [])
    waiting: dict[Future[list[R]], list[T]] = {}
    try:
        with _elsewhere.pool() if _elsewhere else _blocks_to(jobs) as submit:
            coming = ((submit(function, block), block) for block in blocks)
            waiting.update(islice(coming, _n_workers(jobs) * ahead))
            while waiting:
                first = _first_done(islice(waiting, 1) if in_order else waiting, on_report)
                done = first.result()
                del waiting[first]
                waiting.update(islice(coming, max(0, _n_workers(jobs) * ahead - len(waiting))))
                yield from done
    except BrokenProcessPool:
        in_hand = islice(waiting.values(), 1 if _elsewhere else None)
        raise SerError(killed if isinstance(killed, str) else killed(list(chain.from_iterable(in_hand)))) from None


def block_size(n_items: int) -> int:
    """Return how many small items to give away at once: elsewhere each block costs the scheduler a millisecond."""
    return min(16, 1 + n_items // (20 * _elsewhere.n_workers)) if _elsewhere else 1


@contextmanager
def _blocks_to(jobs: int) -> Iterator[Submit]:
    with pool(jobs) as executor:
        yield lambda function, block: executor.submit(_each, function, block)


def _n_workers(jobs: int) -> int:
    return _elsewhere.n_workers if _elsewhere else jobs


def _first_done(futures: Iterable[Future[R]], on_report: OnReport) -> Future[R]:
    """Return a future that is done; until then pass on what the processes report."""
    futures, done = list(futures), set[Future[R]]()
    while not done:
        done = wait(futures, _LOOK_S, FIRST_COMPLETED).done
        if _elsewhere and not done:
            _elsewhere.check_reachable()
        for stage, amount in enumerate(_counters().get_obj()):
            if amount > _passed_on[stage]:
                on_report(amount - _passed_on[stage], stage)
                _passed_on[stage] = amount
    return done.pop()


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


class _Processes:
    """The processes of a pool, as many as jobs, started together."""

    def __init__(self, jobs: int) -> None:
        self.executor = ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(_counters(),)
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


_elsewhere: Workers | None = None
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


def _each(function: Callable[[T], R], block: list[T]) -> list[R]:
    return [function(item) for item in block]


def reporting(on_report: OnReport, function: Callable[[T], R], item: T) -> R:
    """Return a function's result; what it reports meanwhile stays in this process."""
    global _reported
    before, _reported = _reported, on_report
    try:
        return function(item)
    finally:
        _reported = before


_reported: OnReport = nothing
_passed_on = [0.0] * 16  # of what processes reported, by stage


@cache
def _counters() -> "SynchronizedArray[float]":
    """Return what the processes of all pools have reported, by stage."""
    return get_context("spawn").Array("d", len(_passed_on))


def count(done: float, stage: int, counters: "SynchronizedArray[float] | None" = None) -> None:
    """Count what was reported elsewhere, for `mapped` to pass on."""
    counters = counters or _counters()
    with counters.get_lock():
        counters[stage] += done


def _begin(counters: "SynchronizedArray[float]") -> None:
    global _reported
    _reported = partial(count, counters=counters)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; later it has no effect
    threading.Thread(target=_end_with_first, daemon=True).start()


def _end_with_first() -> None:
    """End this process when its parent ends, even if the parent is killed."""
    first = parent_process()
    assert first is not None
    first.join()
    os._exit(1)
