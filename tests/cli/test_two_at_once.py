"""Two commands on one folder, in processes of their own: the work is shared, or the second one says who is there."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sercli._system import locks
from sercli.dataset import manifest


@pytest.fixture
def started():
    """Starts `ser WORDS ...` in a process of its own."""
    processes = []

    def start(*words):
        command = [sys.executable, "-m", "sercli", *map(str, words)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def contents(folder):
    files = (p for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_two_prepare_the_same_and_share_the_work(started, ser, tiny_corpus, tmp_path):
    words = ["prepare", "table", tiny_corpus, "--features", "log-mel,lld", "--jobs", 1, "--out"]
    both = [started(*words, tmp_path / "together") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert ser(*words, tmp_path / "alone").code == 0
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


def test_who_prepares_something_else_is_told_who_is_there(ser, tiny_corpus, tmp_path):
    out = tmp_path / "data"
    with locks.alone(out, "prepare", doing="another manifest"):
        shown = ser("prepare", "table", tiny_corpus, "--out", out, "--features", "words")
    assert shown.code == 2
    assert f"{out} is being written to by another process (process {os.getpid()} on " in shown.err
    with pytest.raises(Exception, match="is not a prepared dataset"):
        manifest.load(out)


def test_one_file_is_not_written_by_two_commands(ser, demo_clips, demo_runs, tmp_path):
    words = ["predict", demo_clips("m1-anger-1"), "-m", demo_runs.acoustic, "-o", tmp_path / "all.csv"]
    with locks.alone(tmp_path, "all.csv"):
        assert f"{tmp_path} is being written to by another process (process {os.getpid()} on " in ser(*words).err
    assert ser(*words).code == 0
    assert contents(tmp_path).keys() == {"all.csv"}
    assert not list(tmp_path.glob(".*.lock"))


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_who_trains_the_same_run_is_told_who_is_there_until_that_one_dies(started, ser, tiny_dataset, tmp_path):
    out = tmp_path / "run"
    quick = ["--set", "train.epochs=2", "--set", "architecture.hidden_size=4", "--device", "cpu", "--quiet"]
    words = ["train", "-m", "linguistic", "--data", tiny_dataset.folder, "--out", out, *quick]
    first = started(*words)
    end = time.monotonic() + 60
    while not (out / ".run.holder").exists() and time.monotonic() < end:
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    shown = ser(*words)
    assert shown.code == 2
    assert f"{out} is being written to by another process (process {first.pid} on " in shown.err
    assert "wait until it ends, then repeat the command" in shown.err
    first.kill()
    first.wait()
    assert ser(*words).code == 0
