"""Features of any length into padded, scaled, optionally augmented batches."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from torch import Tensor

from sercli.types import Array, TrainConfig

_POOL = 16  # batches are formed among this many neighbours of like length, to pad little and still shuffle


@dataclass(frozen=True)
class Normaliser:
    """Standardisation with the statistics of a train part: (x - mean) * scale, each (F,) float32."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, rows: Sequence[Array], kind: str) -> "Normaliser":
        """Measure mean and deviation over all frames of the rows.

        Args:
            rows: of the train part, each (T, F).
            kind: "feature": each column by its own; "global": all by one mean and deviation; "none": no change.
        """
        n_features = rows[0].shape[1]
        if kind == "none":
            return cls(np.zeros(n_features, np.float32), np.ones(n_features, np.float32))
        total, squares, count = np.zeros(n_features), np.zeros(n_features), 0
        for row in rows:
            frames = row.astype(np.float64)
            total += frames.sum(axis=0)
            squares += np.einsum("tf,tf->f", frames, frames)
            count += len(frames)
        if kind == "global":
            total, squares = np.full_like(total, total.mean()), np.full_like(squares, squares.mean())
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        # A column that never changes says nothing: it becomes 0, not a division by almost nothing.
        scale = np.where(std > 1e-6 * (1.0 + np.abs(mean)), 1.0 / np.maximum(std, 1e-12), 0.0)
        return cls(mean.astype(np.float32), scale.astype(np.float32))


@dataclass(frozen=True)
class Examples:
    """What a network is fed from: for each of its inputs the rows of N utterances, and their classes."""

    inputs: tuple[Sequence[Array], ...]  # each N rows of (T, F)
    normalisers: tuple[Normaliser, ...]  # one an input
    y: Array = field(default_factory=lambda: np.zeros(0, np.int64))  # (N,) class indices; empty where unknown

    def __len__(self) -> int:
        return len(self.inputs[0])

    def scaled(self) -> Iterator[Array]:
        """The rows of the first input, each (T, F) float32 as a network gets it."""
        normaliser = self.normalisers[0]
        for row in self.inputs[0]:
            yield (row.astype(np.float32) - normaliser.mean) * normaliser.scale


@dataclass(frozen=True)
class Batch:
    """One step's worth: `module(*inputs)` gives its scores."""

    inputs: tuple[Tensor, ...]  # x (B, T, F) and lengths (B,), for each input in turn
    rows: Array  # (B,) which of the examples
    y: Tensor | None  # (B,)


def training_batches(
    examples: Examples, config: TrainConfig, generator: np.random.Generator, device: torch.device
) -> Iterator[Batch]:
    """All examples once, shuffled, in batches of like length, augmented as the configuration says."""
    order = generator.permutation(len(examples))
    lengths = np.array([len(row) for row in examples.inputs[0]])
    pool = config.batch_size * _POOL
    near = [
        block[np.argsort(lengths[block], kind="stable")] for block in np.split(order, range(pool, len(order), pool))
    ]
    chunks = [c for block in near for c in np.split(block, range(config.batch_size, len(block), config.batch_size))]
    for number in generator.permutation(len(chunks)):
        if len(chunks[number]):
            yield _collate(examples, chunks[number], device, config, generator)


def evaluation_batches(examples: Examples, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """All examples once, sorted by length, as they are."""
    lengths = np.array([len(row) for row in examples.inputs[0]])
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield _collate(examples, order[start : start + batch_size], device)


def _collate(
    examples: Examples,
    chosen: Array,
    device: torch.device,
    config: TrainConfig | None = None,
    generator: np.random.Generator | None = None,
) -> Batch:
    tensors: list[Tensor] = []
    for rows, normaliser in zip(examples.inputs, examples.normalisers, strict=True):
        picked = [rows[i] for i in chosen]
        if config is not None and generator is not None and config.stretch:
            picked = [_stretched(row, 1 + generator.uniform(-config.stretch, config.stretch)) for row in picked]
        x, lengths = _padded(picked, normaliser)
        if config is not None and generator is not None:
            _augment(x, lengths, config, generator)
        tensors += [torch.from_numpy(x).to(device), torch.from_numpy(lengths).to(device)]
    y = torch.from_numpy(examples.y[chosen]).to(device) if len(examples.y) else None
    return Batch(tuple(tensors), chosen, y)


def _padded(rows: Sequence[Array], normaliser: Normaliser) -> tuple[Array, Array]:
    """Scale the rows and lay them side by side: (B, T, F) float32 with zeros behind each, and (B,) lengths."""
    _hush()
    lengths = np.array([len(row) for row in rows], np.int64)
    x = np.zeros((len(rows), int(lengths.max()), rows[0].shape[1]), np.float32)
    for position, row in enumerate(rows):
        place = x[position, : len(row)]
        torch.from_numpy(place).copy_(torch.from_numpy(row))  # makes float32 of float16 nine times as fast as numpy
        place -= normaliser.mean
    x *= normaliser.scale
    return x, lengths


@cache
def _hush() -> None:
    """Let torch say here, unheard, what it says once a process: that an array is read-only. Nobody writes to rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.from_numpy(np.frombuffer(b"0", np.uint8))


def _augment(x: Array, lengths: Array, config: TrainConfig, generator: np.random.Generator) -> None:
    """Shift along F, noise, and SpecAugment's masks (Park et al. 2019), in place; padding stays zero."""
    n_features = x.shape[2]
    for row, length in zip(x, lengths, strict=True):
        if config.shift:
            row[:length] = _shifted(row[:length], int(generator.integers(-config.shift, config.shift + 1)))
        if config.feature_noise:
            row[:length] += generator.normal(0.0, config.feature_noise, (length, n_features)).astype(np.float32)
        for _ in range(config.time_masks):
            start, stop = _stretch_of(int(length), config.time_mask_fraction, generator)
            row[start:stop] = 0.0
        for _ in range(config.feature_masks):
            start, stop = _stretch_of(n_features, config.feature_mask_fraction, generator)
            row[:, start:stop] = 0.0


def _stretch_of(size: int, fraction: float, generator: np.random.Generator) -> tuple[int, int]:
    width = int(generator.integers(0, int(size * fraction) + 1))
    start = int(generator.integers(0, size - width + 1))
    return start, start + width


def _shifted(row: Array, by: int) -> Array:
    """Move along F; the edge's value fills what is left free."""
    columns = np.clip(np.arange(row.shape[1]) - by, 0, row.shape[1] - 1)
    moved: Array = row[:, columns]
    return moved


def _stretched(row: Array, factor: float) -> Array:
    """Change the tempo by taking the nearest frame at each new moment."""
    n = max(1, round(len(row) * factor))
    moments = np.minimum((np.arange(n) / factor).astype(np.int64), len(row) - 1)
    changed: Array = row[moments]
    return changed
