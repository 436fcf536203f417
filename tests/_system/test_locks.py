"""Locks between real processes: who is second is refused or waits, and the dead hold nothing."""

import signal
import socket
import subprocess
import sys

import pytest

from sercli._system import locks
from sercli.errors import SerError

HOLD = """
import sys, time
from pathlib import Path
from sercli._system import locks
with locks.alone(Path(sys.argv[1]), "run", doing=sys.argv[2]):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def hold(tmp_path):
    """Starts a process that holds the lock of `tmp_path`, and gives it once it does."""
    started = []

    def start(seconds=60.0, doing=""):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path), doing, str(seconds)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_who_comes_second_is_told_who_is_there(tmp_path, hold):
    process = hold()
    with pytest.raises(locks.HeldError) as caught, locks.alone(tmp_path, "run"):
        pass
    assert str(caught.value) == (
        f"{tmp_path} is being written to by another process (process {process.pid} on {socket.gethostname()}); "
        "wait until it ends, then repeat the command."
    )
    assert issubclass(locks.HeldError, SerError)


def test_a_process_that_was_killed_holds_nothing(tmp_path, hold):
    process = hold()
    process.kill()
    process.wait()
    assert (tmp_path / ".run.holder").exists()  # its note is still there, and stops nobody
    with locks.alone(tmp_path, "run"):
        assert locks.current_task(tmp_path, "run") == ""


def test_who_waits_goes_on_when_the_other_ends(tmp_path, hold):
    process = hold(seconds=0.5)
    with locks.alone(tmp_path, "run", wait=True):
        assert process.wait(10) == 0


def test_ctrl_c_sets_free(tmp_path, hold):
    process = hold()
    process.send_signal(signal.SIGINT)
    process.wait(10)
    assert not (tmp_path / ".run.holder").exists()
    with locks.alone(tmp_path, "run"):
        pass


def test_another_name_is_another_lock(tmp_path, hold):
    hold()
    with locks.alone(tmp_path, "prepare"):
        assert {path.name for path in tmp_path.glob(".*.holder")} == {".run.holder", ".prepare.holder"}


def test_what_the_holder_does_can_be_asked(tmp_path, hold):
    assert locks.current_task(tmp_path, "run") == ""
    hold(doing="manifest 17")
    assert locks.current_task(tmp_path, "run") == "manifest 17"


def test_a_damaged_note_costs_the_name_alone(tmp_path, hold):
    hold()
    (tmp_path / ".run.holder").write_bytes(b'{"pid": "x"')
    with pytest.raises(locks.HeldError, match=r"by another process; wait until it ends"), locks.alone(tmp_path, "run"):
        pass


def test_an_error_inside_sets_free(tmp_path):
    with pytest.raises(ValueError, match="inside"), locks.alone(tmp_path, "run"):
        raise ValueError("inside")
    with locks.alone(tmp_path, "run"):
        assert (tmp_path / ".run.holder").exists()
    assert not (tmp_path / ".run.holder").exists()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def refuse(self):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(locks.FileLock, "acquire", refuse)
    with pytest.raises(SerError, match="is on a file system without locks"), locks.alone(tmp_path, "run"):
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".run.lock").symlink_to("precious")
    with pytest.raises(SerError, match=r"\.run\.lock is a link, through which ser does not write; remove it, or"):
        locks.alone(tmp_path, "run").__enter__()
    assert (tmp_path / "precious").read_text() == "kept"
