"""The lines of docs/docker.md follow from each other: a shell runs them with a stub of docker that calls ser."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from sercli.cli import options
from sercli.corpora import demo

ROOT = Path(__file__).parents[2]
DEMO, PAGE = ROOT / "data" / "demo", ROOT / "docs" / "docker.md"
if not PAGE.exists():
    pytest.skip("the documentation is not installed", allow_module_level=True)

LINES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) for line in block.splitlines()]
STUB = f"""#!{sys.executable}
import json, sys
kind, *words = sys.argv[1:]
assert kind in ("build", "run"), kind
mounts = {{}}
while kind == "run" and words[0].startswith("-"):
    option = words.pop(0)
    if option == "-v":
        host, inside, *_ = words.pop(0).split(":")
        mounts[inside] = host
    elif option == "--tmpfs":
        words.pop(0)
    else:
        assert option in ("--rm", "--read-only"), option
if kind == "run":
    image, *words = words
    assert image == "ser"
    for inside, host in mounts.items():
        words = [host + word.removeprefix(inside) if word.startswith(inside + "/") else word for word in words]
    print(json.dumps([mounts["/work"], words]))
"""


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A demo corpus of three voices with a few clips each, and no second process."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "audio").symlink_to(DEMO / "audio")
    with (DEMO / "demo.csv").open(encoding="utf-8") as whole, (folder / "demo.csv").open("w", encoding="utf-8") as part:
        rows = csv.DictReader(whole)
        writer = csv.DictWriter(part, rows.fieldnames)
        writer.writeheader()
        writer.writerows(row for row in rows if row["speaker"] in ("f1", "m1", "m2") and int(row["path"][-5]) < 4)
    monkeypatch.setattr(demo, "_INSTALLED", folder)
    monkeypatch.setattr(options, "n_jobs", lambda jobs: jobs or 1)


@pytest.mark.usefixtures("small")
def test_the_lines_follow_from_each_other(ser, monkeypatch, tmp_path):
    stub = tmp_path / "bin" / "docker"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    host = tmp_path / "host"
    sound, rate_hz = soundfile.read(DEMO / "audio" / "f2-anger-5.ogg", dtype="float32")
    for clip in (host / "work" / "clip.wav", host / "corpora" / "RAVDESS" / "Actor_01" / "03-01-05-01-01-01-01.wav"):
        clip.parent.mkdir(parents=True)
        soundfile.write(clip, sound, rate_hz)
    environment = os.environ | {"PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}"}
    called = []
    for line in LINES:
        done = subprocess.run(line, shell=True, cwd=host, env=environment, capture_output=True, text=True, check=True)
        if done.stdout:
            work, words = json.loads(done.stdout)
            monkeypatch.chdir(work)
            shown = ser(*("1" if word == "20" else word for word in words))
            assert shown.code == 0, (line, shown.err)
            called.append(words[0])
    assert set(called) == {"prepare", "tune", "train", "ensemble", "evaluate", "predict"}
