"""Two ways of doing the same, measured in turn: peer, ours, peer, ours, …, and the ratio pair by pair.

A machine that others use, too, is slow for some seconds and then quick again. Both of a pair meet the same minute, so
the median of the ratios holds where neither of the times does. CPU time leaves out most of what others take and is what
rows of one process are judged by; rows about processes that share the work can only be judged by wall time.
"""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
SER = (sys.executable, "-m", "sercli")
_LOOK_S = 0.1


@dataclass(frozen=True)
class Cost:
    """Of one piece of work."""

    cpu_s: float  # of all threads and processes
    wall_s: float
    memory_mb: float = 0.0  # at the most, of all processes together, what they share counted once; 0: not looked at


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    what: str
    aim: str
    peer: Sequence[Cost]
    ours: Sequence[Cost]
    judged: str = "cpu"  # or "wall"
    inverse: bool = False  # whether the aim is of ours / peer (how much more ours may cost), not of peer / ours
    remark: str = ""

    def ratios(self, clock: str) -> list[float]:
        """Pair by pair, in order of size."""
        costs = [
            (getattr(p, f"{clock}_s"), getattr(o, f"{clock}_s")) for p, o in zip(self.peer, self.ours, strict=True)
        ]
        return sorted(o / p if self.inverse else p / o for p, o in costs)

    def line(self) -> str:
        """As a row of Markdown."""
        shown = {}
        for clock in ("cpu", "wall"):
            ratios = self.ratios(clock)
            shown[clock] = f"{median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            if clock == self.judged:
                shown[clock] = f"**{shown[clock]}**"
        times = " / ".join(_seconds(median(c.cpu_s for c in side)) for side in (self.peer, self.ours))
        return f"| {self.what} | {self.aim} | {shown['cpu']} | {shown['wall']} | {times} | {self.remark} |"


HEADER = (
    "| what | aim | ratio of CPU time | ratio of wall time | CPU time, peer / ours | |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def alternate(
    peer: Callable[[], Cost], ours: Callable[[], Cost], *, pairs: int, warm_up: bool = True
) -> tuple[list[Cost], list[Cost]]:
    """Measure both in turn; with a warm-up each is done once before."""
    if warm_up:
        peer(), ours()
    costs = [(peer(), ours()) for _ in range(pairs)]
    return [p for p, _ in costs], [o for _, o in costs]


def alternate_apart(
    peer: Callable[[], object], ours: Callable[[], object], *, pairs: int, at_least_s: float = 0.0
) -> tuple[list[Cost], list[Cost]]:
    """The same with a fresh process for each, in which nothing else happens; both functions can be pickled.

    What one does to its process, such as how it keeps memory, is neither a gift to the other nor a burden.
    """
    with _aside(peer, at_least_s) as peer_there, _aside(ours, at_least_s) as ours_there:
        return alternate(peer_there, ours_there, pairs=pairs)


def work(do: Callable[[], object], *, at_least_s: float = 0.0) -> Callable[[], Cost]:
    """Something done in this process, again and again until it takes so long; the cost is of once."""

    def measure() -> Cost:
        n, cpu, wall = 0, _cpu_s(), time.perf_counter()
        while n == 0 or _cpu_s() - cpu < at_least_s:
            do()
            n += 1
        return Cost((_cpu_s() - cpu) / n, (time.perf_counter() - wall) / n)

    return measure


@contextmanager
def _aside(do: Callable[[], object], at_least_s: float) -> Iterator[Callable[[], Cost]]:
    """Something that is measured in a process of its own, which waits between one measurement and the next."""
    ask, asked = Pipe()
    process = get_context("spawn").Process(target=_answer, args=(asked, do, at_least_s))
    process.start()
    asked.close()

    def measure_there() -> Cost:
        ask.send(True)
        cost: Cost = ask.recv()  # an EOFError where it fails: its own message stands above
        return cost

    try:
        yield measure_there
    finally:
        ask.close()
        process.join()


def _answer(asked: Connection, do: Callable[[], object], at_least_s: float) -> None:
    measure = work(do, at_least_s=at_least_s)
    with suppress(EOFError):  # nobody asks any more
        while asked.recv():
            asked.send(measure())


def command(*words: str | Path, look_at_memory: bool = False, env: dict[str, str] = QUIET) -> Callable[[], Cost]:
    """A command, with all processes that it starts and waits for.

    Raises:
        SystemExit: it fails.
    """

    def measure() -> Cost:
        began = time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env) as process:
            watch = _Watch(process.pid) if look_at_memory else None
            assert process.stderr is not None
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, words))} failed: {said.decode()[-2000:]}")
        memory_mb = watch.most_mb() if watch else 0.0
        return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - began, memory_mb)

    return measure


def _cpu_s() -> float:
    """Of this process and of those that it started and that have ended."""
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + others.ru_utime + others.ru_stime


class _Watch:
    """Looks again and again at how much memory a process and all below it take up (Linux)."""

    def __init__(self, pid: int) -> None:
        self.pid, self._most_kb, self._ended = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def most_mb(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._most_kb / 1024

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self._most_kb = max(self._most_kb, sum(map(share_kb, family(self.pid))))


def family(pid: int) -> list[int]:
    """A process and all below it (Linux)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(p for child in children for p in family(int(child)))]


def share_kb(pid: int) -> int:
    """Proportional set size: its own memory, and its part of what it shares with others."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _seconds(s: float) -> str:
    return f"{1000 * s:.3g} ms" if s < 1 else f"{s:.3g} s"
