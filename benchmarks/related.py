"""Weights of the related works' presets, and seconds of an epoch at IEMOCAP's size on one core.

python -P benchmarks/related.py

A twentieth of an epoch is trained on random features with IEMOCAP's lengths: four sessions of the 5,531 turns of four
classes, 0.6 to 34 s (mean 4.5), 11 words in the mean. Seconds are of processor time, so that other work on the machine
does not count.
"""

import time

import numpy as np
import torch

from sercli import plugins
from sercli.model import spec
from sercli.model.batches import Examples, Normaliser
from sercli.model.papers import PAPERS
from sercli.training.trainer import Trainer
from sercli.types import AudioConfig

N_TURNS = 5_531 * 4 // 5
SHARE = 20
RATE_HZ = 16_000


def main() -> None:
    """Print a line for each preset."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    n = N_TURNS // SHARE
    seconds = np.clip(rng.lognormal(np.log(3.58), 0.7, n), 0.585, 34.1)
    words = np.clip(seconds * 2.5, 1, 100).astype(int)
    print("| preset | weights | s an epoch |\n|---|---|---|")
    for name in PAPERS:
        plan = spec.resolve(name, None, {"train": {"epochs": 1}})
        inputs = tuple(_random(*feature, seconds, words, rng) for feature in plan.model.features)
        normalisers = tuple(Normaliser.of(one, "none") for one in inputs)
        module = spec.network(plan.model, [one[0].shape[1] for one in inputs], 4)
        dimensions = rng.standard_normal((n, 2)).astype(np.float32) if plan.train.dimensions else None
        train = Examples(inputs, normalisers, rng.integers(4, size=n), dimensions=dimensions)
        valid = Examples(tuple(one[:1] for one in inputs), normalisers, train.y[:1])
        trainer = Trainer(module, train, valid, plan.train, seed=0, device=torch.device("cpu"))
        began = time.process_time()
        list(trainer.epochs())
        spent = (time.process_time() - began) * SHARE
        n_weights = sum(p.numel() for p in module.parameters() if p.requires_grad)
        print(f"| `{name}` | {n_weights:,} | {spent:.0f} |", flush=True)


def _random(
    name: str, config: object, seconds: np.ndarray, words: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Features of the shape that a feature gives for turns of these lengths."""
    plugin = plugins.feature(name)
    if not isinstance(config, AudioConfig):
        widths = {"words": 101, "motion": 189}
        lengths = np.full(len(words), 200) if name == "motion" else words
        return [rng.standard_normal((length, widths[name])).astype(np.float16) for length in lengths]
    if name == "aligned":
        return [rng.standard_normal((length, 68)).astype(np.float16) for length in words]
    extract = plugin.make(config, "cpu")
    signals = [(0.1 * rng.standard_normal(round(s * RATE_HZ))).astype(np.float32) for s in seconds]
    return [extract([signal])[0] for signal in signals]


if __name__ == "__main__":
    main()
