"""Processes that share work end with it, whatever ends it."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from children import ended, living

from sercli._system import processes

WORK = """
import os, sys, time
from sercli._system import processes
from sercli.errors import SerError
if __name__ == "__main__":
    with processes.pool(2) as pool:
        print(*sorted({pool.submit(os.getpid).result() for _ in range(40)}), flush=True)
        pool.submit(time.sleep, 60)
        pool.submit(time.sleep, 60).result()
"""


@pytest.fixture
def busy(tmp_path):
    """A process whose two helpers have a minute's work, and the numbers of some of them."""
    script = tmp_path / "work.py"
    script.write_text(WORK)
    first = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield first, [int(pid) for pid in first.stdout.readline().split()]
    first.kill()
    first.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
def test_they_end_with_a_first_process_that_is_killed(busy):
    first, pids = busy
    assert pids
    first.kill()
    assert ended(pids)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
def test_they_end_with_ctrl_c_and_say_nothing_themselves(busy):
    first, pids = busy
    for pid in pids:
        os.kill(pid, signal.SIGINT)  # a terminal sends it to all of them
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=30)
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1, said
    assert ended(pids)


@pytest.mark.parametrize("threads", [0, 1])
def test_ctrl_c_is_put_off_while_they_start(threads):
    steps = []
    for _ in range(threads):  # one that may be given the signal in place of this one
        threading.Thread(target=time.sleep, args=(2,), daemon=True).start()

    def start():
        with processes.ctrl_c_blocked():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert steps == ["started"]


def test_the_very_first_process_does_not_hear_ctrl_c_while_it_imports(tmp_path):
    script = tmp_path / "first.py"  # a process of its own: in this one multiprocessing has long begun
    script.write_text(
        textwrap.dedent("""
            import signal
            from multiprocessing import get_context
            from sercli._system import processes

            def tell():
                print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True)

            if __name__ == "__main__":
                for _ in range(2):
                    with processes.ctrl_c_blocked():
                        child = get_context("spawn").Process(target=tell)
                        child.start()
                    child.join()
                tell()
        """)
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True", "False"]


def test_one_that_is_killed_is_told_of():
    with pytest.raises(BrokenProcessPool), processes.pool(1) as pool:
        pool.submit(os._exit, 9).result()


def test_all_of_them_are_started_while_ctrl_c_is_put_off():
    before = living()
    with processes.pool(2):
        assert len(living() - before) == 2


def test_stages_of_a_command_share_processes():
    with processes.shared():
        stages = []
        for _ in range(2):
            with processes.pool(2) as pool:
                stages.append({pool.submit(os.getpid).result() for _ in range(40)})
        begun = living()
    assert stages[0] | stages[1] <= begun
    assert len(begun) == 2
    assert ended(begun)


def broken_off(pids, error, during):
    """Two stages with shared processes, of which the second, or what comes after it, fails."""
    with processes.shared():
        with processes.pool(1) as pool:
            pids.append(pool.submit(os.getpid).result())
        with processes.pool(1) as pool:
            if during:
                pool.submit(time.sleep, 60)
                raise error
        raise error


@pytest.mark.parametrize("during", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError()])
def test_shared_processes_end_where_the_command_is_broken_off(error, during):
    pids, threads = [], set(threading.enumerate())
    with pytest.raises(type(error)):
        broken_off(pids, error, during)
    assert set(threading.enumerate()) <= threads  # one that is still at its end is a traceback where Python ends, too
    assert ended(pids)


def test_one_that_is_ended_while_it_sends_its_result_is_not_waited_for():
    held = processes._Processes(1)
    held.start()
    held.executor.submit(os.getpid).result()
    held.executor.submit(bytes, 40_000_000)
    assert held.executor._result_queue._reader.poll(30)
    ending = threading.Thread(target=held.end, daemon=True)
    ending.start()
    ending.join(30)
    assert not ending.is_alive()
    held.end()  # once more does no harm


def test_a_pool_whose_work_was_left_unfinished_is_no_pool_for_the_next():
    with processes.shared():
        for asked in (500, 1, 500):
            with closing(processes.mapped(abs, range(-500, 0), 2, killed="one is gone", chunksize=50)) as answers:
                assert list(islice(answers, asked)) == list(range(500, 500 - asked, -1))
                assert asked < 500 or next(answers, None) is None


def test_no_more_items_are_taken_than_are_soon_worked_on():
    taken = []
    items = (taken.append(n) or n for n in range(10_000))
    with closing(processes.mapped(abs, items, 2, killed="one is gone", chunksize=3, ahead=5)) as answers:
        assert [next(answers) for _ in range(4)] == [0, 1, 2, 3]
        assert len(taken) == 3 * (2 * 5 + 2)  # a block is taken for each that is done
        assert list(answers)[-1] == 9_999


@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_what_is_mapped_comes_whole_and_in_order(n):
    assert list(processes.mapped(abs, range(-n, 0), 2, killed="one is gone", chunksize=3)) == list(range(n, 0, -1))
