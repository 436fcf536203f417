"""Features of any length as padded, scaled batches, and what a network makes of them."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sercli.types import Array

_BATCH = 32

with warnings.catch_warnings():  # uses up torch's one warning about read-only arrays; nothing writes to the features
    warnings.simplefilter("ignore")
    torch.from_numpy(np.frombuffer(b"0", np.uint8))


@dataclass(frozen=True)
class Normaliser:
    """Standardisation with the statistics of a train part: (x - mean) * scale, both (F,) float32."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, features: Sequence[Array], kind: str) -> "Normaliser":
        """Return the normaliser with the statistics of all frames.

        Args:
            features: of the N utterances of the train part, each (T, F).
            kind: "feature": mean and deviation of each column; "global": the same for all columns; "none": no change.
        """
        n_features = features[0].shape[1]
        if kind == "none":
            return cls(np.zeros(n_features, np.float32), np.ones(n_features, np.float32))
        total, squares, count = np.zeros(n_features), np.zeros(n_features), 0
        for utterance in features:
            frames = utterance.astype(np.float64)
            total += frames.sum(axis=0)
            squares += np.einsum("tf,tf->f", frames, frames)
            count += len(frames)
        if kind == "global":
            total, squares = np.full_like(total, total.mean()), np.full_like(squares, squares.mean())
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        # A constant feature becomes 0 instead of being divided by almost 0.
        scale = np.where(std > 1e-6 * (1.0 + np.abs(mean)), 1.0 / np.maximum(std, 1e-12), 0.0)
        return cls(mean.astype(np.float32), scale.astype(np.float32))


@dataclass(frozen=True)
class Examples:
    """The inputs of a network for N utterances, and their classes."""

    inputs: tuple[Sequence[Array], ...]  # for each input of the network N arrays (T, F)
    normalisers: tuple[Normaliser, ...]  # one for each input
    y: Array = field(default_factory=lambda: np.zeros(0, np.int64))  # (N,) class indices; empty where unknown
    targets: Array | None = None  # (N, K) float32, each row sums to 1: what training aims at; None: y
    dimensions: Array | None = None  # (N, D) float32, a second target; NaN: not known

    def __len__(self) -> int:
        return len(self.inputs[0])

    def scaled(self) -> Iterator[Array]:
        """The first input of each utterance, (T, F) float32 as the network gets it."""
        normaliser = self.normalisers[0]
        for features in self.inputs[0]:
            yield (features.astype(np.float32) - normaliser.mean) * normaliser.scale


@dataclass(frozen=True)
class Batch:
    """B examples: `module(*inputs)` returns their scores (B, K)."""

    inputs: tuple[Tensor, ...]  # x (B, T, F) and lengths (B,), for each input in turn
    indices: Array  # (B,) positions among the examples
    y: Tensor | None  # (B,)


@torch.inference_mode()
def run(module: torch.nn.Module, examples: Examples, device: torch.device) -> tuple[Array, Array]:
    """Probabilities (N, K) float64 and embeddings (N, E) float32, in the order of the examples."""
    module.eval()
    probs: list[Array] = []
    embeddings: list[Array] = []
    order: list[Array] = []
    for batch in evaluation_batches(examples, _BATCH, device):
        embedding = module.encode(*batch.inputs)  # type: ignore[operator]
        scores = module.classifier(embedding).double()  # type: ignore[operator]
        probs.append(torch.softmax(scores, dim=1).cpu().numpy())
        embeddings.append(embedding.float().cpu().numpy())
        order.append(batch.indices)
    back = np.argsort(np.concatenate(order))
    return np.concatenate(probs)[back], np.concatenate(embeddings)[back]


def evaluation_batches(examples: Examples, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """All examples once, sorted by length."""
    order = np.argsort([len(features) for features in examples.inputs[0]], kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        parts = zip(examples.inputs, examples.normalisers, strict=True)
        padded = [pad([features[i] for i in indices], normaliser) for features, normaliser in parts]
        yield make_batch(padded, examples, indices, device)


def make_batch(
    padded: Iterable[tuple[Array, Array]], examples: Examples, indices: Array, device: torch.device
) -> Batch:
    """The batch of some examples on a device, from x (B, T, F) and lengths (B,) of each input."""
    tensors = tuple(torch.from_numpy(array).to(device) for arrays in padded for array in arrays)
    y = torch.from_numpy(examples.y[indices]).to(device) if len(examples.y) else None
    return Batch(tensors, indices, y)


def pad(features: Sequence[Array], normaliser: Normaliser, *, few_widths: bool = False) -> tuple[Array, Array]:
    """B arrays (T, F) scaled as (B, T, F) float32 with zeros behind each, and their lengths (B,), 0: no input.

    With `few_widths` T is one of eight numbers an octave, since torch compiles kernels for each T it meets.
    """
    lengths = np.array([len(utterance) for utterance in features], np.int64)
    n = max(1, int(lengths.max()))
    n += -n % (1 << max(0, n.bit_length() - 4)) if few_widths else 0
    x = np.zeros((len(features), n, features[0].shape[1]), np.float32)
    for row, utterance in zip(x, features, strict=True):
        target = row[: len(utterance)]
        torch.from_numpy(target).copy_(torch.from_numpy(utterance))  # nine times as fast as numpy from float16
        target -= normaliser.mean
    x *= normaliser.scale
    return x, lengths
