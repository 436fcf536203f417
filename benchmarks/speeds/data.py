"""`ser prepare` of a corpus shaped like IEMOCAP: two processes against one, memory, and a second run."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from speeds.pairs import QUIET, SER, Cost, Result, alternate, command

MAKE = Path(__file__).resolve().parent.parent / "make_iemocap.py"
FEATURES = "spectrogram,lld,log-mel"


def prepare(pairs: int) -> list[Result]:
    """5,531 utterances in four classes of 10,039, of lengths as in the release: see benchmarks/make_iemocap.py."""
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "IEMOCAP_full_release", Path(folder) / "prepared"
        subprocess.run([sys.executable, MAKE, root, "--realistic"], check=True, env=QUIET)

        def run(jobs: int) -> Cost:
            shutil.rmtree(out, ignore_errors=True)
            return _prepare(root, out, jobs)

        costs = alternate(lambda: run(1), lambda: run(2), pairs=pairs, warm_up=False)
        again = alternate(
            command(sys.executable, "-c", "import numpy, soundfile"), lambda: _prepare(root, out, 2), pairs=pairs
        )
    memory = max(c.memory_mb for side in costs for c in side)
    return [
        Result(
            "`prepare` of 5,531 utterances (7 h), 2 jobs against 1",
            ">= 1.8, memory <= 500 MB",
            *costs,
            judged="wall",
            remark=f"memory at most {memory:.0f} MB",
        ),
        Result("the same again, all of it there", "<= 5 x the import", *again, inverse=True),
    ]


def _prepare(root: Path, out: Path, jobs: int) -> Cost:
    words = ("prepare", "iemocap", root, "--out", out, "--features", FEATURES, "--jobs", str(jobs))
    return command(*SER, *words, look_at_memory=True)()
