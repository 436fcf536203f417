"""Folders and files of every name, very many of them, links in circles, and clocks that jump."""

import csv
import json
import os
import shlex
import shutil
import time

import pytest

from sercli._system import files
from sercli.audio import discovery
from sercli.dataset import manifest

STRANGE = "a b\nc 🎉 ü 'q' \"d\" [x] %s"


@pytest.fixture
def strange(tmp_path, tiny_corpus):
    """The tiny corpus in a folder of a name that has all that a shell, a table or a terminal could stumble over."""
    root = tmp_path / STRANGE
    try:
        shutil.copytree(tiny_corpus, root)
    except OSError:
        pytest.skip("the file system has no such names")
    return root


def test_a_corpus_a_dataset_a_run_and_clips_may_be_called_anything(ser, strange, tmp_path):
    data, run = tmp_path / f"data {STRANGE}", tmp_path / f"run {STRANGE}"
    words = ["--features", "words,lld", "--jobs", 1]
    assert ser("prepare", "table", strange / "corpus.csv", "--out", data, *words).code == 0
    quick = ["--set", "train.epochs=1", "--set", "architecture.hidden_size=8", "-q"]
    assert ser("train", "-m", "acoustic-lld", "--data", data, "--out", run, *quick).code == 0
    clip = strange / "audio" / "f1-anger-free.wav"
    shown = ser("predict", clip, "--no-asr", "--model", run, "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["path"] == str(clip)
    refused = ser("predict", strange / "nothing.wav", "--model", run)
    assert refused.code == 2
    assert len(refused.err.splitlines()) == 1


def test_recordings_in_a_table_may_be_called_anything(ser, tiny_corpus, tmp_path):
    names = [f"{n} {STRANGE}.wav" for n in range(4)]
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker"])
        for name, label in zip(names, ("neutral", "happiness", "sadness", "anger"), strict=True):
            shutil.copy(tiny_corpus / "audio" / f"f1-{label}-free.wav", tmp_path / name)
            writer.writerow([name, label, name])
    out = tmp_path / "data"
    assert ser("prepare", "table", tmp_path / "t.csv", "--out", out, "--features", "log-mel", "--jobs", 1).code == 0
    assert [u.audio for u in manifest.load(out).manifest.utterances] == names
    assert ser("prepare", "table", tmp_path / "t.csv", "--out", out, "--features", "log-mel", "--jobs", 1).code == 0


def test_ten_thousand_files_in_one_folder_are_found(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(10_000):
        (folder / f"{n:05d}.wav").touch()
    found = discovery.find([folder])
    assert [p.name for p in found] == [f"{n:05d}.wav" for n in range(10_000)]
    assert [entry.name for entry in files.walk(folder)] == [p.name for p in found]


def test_links_in_circles_end_in_a_corpus(ser, tiny_corpus, tmp_path):
    root = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, root)
    (root / "again").symlink_to(root)
    (root / "audio" / "up").symlink_to("..")
    (root / "audio" / "self").symlink_to("self")
    assert ser("prepare", "table", root, "--out", tmp_path / "data", "--features", "words").code == 0
    assert ser("prepare", "table", root / "audio" / "self", "--out", tmp_path / "x", "--features", "words").code == 2


def test_a_recording_that_changes_is_seen_whatever_its_clock_says(ser, tiny_corpus, tmp_path):
    root, out = tmp_path / "corpus", tmp_path / "data"
    shutil.copytree(tiny_corpus, root)
    words = ["prepare", "table", root / "corpus.csv", "--out", out, "--features", "log-mel", "--jobs", 1]
    clip, other = root / "audio" / "f1-anger-free.wav", root / "audio" / "f1-sadness-free.wav"
    digests = []
    for seconds in (time.time() + 1e8, 1.0, time.time()):
        clip.write_bytes(other.read_bytes() if seconds == 1.0 else (tiny_corpus / "audio" / clip.name).read_bytes())
        os.utime(clip, (seconds, seconds))
        assert ser(*words).code == 0
        digests.append(manifest.load(out).by_id["audio/f1-anger-free.wav"].digest)
    assert digests[0] == digests[2] != digests[1]


def test_a_clock_that_runs_backwards_changes_no_result(ser, tiny_dataset, tmp_path, monkeypatch):
    words = ["train", "-m", "linguistic", "--data", tiny_dataset.folder, "--set", "train.epochs=2", "--device", "cpu"]
    assert ser(*words, "--out", tmp_path / "a").code == 0
    now = iter(range(10**9, 0, -3600))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: float(next(now)))
        assert ser(*words, "--out", tmp_path / "b").code == 0
    one, other = ((tmp_path / run / "weights.safetensors").read_bytes() for run in "ab")
    assert one == other


def test_the_next_command_can_be_copied_where_a_folder_has_a_blank(ser, tiny_corpus, tmp_path):
    data, run = tmp_path / "my data", tmp_path / "my run"
    prepared = ser("prepare", "table", tiny_corpus, "--out", data, "--features", "log-mel", "--jobs", 1)
    words = shlex.split(prepared.err.partition("Next: ser ")[2])
    assert words == ["train", "-m", "PRESET", "--data", str(data), "--out", "RUN"]
    trained = ser("train", "-m", "acoustic-log-mel", "--data", data, "--out", run, "--set", "train.epochs=1")
    assert shlex.split(trained.err.partition("Next: ser ")[2])[:2] == ["evaluate", f"{run},"]
