"""Press Ctrl-C at random moments of every command, in a terminal of its own, and look at what is left.

python benchmarks/interrupt.py --moments 20

A terminal sends SIGINT to all processes of a command at once. Each must end with 130 (or be done already), without a
traceback, leave no process behind, and leave the terminal as it was: its settings, and the cursor shown. Where Python
had yet to find the first line of ser, it writes a traceback that nobody can keep it from; that is counted by itself.
Prints a Markdown table.
"""

import argparse
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import Counter
from pathlib import Path

from kill import ENVIRONMENT, ORPHANS_END_S, commands, members

DEMO = Path(__file__).parents[1] / "data" / "demo" / "audio"
BEFORE = "before ser had begun"
PYTHON = ("runpy", "init_import_site")  # of what Python does before it
FINE = ("130", "done", BEFORE)
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A pseudoterminal that a command runs in, and all that it writes there."""

    def __init__(self, words: list[str]) -> None:
        self.ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)
        self.said = b""
        ends = {"stdin": self.theirs, "stdout": self.theirs, "stderr": self.theirs}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sercli", *words],
            env={**ENVIRONMENT, "TERM": "xterm"},
            start_new_session=True,
            **ends,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self.said += os.read(self.ours, 65536)
            except OSError:
                return

    def close(self) -> str:
        """What is wrong with how it was left; "" where nothing is."""
        after = termios.tcgetattr(self.theirs)
        os.close(self.theirs)
        self._reader.join(2)
        os.close(self.ours)
        if after != self.before:
            return "settings of the terminal changed"
        if self.said.rfind(HIDE) > self.said.rfind(SHOW):
            return "cursor hidden"
        return "traceback" if b"Traceback" in self.said or b"Exception ignored" in self.said else ""


def interrupt(words: list[str], seconds: float) -> tuple[str, str]:
    """Start a command, press Ctrl-C after some time, and say how it ended and what it said."""
    terminal = Terminal(words)
    process = terminal.process
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return "did not end", terminal.said.decode(errors="replace")
    end = time.monotonic() + ORPHANS_END_S
    while (left := list(members(process.pid))) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    wrong = terminal.close()
    said = terminal.said.decode(errors="replace")
    if left:
        return f"{len(left)} processes left", said
    if wrong == "traceback" and "sercli" not in said and any(part in said for part in PYTHON):
        return BEFORE, said
    if wrong:
        return wrong, f"{said}\n(ended with {code})"
    # A shell calls the end by the signal itself 130 as well.
    return {130: "130", -signal.SIGINT: "130", 0: "done"}.get(code, f"exit {code}"), said


TIMED = ("prepare", "train", "ensemble", "tune", "tune, 2 jobs", "evaluate", "predict")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=TIMED, default=TIMED, metavar="COMMAND", help=", ".join(TIMED))
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would pass on that it ignores it
    source = random.Random(options.seed)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="interrupt-") as folder:
        base = Path(folder)
        made = {name: list(command.words) for name, command in commands(base).items()}
        for name, words in made.items():
            subprocess.run(
                [sys.executable, "-m", "sercli", *words, "--out", base / name],
                env=ENVIRONMENT,
                check=True,
                capture_output=True,
            )
        made.pop("linguistic")
        made["tune, 2 jobs"] = [*made["tune"], "--jobs", "2"]
        made["evaluate"] = ["evaluate", "-a", str(base / "train"), "-l", str(base / "linguistic")]
        made["predict"] = ["predict", str(DEMO), "--no-asr", "--jobs", "2"]
        print(f"| command | moments | 130 | done before | {BEFORE} | other |\n|---|---|---|---|---|---|")
        for name in options.only:
            words = made[name]
            out = ["--report", str(base / "out.html")] if name == "evaluate" else ["--out", str(base / "out")]
            began = time.monotonic()
            interrupt([*words, *out], 600)
            whole_s = time.monotonic() - began
            counts: Counter[str] = Counter()
            for _ in range(options.moments):
                shutil.rmtree(base / "out", ignore_errors=True)
                how, said = interrupt([*words, *out], source.uniform(0.0, 1.0) * whole_s)
                counts[how] += 1
                if how not in FINE:
                    print(f"{name}: {how}\n{said!r}", file=sys.stderr, flush=True)
            other = {how: n for how, n in counts.items() if how not in FINE}
            bad += sum(other.values())
            told = ", ".join(f"{n} {how}" for how, n in other.items()) or 0
            fine = " | ".join(str(counts[how]) for how in FINE)
            print(f"| {name} | {options.moments} | {fine} | {told} |", flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
