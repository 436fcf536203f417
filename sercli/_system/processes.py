"""Processes that share work."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from typing import TypeVar

from sercli.errors import SerError

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 64  # so many blocks of items wait for each process, so that a slow one does not let the others stand idle


@contextmanager
def pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the work, or at once where it is broken off: what they write is whole or not at all.

    Each computes on one core, leaves Ctrl-C to the process that began it, and ends with that one even if it is killed.
    Inside `shared` they stay for the next work.
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


def mapped(
    function: Callable[[T], R], items: Iterable[T], jobs: int, *, killed: str, chunksize: int = 1, ahead: int = _AHEAD
) -> Generator[R, None, None]:
    """What a function makes of each item, in their order; by several processes where there are jobs for them.

    To be closed, as by `closing`: where the work is broken off, so are they.

    Args:
        function: of a module, as other processes must find it.
        items: what it is called with, one at a time; no more of them are taken than the processes soon need.
        jobs: processes at the same time; one: this process itself.
        killed: what to tell a person where one of them was killed.
        chunksize: items that a process takes at once, a block.
        ahead: blocks that wait for each process.

    Raises:
        SerError: a process was killed.
    """
    if jobs < 2:
        yield from map(function, items)
        return
    try:
        with pool(jobs) as executor:
            remaining = iter(items)
            blocks = iter(lambda: list(islice(remaining, chunksize)), [])
            coming = (executor.submit(_each, function, block) for block in blocks)
            waiting = deque(islice(coming, jobs * ahead))
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(islice(coming, 1))
                yield from done
    except BrokenProcessPool:
        raise SerError(killed) from None


@contextmanager
def shared() -> Iterator[None]:
    """Let the pools of a command's stages be one, that of the first: processes start and import once, not each time."""
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
    """Inside `shared`: let the processes start while this one goes on by itself, before it has work for them.

    Args:
        jobs: how many.
        needs: the module that they are to import meanwhile.
    """
    if _held == []:
        _held.append(_Processes(jobs, needs))
        _held[0].start()


class _Processes:
    """Those of a pool, as many as jobs, started together."""

    def __init__(self, jobs: int, needs: str | None = None) -> None:
        self.executor = ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(needs,)
        )
        self._jobs = jobs
        self._before: set[BaseProcess] | None = None  # processes that are not of this pool; None: not started yet

    def start(self) -> None:
        """Once."""
        if self._before is not None:
            return
        self._before = set(active_children())
        with unheard_ctrl_c():
            for _ in range(self._jobs):  # each starts one, for those before have yet to come to work
                self.executor.submit(os.getpid)

    def end(self) -> None:
        """At once, whatever they are at."""
        begun = set(active_children()) - (self._before or set())
        for process in begun:
            process.terminate()
        for process in begun:
            process.join()
        # The executor's thread may be at a result of which a process has sent a part. It hears that there is no more
        # once nobody holds the other end of the pipe; this process does as well, for no use, and says so nowhere.
        results = getattr(self.executor, "_result_queue", None)
        if results is not None:
            results._writer.close()
        # Waited for: Python takes itself down wrongly while that thread is still at its end.
        self.executor.shutdown(cancel_futures=True)


_held: list[_Processes] | None = None  # inside `shared` the pool that stays, once there is one


@contextmanager
def unheard_ctrl_c() -> Iterator[None]:
    """Processes that are started inside never hear Ctrl-C, not even while they import; here it is only put off."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is blocked here is blocked in processes that begin here. A thread of some library, which blocks nothing, may
    # be given the signal instead, and then the handler is called all the same.
    resource_tracker.ensure_running()  # begun with the first process, it would let the signal through again
    heard: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
        if heard and callable(handler):
            handler(signal.SIGINT, None)


def end_with_first() -> None:
    """Let this process end when the one that began it does, which cannot tell it where it is killed."""
    threading.Thread(target=_await_first, daemon=True).start()


def _each(function: Callable[[T], R], block: list[T]) -> list[R]:
    return [function(item) for item in block]


def _begin(needs: str | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; it has no say afterwards
    end_with_first()
    if needs is not None:
        import_module(needs)


def _await_first() -> None:
    first = parent_process()
    assert first is not None
    first.join()
    os._exit(1)
