"""Disks that are full, folders that may not be written to or go away: one line, exit 2, and what was there stays."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sercli import runs
from sercli.dataset import extraction, manifest
from sercli.errors import SerError
from sercli.training.trainer import Trainer

NOBODY = ("--reuid", "65534", "--regid", "65534", "--clear-groups")


def one_line(shown):
    """What a command said when it was refused: a single line."""
    assert shown.code == 2, shown.err
    (line,) = shown.err.strip().splitlines()[-1:]
    assert line.startswith("ser: ")
    assert "Traceback" not in shown.err
    return line


@pytest.fixture
def disk(tmp_path):
    """Mounts a disk of so many kilobytes, or mounts it anew with other options; skips where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        remount = "remount," if place.is_mount() else ""
        command = ["mount", "-t", "tmpfs", "-o", f"{remount}{options}", "tmpfs", str(place)]
        if os.name != "posix" or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no disk may be mounted here")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)  # lazily: a study's file may still be open


@pytest.fixture
def training(tiny_dataset):
    """The words of a short training on the tiny corpus, without --out."""
    return ["train", "-m", "linguistic", "--data", tiny_dataset.folder, "--set", "train.epochs=2", "--device", "cpu"]


def test_prepare_goes_on_when_a_full_disk_has_room_again(ser, tiny_corpus, disk):
    out = disk("size=48k") / "data"
    words = ["prepare", "table", tiny_corpus, "--out", out, "--features", "log-mel", "--jobs", 1]
    line = one_line(ser(*words))
    assert line.endswith("cannot be used: No space left on device. Free some space, or choose another place.")
    assert str(out) in line
    assert ".tmp" not in line
    disk("size=20m")
    assert ser(*words).code == 0
    assert manifest.load(out).info.features == ("log-mel",)


def test_train_goes_on_when_a_full_disk_has_room_again(ser, training, disk):
    out = disk("size=16k") / "run"
    line = one_line(ser(*training, "--out", out))
    assert "No space left on device. Free some space, or choose another place." in line
    assert runs.load_info(out).status == "training"
    disk("size=20m")
    assert ser(*training, "--out", out).code == 0
    assert [p.name for p in out.rglob(".*")] == []


def test_tune_says_in_one_line_that_the_disk_is_full(ser, training, disk):
    out = disk("size=32k") / "study"
    words = ["tune", *training[1:], "--trials", 1]
    assert "disk" in one_line(ser(*words, "--out", out)).lower()
    disk("size=20m")
    assert ser(*words, "--out", out).code == 0
    (out.parent / "rest").write_bytes(bytes(shutil.disk_usage(out).free))
    line = one_line(ser(*words[:-1], 2, "--out", out))
    assert f"The study in sqlite:///{out / 'study.db'} cannot be used" in line
    assert "full" in line
    (out.parent / "rest").unlink()
    assert ser(*words[:-1], 2, "--out", out).code == 0


def test_answers_that_were_written_before_the_disk_was_full_stay_whole(ser, demo_runs, demo_clips, disk):
    out = disk("size=8k") / "answers"
    clips = [demo_clips(f"m1-{label}-1") for label in ("anger", "sadness", "neutral", "happiness")]
    words = ["predict", *clips, "--no-asr", "--model", demo_runs.acoustic, "-o", out, "--jobs", 1]
    line = one_line(ser(*words))
    assert "No space left on device" in line
    there = {p.name: p.read_bytes() for p in out.iterdir()}
    assert all(content.endswith(b"\n") for content in there.values())
    disk("size=1m")
    assert ser(*words).code == 0
    assert {name: (out / name).read_bytes() for name in there} == there


@pytest.mark.parametrize("command", ["prepare", "train", "tune"])
def test_a_read_only_disk_is_named(ser, tiny_corpus, training, disk, command):
    place = disk("size=1m")
    disk("ro,size=1m")
    words = {
        "prepare": ["prepare", "table", tiny_corpus, "--features", "log-mel", "--jobs", 1],
        "train": training,
        "tune": ["tune", *training[1:], "--trials", 1],
    }[command]
    line = one_line(ser(*words, "--out", place / "out"))
    assert str(place / "out") in line
    assert "Read-only file system" in line


@pytest.fixture
def as_nobody():
    """Runs `ser WORDS ...` as a user without rights; skips where that cannot be done."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("setpriv and root are needed to become nobody")
    start = [setpriv, *NOBODY, sys.executable]
    if subprocess.run([*start, "-c", "import sercli.cli"], capture_output=True).returncode:
        pytest.skip("nobody may not read the package here")

    def run(*words):
        done = subprocess.run([*start, "-m", "sercli", *map(str, words)], capture_output=True, text=True)
        done.code, done.err = done.returncode, done.stderr
        return done

    return run


@pytest.mark.parametrize("what", ["out", "corpus", "run"])
def test_a_folder_without_permission_is_named(as_nobody, tiny_corpus, demo_runs, demo_clips, tmp_path, what):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    shutil.copytree(demo_runs.acoustic, locked / "run")
    shutil.copy(tiny_corpus / "corpus.csv", locked)
    words = {
        "out": ["prepare", "demo", "--out", locked / "data", "--features", "words"],
        "corpus": ["prepare", "table", locked / "corpus.csv", "--out", tmp_path / "data"],
        "run": ["predict", demo_clips("m1-anger-1"), "--no-asr", "--model", locked / "run"],
    }[what]
    line = one_line(as_nobody(*words))
    assert str(locked) in line
    assert "Permission denied" in line


def test_a_run_that_goes_away_while_it_is_trained_is_not_half_made_anew(ser, training, tmp_path, monkeypatch):
    out = tmp_path / "run"
    save = Trainer.save

    def and_remove(trainer, path):
        save(trainer, path)
        shutil.rmtree(out)

    monkeypatch.setattr(Trainer, "save", and_remove)
    line = one_line(ser(*training, "--out", out))
    assert line == f"ser: {out} was moved or removed while it was being written to; repeat the command."
    monkeypatch.undo()
    assert not (out / "run.json").exists()


def test_a_dataset_that_goes_away_while_it_is_prepared_costs_one_line(ser, tiny_corpus, tmp_path, monkeypatch):
    out = tmp_path / "data"
    extract = extraction.extract

    def and_remove(*args, **options):
        shutil.rmtree(out, ignore_errors=True)
        return extract(*args, **options)

    words = ["prepare", "table", tiny_corpus, "--out", out, "--features", "log-mel", "--jobs", 1]
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "extract", and_remove)
        shown = ser(*words)
    assert "Traceback" not in shown.err
    assert ser(*words).code == 0
    assert len(manifest.load(out).manifest.utterances) == 48


def test_recordings_that_go_away_while_they_are_read_cost_one_line(ser, tiny_corpus, tmp_path, monkeypatch):
    source = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, source)
    extract = extraction.extract

    def and_remove(*args, **options):
        shutil.rmtree(source, ignore_errors=True)
        return extract(*args, **options)

    monkeypatch.setattr(extraction, "extract", and_remove)
    words = [
        "prepare",
        "table",
        source / "corpus.csv",
        "--out",
        tmp_path / "data",
        "--features",
        "log-mel",
        "--jobs",
        1,
    ]
    assert "cannot be read: No such file or directory" in one_line(ser(*words))


def test_memory_that_does_not_suffice_is_told_in_one_line(ser, tiny_corpus, tmp_path, monkeypatch):
    def full(*args, **options):
        raise MemoryError("Unable to allocate 4.00 TiB")

    monkeypatch.setattr(extraction, "extract", full)
    words = ["prepare", "table", tiny_corpus, "--out", tmp_path / "data", "--features", "log-mel", "--jobs", 1]
    assert one_line(ser(*words)).startswith("ser: There is not enough memory for this (Unable to allocate 4.00 TiB);")


def test_a_folder_that_goes_away_is_refused_by_the_run_itself(tmp_path):
    with pytest.raises(SerError, match="was moved or removed"):
        runs.check_there(tmp_path)


@pytest.fixture
def closed(tmp_path):
    """closed(">&-", *words) runs `ser WORDS ...` from a shell that closes streams, and returns exit code and output."""
    shell = shutil.which("sh")
    if shell is None:
        pytest.skip("a shell is needed to close streams")

    def run(redirection, *words):
        command = [shell, "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "sercli", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_files_are_written_where_streams_are_closed(closed, demo_runs, demo_clips, tmp_path, redirection):
    words = ["predict", demo_clips("m1-anger-1"), "-m", demo_runs.acoustic, "-o", tmp_path, "-q"]
    done = closed(redirection, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "m1-anger-1.ogg.json").read_text().startswith("{")
    prepared = closed(redirection, "prepare", "demo", "--out", tmp_path / "data", "--features", "words")
    assert (prepared.returncode, "Traceback" in prepared.stderr) == (0, False)


def test_predictions_for_a_closed_stdout_are_refused_with_the_option_that_keeps_them(closed, demo_runs, demo_clips):
    words = ["predict", demo_clips("m1-anger-1"), "-m", demo_runs.acoustic]
    refused = closed(">&-", *words)
    assert (refused.returncode, refused.stderr) == (
        2,
        "ser: stdout is closed, so the results would be lost; open it, or give --out.\n",
    )
    shown = closed("2>&-", *words)
    assert (shown.returncode, "anger" in shown.stdout) == (0, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_an_error_that_cannot_be_printed_is_still_exit_2(closed):
    assert closed("2>/dev/full", "nonsense").returncode == 2
