"""Shuffled and augmented batches of the train part."""

from collections.abc import Iterator

import numpy as np
import torch

from sercli.model.batches import Batch, Examples, make_batch, pad
from sercli.types import Array, TrainConfig

_POOL = 64  # batches are formed among so many batches' worth of shuffled examples, sorted by length to pad little


def training_batches(
    examples: Examples, config: TrainConfig, generator: np.random.Generator, device: torch.device
) -> Iterator[Batch]:
    """All examples once, shuffled, in batches of similar length or random ones, augmented as the configuration says."""
    order = generator.permutation(len(examples))
    if config.balanced:
        shares = 1 / np.bincount(examples.y)[examples.y]
        order = generator.choice(order, len(order), p=shares[order] / shares.sum())
    lengths = np.array([len(features) for features in examples.inputs[0]])
    n_pooled = config.batch_size * (_POOL if config.batches == "like-length" else 1)
    pools = np.split(order, range(n_pooled, len(order), n_pooled))
    by_length = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    chunks = [c for pool in by_length for c in np.split(pool, range(config.batch_size, len(pool), config.batch_size))]
    for number in generator.permutation(len(chunks)):
        if len(chunks[number]):
            padded = _augmented(examples, chunks[number], config, generator)
            yield make_batch(padded, examples, chunks[number], device)


def _augmented(
    examples: Examples, indices: Array, config: TrainConfig, generator: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """The inputs in turn, each as x (B, T, F) and lengths (B,)."""
    for features, normaliser in zip(examples.inputs, examples.normalisers, strict=True):
        chosen = [features[i] for i in indices]
        if config.stretch:
            chosen = [_stretched(f, 1 + generator.uniform(-config.stretch, config.stretch)) for f in chosen]
        x, lengths = pad(chosen, normaliser, few_widths=True)
        _mask_and_shift(x, lengths, config, generator)
        yield x, lengths


def _mask_and_shift(x: Array, lengths: Array, config: TrainConfig, generator: np.random.Generator) -> None:
    """Warp and shift along F, add noise, leave frames out and mask, in place; padding stays zero."""
    n_features = x.shape[2]
    for row, length in zip(x, lengths, strict=True):
        if config.warp:
            row[:length] = _warped(row[:length], 1 + generator.uniform(-config.warp, config.warp))
        if config.shift:
            row[:length] = _shifted(row[:length], int(generator.integers(-config.shift, config.shift + 1)))
        if config.feature_noise:
            row[:length] += generator.normal(0.0, config.feature_noise, (length, n_features)).astype(np.float32)
        if config.frame_dropout:
            row[:length][generator.random(length) < config.frame_dropout] = 0.0
        for _ in range(config.time_masks):
            row[_mask(int(length), config.time_mask_fraction, generator)] = 0.0
        for _ in range(config.feature_masks):
            row[:, _mask(n_features, config.feature_mask_fraction, generator)] = 0.0


def _mask(size: int, fraction: float, generator: np.random.Generator) -> slice:
    width = int(generator.integers(0, int(size * fraction) + 1))
    start = int(generator.integers(0, size - width + 1))
    return slice(start, start + width)


def _warped(features: Array, factor: float) -> Array:
    """(T, F) with the frequency axis stretched, by straight lines between columns; the last column fills the end."""
    places = np.minimum(np.arange(features.shape[1]) / factor, features.shape[1] - 1)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, features.shape[1] - 1)
    share = (places - below).astype(np.float32)
    return (1 - share) * features[:, below] + share * features[:, above]


def _shifted(features: Array, by: int) -> Array:
    """(T, F) moved along F; the value at the edge fills the gap."""
    columns = np.clip(np.arange(features.shape[1]) - by, 0, features.shape[1] - 1)
    return features.take(columns, axis=1)


def _stretched(features: Array, factor: float) -> Array:
    """(T, F) with another tempo, from the nearest frame at each new time."""
    n = max(1, round(len(features) * factor))
    return features.take(np.minimum((np.arange(n) / factor).astype(np.int64), len(features) - 1), axis=0)
