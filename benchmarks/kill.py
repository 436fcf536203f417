"""Kill commands at random moments (SIGKILL), repeat them until they are done, compare with an undisturbed run.

python benchmarks/kill.py --moments 50

Each of prepare, train, tune and ensemble is killed up to three times, anywhere in the time that it has left, before it
may end. Every other kill takes the first process alone, so that those that it started have to see to themselves. Then
all that was written must be what an undisturbed run writes: the features, the weights and the answers to the byte; of a
study no finished trial may be lost or counted twice. Prints a Markdown table.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sercli._system import arrays

KILLS_IN_A_ROW = 3
ORPHANS_END_S = 10.0  # by then processes whose first one was killed must have ended
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
N_TRIALS = 5


@dataclass(frozen=True)
class Command:
    """What is killed, and what it must have written in the end."""

    words: tuple[str, ...]  # of the command line, without --out
    result: Callable[[Path], dict[str, str]]  # file -> what must be the same
    finished: Callable[[Path], dict[int, float]] = field(default=lambda out: {})  # trials that must not be lost


@dataclass
class Tally:
    """What became of a command."""

    kills: int = 0
    sequences: int = 0
    differences: list[str] = field(default_factory=list)
    orphans: int = 0
    litter: int = 0
    undisturbed_s: float = 0.0


def digest(path: Path) -> str:
    """Of what a file says, times and versions left out."""
    content = path.read_bytes()
    if path.name == "history.jsonl":
        lines = [json.loads(line) for line in content.splitlines()]
        content = json.dumps([{**line, "seconds": 0} for line in lines]).encode()
    elif path.name == "run.json":
        content = json.dumps({**json.loads(content), "versions": {}}).encode()
    elif path.suffix == ".npz":  # its archive tells the time
        content = b"".join(name.encode() + np.ascontiguousarray(a).tobytes() for name, a in arrays.read(path).items())
    return hashlib.sha256(content).hexdigest()


def files(out: Path) -> dict[str, str]:
    """All files of a result but pictures, events and hidden ones."""
    names = (p for p in sorted(out.rglob("*")) if p.is_file() and p.name[0] != "." and p.suffix != ".png")
    return {p.relative_to(out).as_posix(): digest(p) for p in names if "tensorboard" not in p.parts}


def study(out: Path) -> dict[str, str]:
    """How many trials of a study count; their values depend on where the search was taken up."""
    return {"trials that count": str(len(trials(out)))}


def trials(out: Path) -> dict[int, float]:
    """Number and value of each trial that is complete or was pruned."""
    if not (out / "study.db").exists():
        return {}
    query = (
        "select t.number, coalesce(v.value, 0) from trials t left join trial_values v on v.trial_id = t.trial_id "
        "where t.state in ('COMPLETE', 'PRUNED')"
    )
    with closing(sqlite3.connect(out / "study.db", timeout=30)) as base:
        try:
            rows = base.execute(query).fetchall()
        except sqlite3.OperationalError:  # killed before the tables were there
            return {}
    assert len(rows) == len(dict(rows)), "a trial is there twice"
    return {int(number): float(value) for number, value in rows}


def start(command: Command, out: Path) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "sercli", *command.words, "--out", str(out)]
    return subprocess.Popen(
        words, env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def run(command: Command, out: Path) -> float:
    """Let a command end by itself; how long it took."""
    began = time.monotonic()
    process = start(command, out)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command.words)} ended with {process.returncode}: {said.decode()[-2000:]}")
    return time.monotonic() - began


def members(session: int) -> Iterator[int]:
    """Processes of a session that are still at work."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                yield int(entry.name)


def kill(process: "subprocess.Popen[bytes]", *, all_of_them: bool) -> int:
    """Kill a command, and see how many processes it leaves behind for long."""
    session = process.pid
    if all_of_them:
        os.killpg(session, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
    end = time.monotonic() + ORPHANS_END_S
    while (left := list(members(session))) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


def sequence(
    command: Command, out: Path, want: dict[str, str], source: random.Random, kills: int, tally: Tally
) -> None:
    """Kill a command some times, then let it end and compare."""
    known: dict[int, float] = {}
    for _ in range(kills):
        process = start(command, out)
        try:
            process.wait(source.uniform(0.1, 1.0) * tally.undisturbed_s)
            process.communicate()
            break  # it was quicker
        except subprocess.TimeoutExpired:
            tally.orphans += kill(process, all_of_them=tally.kills % 2 == 0)
            tally.kills += 1
        for number, value in command.finished(out).items():
            if known.setdefault(number, value) != value:
                tally.differences.append(f"trial {number} changed")
    run(command, out)
    tally.sequences += 1
    tally.litter += sum(1 for p in out.rglob(".*.tmp"))
    found = command.result(out)
    tally.differences += [name for name in sorted(want.keys() | found.keys()) if want.get(name) != found.get(name)]
    after = command.finished(out)
    tally.differences += [f"trial {n} lost" for n, value in known.items() if after.get(n) != value]


def commands(base: Path) -> dict[str, Command]:
    """The four, on the demo corpus; what a later one needs of an earlier one lies in `base`."""
    data, quick = str(base / "prepare"), ("--set", "architecture.hidden_size=8")
    sides = ("-a", str(base / "train"), "-l", str(base / "linguistic"))
    return {
        "prepare": Command(("prepare", "demo", "--features", "lld,log-mel,words", "--jobs", "2"), files),
        "train": Command(("train", "-m", "acoustic-lld", "--data", data, "--set", "train.epochs=12", *quick), files),
        "linguistic": Command(("train", "-m", "linguistic", "--data", data, "--set", "train.epochs=4", *quick), files),
        "ensemble": Command(
            ("ensemble", *sides, "--data", data, "--rule", "feature", "--set", "train.epochs=40"), files
        ),
        "tune": Command(
            ("tune", "-m", "linguistic", "--data", data, "--trials", str(N_TRIALS), "--set", "train.epochs=3"),
            study,
            trials,
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50, help="kills in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        base = Path(folder)
        made = commands(base)
        tallies = {name: Tally() for name in made}
        wanted = {}
        for name, command in made.items():
            tallies[name].undisturbed_s = run(command, base / name)
            wanted[name] = command.result(base / name)
        killed = [name for name in made if name != "linguistic"]
        for number, name in enumerate(killed):
            tally = tallies[name]
            share = options.moments * (number + 1) // len(killed) - options.moments * number // len(killed)
            while tally.kills < share:
                kills = min(source.randint(1, KILLS_IN_A_ROW), share - tally.kills)
                out = base / "killed"
                sequence(made[name], out, wanted[name], source, kills, tally)
                shutil.rmtree(out)
            print(f"{name}: {tally}", file=sys.stderr, flush=True)
    print("| command | undisturbed | moments killed | results | differ | processes left | temporary files left |")
    print("|---|---|---|---|---|---|---|")
    for name in killed:
        tally = tallies[name]
        print(
            f"| {name} | {tally.undisturbed_s:.1f} s | {tally.kills} | {tally.sequences} | {len(tally.differences)} "
            f"| {tally.orphans} | {tally.litter} |"
        )
    sys.exit(any(t.differences or t.orphans for t in tallies.values()))


if __name__ == "__main__":
    main()
