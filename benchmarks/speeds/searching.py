"""`ser tune`: processes that share a study and end trials early, against the same trials one after the other."""

import os
import sys
import tempfile
from pathlib import Path

from speeds.pairs import SER, Cost, Result, alternate, command

PRESET = "acoustic-lld"
SETTINGS = ("--set", "train.epochs=20")
N_TRIALS = 20
JOBS = 2
MOST_PAIRS = 5  # a pair takes minutes
TRIALS_ALONE = Path(__file__).with_name("trials_alone.py")
# torch takes all cores where trials come one after the other; processes that share a study take one each by themselves.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def tune(pairs: int) -> list[Result]:
    """Twenty trials of the LLD BiLSTM on the corpus that comes with ser.

    Both sides try the same parameters, drawn at random beforehand: what a search proposes goes by what it has seen, and
    two searches would not try the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "demo"
        command(*SER, "prepare", "demo", "--out", data, "--features", "lld")()
        trials = ("--trials", str(N_TRIALS))
        alone = (sys.executable, TRIALS_ALONE, data, PRESET, *SETTINGS, *trials)
        numbers = iter(range(pairs + 1))

        def ours() -> Cost:
            out = Path(folder) / f"study-{next(numbers)}"
            command(*alone, "--enqueue", out)()
            words = ("tune", "-m", PRESET, *SETTINGS, "--data", data, "--out", out)
            return command(*SER, *words, *trials, "--jobs", str(JOBS), env=ENVIRONMENT)()

        peer = command(*alone, env=ENVIRONMENT)
        costs = alternate(peer, ours, pairs=min(pairs, MOST_PAIRS), warm_up=False)
    return [
        Result(
            f"`tune`, {N_TRIALS} trials, {JOBS} jobs, against the same trials one after the other without pruning",
            ">= 2",
            *costs,
            judged="wall",
        )
    ]
