"""Every two classes told apart by a straight line of their own, on an utterance's mean frame brought to unit length.

Made for voices, rooms and microphones that are unlike those of the training. A softmax over all classes lets one score
rise against all others at once, as it does when a whole corpus sounds angrier than another; here a line is drawn on
the examples of its two classes alone (Friedman 1996, "Another approach to polychotomous classification"). The unit
length leaves the direction of a mean and takes away how far it strays, and the direction along which utterances of one
class differ most, which is where and by whom they were recorded, is taken out.

Train it by `train.optimiser` "sgd": Adam's steps, alike in all columns, lean on the faint ones, which differ most from
corpus to corpus.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, frame_weights, weighted_mean
from sercli.types import Array, Dropout


@dataclass(frozen=True)
class Config:
    """What is kept from the lines."""

    n_removed: Annotated[int, Meta(ge=0, le=64)] = 1  # directions in which utterances of one class differ most
    input_dropout: Dropout = 0.0  # on the mean frame


def search_space(trial: Any) -> dict[str, Any]:
    """What `ser tune` varies."""
    return {"input_dropout": trial.suggest_float("architecture.input_dropout", 0.0, 0.5)}


def build(config: Config, n_features: int, n_labels: int) -> "OneVsOne":
    """Make the network for (B, T, n_features) input and n_labels classes."""
    return OneVsOne(config, n_features, n_labels)


def start(module: "OneVsOne", rows: Iterable[Array], y: Array) -> None:
    """Measure on the train part how means lie, and in which directions they differ within the classes.

    Args:
        module: as `build` makes it.
        rows: (T, F) of each utterance, scaled.
        y: (N,) class indices.
    """
    means = torch.from_numpy(np.stack([row.mean(axis=0, dtype=np.float64) for row in rows]))  # (N, F)
    module.centre.copy_(means.mean(dim=0))
    deviation = means.std(dim=0, correction=0)
    module.scale.copy_(torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0))
    unit = nn.functional.normalize((means - module.centre) * module.scale, dim=1)
    within = torch.cat([unit[y == k] - unit[y == k].mean(dim=0) for k in np.unique(y)])
    n_removed = min(len(module.removed), *within.shape)
    _, vectors = torch.linalg.eigh(within.T @ within)  # the largest come last
    module.removed[:n_removed].copy_(vectors.T[len(vectors) - n_removed :])


class OneVsOne(Classifier):
    """(B, T, F) -> mean (B, F) of unit length -> log-odds of each pair (B, K (K - 1) / 2) -> their sums (B, K)."""

    centre: Tensor
    scale: Tensor
    removed: Tensor

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        pairs = list(combinations(range(n_labels), 2))
        super().__init__(len(pairs), n_labels)
        self.first = [a for a, _ in pairs]
        self.second = [b for _, b in pairs]
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.register_buffer("removed", torch.zeros(config.n_removed, n_features))  # rows of unit length, or nothing
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.lines = nn.Linear(n_features, len(pairs))
        # A class's score is the sum of its log-odds against the others; divided by K it is the softmax's own score
        # where the pairs agree with one another, since the log-odds of a against b are then score a - score b.
        with torch.no_grad():
            signs = torch.zeros(n_labels, len(pairs))
            for pair, (a, b) in enumerate(pairs):
                signs[a, pair], signs[b, pair] = 1 / n_labels, -1 / n_labels
            self.classifier.weight.copy_(signs)
            self.classifier.bias.zero_()
        self.classifier.requires_grad_(False)

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), (B,) -> (B, K (K - 1) / 2): for each pair, how surely it is the first of the two."""
        mean = weighted_mean(x, frame_weights(None, x, lengths))
        unit = nn.functional.normalize((mean - self.centre) * self.scale, dim=1)
        kept = nn.functional.normalize(unit - unit @ self.removed.T @ self.removed, dim=1)
        odds: Tensor = self.lines(self.input_dropout(kept))
        return odds

    def loss(self, targets: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
        """Cross-entropy of each pair on the share of the targets (B, K) that its two classes have."""
        odds = self.encode(x, lengths)
        for_first = targets[:, self.first] * nn.functional.logsigmoid(odds)
        for_second = targets[:, self.second] * nn.functional.logsigmoid(-odds)
        return -(for_first + for_second).sum(dim=1).mean() / max(1, targets.shape[1] - 1)
