"""Run every command that README.md and docs/ show with output, in order, and write what they print in its place.

    python benchmarks/readme.py [FOLDER]

Commands are those in ```console blocks. A block with a line `...` keeps its number of lines before and after it.
Progress, which depends on the machine, and the line on how far to trust the model are left out.
FOLDER (default: a temporary one) is where they run; it keeps the runs that they make.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/predict.md", "docs/formats.md")
CLIPS = ("f1-happiness-2", "m1-sadness-3", "f2-anger-5", "m2-neutral-1", "f3-happiness-4", "m3-anger-6")
PAUSE_S = 0.9
PROGRESS = re.compile(r"\d+%, .* left")
TRUST = "On unknown voices 2 labels in 3 are right"  # begins a line that is shown once
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    folder = (parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="ser-readme-"))).resolve()
    make_folder(folder)
    for page in (ROOT / name for name in PAGES):
        text = page.read_text(encoding="utf-8")
        page.write_text(BLOCK.sub(lambda block: "".join(rerun(block[0], folder)), text), encoding="utf-8")
        print(f"{page} is up to date.")


def make_folder(folder: Path) -> None:
    """Make the folder with the demo corpus, a recording of several clips, and this checkout's `ser`."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    ser = folder / "bin" / "ser"
    ser.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sercli "$@"\n', encoding="utf-8")
    ser.chmod(0o755)
    if not (folder / "data").exists():
        (folder / "data").symlink_to(ROOT / "data")
    pieces = []
    for clip in CLIPS:
        signal, rate_hz = soundfile.read(ROOT / "data" / "demo" / "audio" / f"{clip}.ogg", dtype="float32")
        pieces += [signal, np.zeros(round(PAUSE_S * rate_hz), np.float32)]
    soundfile.write(folder / "talk.wav", np.concatenate(pieces), rate_hz)


def rerun(block: str, folder: Path) -> Iterator[str]:
    """The block's commands, each with what it prints now."""
    for shown in re.split(r"^(?=\$ )", block, flags=re.MULTILINE):
        if not shown.strip():
            continue
        command, _, before = shown.partition("\n")
        while command.endswith("\\"):
            more, _, before = before.partition("\n")
            command += "\n" + more
        print(command, flush=True)
        yield f"{command}\n{shortened(output_of(command[2:], folder, before), before)}"


def output_of(command: str, folder: Path, before: str) -> str:
    """What a command prints, without progress, and without TRUST where the page had none; it must exit with 0."""
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}exit code {done.returncode}")
    every = [line.rstrip() for line in done.stdout.splitlines() if not PROGRESS.search(line)]
    lines = [line for line in every if TRUST in before or not line.startswith(TRUST)]
    printed = "\n".join(lines).strip("\n")
    return f"{printed}\n" if printed else ""


def shortened(output: str, before: str) -> str:
    """The output; where the page left its middle out, as many lines of its beginning and end as there were."""
    head, dots, tail = (f"\n{before}").partition("\n...\n")
    if not dots:
        return output
    lines = output.splitlines(keepends=True)
    n_head, n_tail = head.count("\n"), len(tail.splitlines())
    return "".join([*lines[:n_head], "...\n", *lines[len(lines) - n_tail :]])


if __name__ == "__main__":
    main()
