"""Training: feeding a network, an epoch of it."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sercli import plugins
from sercli._system import limits
from sercli.types import Array, TrainConfig
from speeds.pairs import Result, alternate_apart

N_EXAMPLES = 4290  # about the train part of a fold of IEMOCAP in four classes
N_LABELS = 4
N_THREADS = 2
PICTURE = (128, 128)
LLD_FEATURES = 34


def epoch(pairs: int) -> list[Result]:
    """The CNN on pictures, the BiLSTM on descriptors: fed by ser, and by torch's DataLoader over a .npy file each.

    The same network, optimiser and batch size take the same steps. The peer's files are float32, as numpy saves them
    unasked; its batches are padded to their longest and standardised, and kept in no order of length.
    """
    random = np.random.default_rng(0)
    frames = np.clip(random.lognormal(np.log(143), 0.69, N_EXAMPLES), 23, 1363).astype(int)  # of 25 ms, as IEMOCAP's
    results = []
    for name, architecture, shapes in (
        ("CNN on 128 x 128", "cnn", [PICTURE] * N_EXAMPLES),
        ("LLD BiLSTM", "lstm", [(n, LLD_FEATURES) for n in frames]),
    ):
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), shapes)
            for what, aim, steps in (("feeding", ">= 5", False), ("epoch", ">= 1.2", True)):
                sides = [partial(side, Path(folder), architecture, steps=steps) for side in (_peer, _ours)]
                costs = alternate_apart(*sides, pairs=pairs)
                judged = "wall" if steps else "cpu"
                results.append(
                    Result(f"{name}, {N_EXAMPLES} clips, {what}, {N_THREADS} threads", aim, *costs, judged=judged)
                )
    return results


def _write(folder: Path, shapes: list[tuple[int, int]]) -> None:
    """The same rows twice: a float32 file for each clip, and all in one float16 file as ser's cache keeps them."""
    random = np.random.default_rng(1)
    noise = random.standard_normal(2 * PICTURE[0] * PICTURE[1] * 16).astype(np.float32)
    rows = []
    for n, (length, width) in enumerate(shapes):
        start = int(random.integers(0, noise.size - length * width))
        row = noise[start : start + length * width].reshape(length, width)
        np.save(folder / f"{n}.npy", row)
        rows.append(row.astype(np.float16))
    np.save(folder / "all-rows.npy", np.concatenate(rows))
    np.save(folder / "all-lengths.npy", [len(row) for row in rows])


def _network(architecture: str, width: int) -> tuple[Any, Any]:
    import torch

    torch.set_num_threads(N_THREADS)
    torch.manual_seed(0)
    plugin = plugins.load("architecture", architecture)
    module = plugin.build(plugin.Config(), width, N_LABELS).train()
    return module, torch.optim.AdamW(module.parameters(), lr=TrainConfig().lr)


def _labels() -> Array:
    return np.arange(N_EXAMPLES) % N_LABELS


def _peer(folder: Path, architecture: str, *, steps: bool) -> None:
    """As people write it."""
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from torch.utils.data import DataLoader, Dataset

    labels = _labels()

    class Clips(Dataset):
        def __len__(self) -> int:
            return N_EXAMPLES

        def __getitem__(self, n: int) -> Any:
            row = np.load(folder / f"{n}.npy")
            return torch.from_numpy((row - mean) / deviation), int(labels[n])

    def collate(items: list[Any]) -> Any:
        rows = [row for row, _ in items]
        return (
            pad_sequence(rows, batch_first=True),
            torch.tensor([len(r) for r in rows]),
            torch.tensor([label for _, label in items]),
        )

    width = np.load(folder / "0.npy", mmap_mode="r").shape[1]
    mean, deviation = np.zeros(width, np.float32), np.ones(width, np.float32)
    network = _network(architecture, width) if steps else None
    for x, lengths, y in DataLoader(Clips(), TrainConfig().batch_size, shuffle=True, collate_fn=collate):
        if network:
            _step(*network, (x, lengths), y)


def _ours(folder: Path, architecture: str, *, steps: bool) -> None:
    import torch

    from sercli.model.batches import Examples, Normaliser
    from sercli.training.batches import training_batches

    limits.keep_freed()
    stacked = np.load(folder / "all-rows.npy", mmap_mode="r")
    ends = np.cumsum(np.load(folder / "all-lengths.npy"))
    rows = [stacked[end - length : end] for end, length in zip(ends, np.diff(ends, prepend=0), strict=True)]
    width = stacked.shape[1]
    scale = Normaliser(np.zeros(width, np.float32), np.ones(width, np.float32))
    examples = Examples((rows,), (scale,), _labels())
    network = _network(architecture, width) if steps else None
    for batch in training_batches(examples, TrainConfig(), np.random.default_rng(0), torch.device("cpu")):
        if network:
            _step(*network, batch.inputs, batch.y)


def _step(module: Any, optimiser: Any, inputs: Any, y: Any) -> float:
    from torch import nn

    loss = nn.functional.cross_entropy(module(*inputs), y)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())
