"""An epoch of training at IEMOCAP's size, by an older checkout of ser and by this one in turn.

python benchmarks/epochs.py OLD [--pairs 5] [--threads 1] [--presets acoustic-whisper,acoustic-lld,linguistic]

OLD is a folder with another commit (`git worktree add OLD COMMIT`). Each epoch, with its validation, runs in a fresh
process on random features of 4,290 clips of 0.6 to 34 s (mean 4.5), after an epoch to warm up, of a fourth of the clips
for acoustic-whisper. Its copies at other speeds are left out. Prints a row of Markdown for each preset.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

N_CLIPS = 4290
N_VALID = 500
WIDTHS = {"acoustic-whisper": (50 / 8, 3584), "acoustic-lld": (40.0, 34), "linguistic": (2.5, 101)}
"""Of each preset: frames or words a second, and features."""


def main() -> None:
    """Measure in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--presets", default=",".join(WIDTHS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(epoch(options.one)))
        return
    from speeds.pairs import HEADER, Cost, Result, alternate

    def side(root: str | Path, preset: str) -> Cost:
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": str(options.threads)}
        if root == options.old:
            environment["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "64"  # as `ser train` had it
        words = (sys.executable, "-P", __file__, options.old, "--one", preset)
        return Cost(*json.loads(subprocess.check_output(words, env=environment)))

    print(HEADER)
    new = Path(__file__).resolve().parents[1]
    for preset in options.presets.split(","):
        costs = alternate(
            lambda preset=preset: side(options.old, preset),
            lambda preset=preset: side(new, preset),
            pairs=options.pairs,
            warm_up=False,
        )
        judged = "cpu" if options.threads == 1 else "wall"
        print(Result(f"`{preset}`, {options.threads} thread(s)", ">= 1.5", *costs, judged=judged).line(), flush=True)


def epoch(preset: str) -> tuple[float, float]:
    """Seconds of all threads and of wall time of the second epoch of a preset."""
    from sercli._system import limits

    limits.set_environment(few_kernels=False)
    import numpy as np
    import torch

    from sercli.model import spec
    from sercli.model.batches import Examples, Normaliser
    from sercli.training.trainer import Trainer

    limits.keep_freed()
    rate, width = WIDTHS[preset]
    rng = np.random.default_rng(0)
    lengths = np.ceil(np.clip(rng.lognormal(np.log(3.58), 0.7, N_CLIPS), 0.585, 34.1) * rate).astype(int)
    noise = rng.standard_normal(1 << 25).astype(np.float16)
    starts = rng.integers(0, noise.size - lengths * width)
    clips = [noise[s : s + n * width].reshape(n, width) for s, n in zip(starts, lengths, strict=True)]
    normalisers = (Normaliser(np.zeros(width, np.float32), np.ones(width, np.float32)),)
    y = rng.integers(4, size=N_CLIPS)
    config = spec.resolve(preset, None, {"train": {"epochs": 1}})
    module = spec.network(config.model, [width], 4)
    spent = []
    for n_train in (N_CLIPS // 4 if preset == "acoustic-whisper" else N_CLIPS, N_CLIPS):
        train, valid = (Examples((clips[:n],), normalisers, y[:n]) for n in (n_train, N_VALID))
        trainer = Trainer(module, train, valid, config.train, seed=0, device=torch.device("cpu"))
        cpu, wall = time.process_time(), time.perf_counter()
        list(trainer.epochs())
        spent = [time.process_time() - cpu, time.perf_counter() - wall]
    return spent[0], spent[1]


if __name__ == "__main__":
    main()
