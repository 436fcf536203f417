"""One `ser predict` over thousands of clips and hours of sound: does its memory stay where it is?

    python benchmarks/soak.py                 5,000 clips with a recording of 2 h in their midst, by sound alone
    python benchmarks/soak.py --words         the same with words, which takes hours

The clips are those that come with ser under many names; the recording is made of them. Memory is what the process has
in RAM (RSS, those below it included), looked at after each answer, and the most that it ever had by the system's
account. After the first 100 clips neither may grow by more than 50 MB: else the exit status is 1. Linux.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speeds.pairs import QUIET, SER, family
from speeds.sounds import link_clips, write_recording

FIRST = 100  # clips after which all is there that is needed for any
MOST_GROWTH_MB = 50.0


@dataclass(frozen=True)
class Look:
    """Memory at a moment."""

    n_clips: int  # answered
    n_answers: int
    seconds: float
    now_mb: float
    most_mb: float  # ever

    def line(self, when: str) -> str:
        """As a row of Markdown."""
        return f"| {when} | {self.n_answers:,} | {self.seconds:.0f} s | {self.now_mb:.0f} | {self.most_mb:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=5000, help=f"at least {2 * FIRST} (default 5000)")
    parser.add_argument("--hours", type=float, default=2.0, help="length of the recording (default 2)")
    parser.add_argument("--words", action="store_true", help="listen for words, too")
    parser.add_argument("--jobs", type=int, default=1, help="processes that hear (default 1)")
    arguments = parser.parse_args()
    if arguments.clips < 2 * FIRST:
        parser.error(f"--clips {arguments.clips}: must be at least {2 * FIRST}")
    with tempfile.TemporaryDirectory() as folder:
        middle = arguments.clips // 2
        clips = link_clips(Path(folder), arguments.clips)
        recording = clips[middle].with_suffix(".flac")  # comes right before the clip of that number
        write_recording(recording, hours=arguments.hours)
        looks = [
            look
            for look in _looks(Path(folder), recording, words=arguments.words, jobs=arguments.jobs)
            if look.now_mb  # once it has ended there is nothing to be seen
        ]
    before, after = looks[: FIRST + 1], looks[FIRST:]
    first, last = before[-1], after[-1]
    in_midst = [look for look in looks if look.n_clips == middle]
    print("| after | answers | time | RSS now, MB | most ever, MB |\n| --- | --- | --- | --- | --- |")
    print(looks[1].line("1 clip"))
    print(first.line(f"{FIRST} clips"))
    print(in_midst[0].line(f"{middle:,} clips"))
    print(in_midst[-1].line(f"the recording of {arguments.hours:g} h"))
    print(last.line("all"))
    level = max(look.now_mb for look in after) - first.now_mb
    growth = max(level, last.most_mb - first.most_mb)
    print(
        f"\nAfter the first {FIRST} clips memory rose by {growth:.0f} MB at the most "
        f"(aim: {MOST_GROWTH_MB:.0f}); at the end it stood {last.now_mb - first.now_mb:+.0f} MB from there."
    )
    sys.exit(growth > MOST_GROWTH_MB)


def _looks(folder: Path, recording: Path, *, words: bool, jobs: int) -> Iterator[Look]:
    """A look after each answer, the first before there is any.

    Raises:
        SystemExit: the command fails, or does not answer.
    """
    ask = [*SER, "predict", str(folder), "--json", "--jobs", str(jobs)]
    began = time.monotonic()
    with subprocess.Popen(ask + ["--no-asr"] * (not words), stdout=subprocess.PIPE, env=QUIET) as process:
        assert process.stdout is not None
        yield _look(process.pid, 0, 0, began)
        names: set[str] = set()
        for n, line in enumerate(process.stdout, start=1):
            names.add(json.loads(line)["path"])
            yield _look(process.pid, len(names - {str(recording)}), n, began)
    if process.returncode:
        raise SystemExit(f"ser predict ended with {process.returncode}; its own message stands above.")


def _look(pid: int, n_clips: int, n_answers: int, began: float) -> Look:
    sizes = [_sizes_mb(one) for one in family(pid)]
    return Look(n_clips, n_answers, time.monotonic() - began, *(sum(column) for column in zip(*sizes, strict=True)))


def _sizes_mb(pid: int) -> tuple[float, float]:
    """What a process has in RAM, and the most that it had; nothing of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    facts = dict(line.split(":", 1) for line in lines)
    now, most = (int(facts.get(name, "0 kB").split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


if __name__ == "__main__":
    main()
