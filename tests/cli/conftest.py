"""Fixtures that the command-line tests share: `ser` in this process, and runs trained on the demo corpus."""

import csv
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sercli.cli import app
from sercli.cli.render import console

DEMO = Path(__file__).parents[2] / "data" / "demo"


@pytest.fixture
def forget_consoles():
    """forget_consoles() lets the next message find out anew where it goes, and how wide that is."""

    def forget():
        for stream in (console.stdout, console.stderr):
            stream.cache_clear()

    return forget


@pytest.fixture
def ser(monkeypatch, capsys, forget_consoles):
    """ser(*words) runs `ser WORDS ...` in this process and returns its exit code, stdout and stderr."""

    def run(*words):
        forget_consoles()
        monkeypatch.setattr(sys, "argv", ["ser", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            app.main()
        out, err = capsys.readouterr()
        return SimpleNamespace(code=exit_.value.code, out=out, err=err)

    return run


@pytest.fixture(scope="session")
def run_quietly():
    """run_quietly(*words) runs `ser WORDS ...` in this process and fails unless it exits with 0."""

    def run(*words):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["ser", *map(str, words)])
            with pytest.raises(SystemExit) as exit_:
                app.main()
        assert exit_.value.code == 0, words

    return run


@pytest.fixture(scope="session")
def demo_clips():
    """demo_clips("m1-anger-1") -> the path of a clip of the demo corpus: synthetic speech with words."""
    return lambda name: DEMO / "audio" / f"{name}.ogg"


@pytest.fixture(scope="session")
def demo_runs(made_once, run_quietly):
    """Runs on three demo voices: `acoustic`, `linguistic` and their `average`. Tests must not write there."""

    def make(base):
        with (DEMO / "demo.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["speaker"] in ("f1", "m1", "m2")]
        with (base / "table.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["path", "label", "speaker", "text"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows({**row, "path": DEMO / row["path"]} for row in rows if int(row["path"][-5]) < 6)
        data = base / "data"
        run_quietly("prepare", "table", base / "table.csv", "--out", data, "--features", "lld,words", "--jobs", 1)
        for modality, preset in (("acoustic", "acoustic-lld"), ("linguistic", "linguistic")):
            quick = ["--set", "train.epochs=25", "--set", "train.lr=0.005", "--set", "architecture.hidden_size=24"]
            run_quietly("train", "-m", preset, "--data", data, "--out", base / modality, *quick)
        sides = ["-a", base / "acoustic", "-l", base / "linguistic"]
        run_quietly("ensemble", *sides, "--data", data, "--out", base / "average", "--rule", "average")

    base = made_once("demo_runs", make)
    return SimpleNamespace(**{name: base / name for name in ("acoustic", "linguistic", "average")})
