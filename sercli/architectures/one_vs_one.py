"""One-vs-one linear classifiers on an utterance's mean frame, which is scaled to unit length.

Made for unseen speakers, rooms and microphones. A softmax over all classes lets one score rise against all others at
once, as it does when a whole corpus sounds angrier than another; here each classifier is trained on the examples of its
two classes only (Friedman 1996, "Another approach to polychotomous classification"). Unit length keeps the direction of
a mean and drops its distance. The directions in which utterances of one class differ most are removed: they encode the
speaker and the room.

Train it with `train.optimiser` "sgd": Adam steps equally far in all columns and so favours those of low variance,
which differ most between corpora.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, frame_weights, weighted_mean
from sercli.contracts import SearchSpace
from sercli.types import Array, Dropout


@dataclass(frozen=True)
class Config:
    """Preprocessing of the mean frame."""

    n_removed: Annotated[int, Meta(ge=0, le=64)] = 1  # directions in which utterances of one class differ most
    input_dropout: Dropout = 0.0  # on the mean frame


SEARCH_SPACE: SearchSpace = {"input_dropout": (0.0, 0.5)}


def start(module: nn.Module, features: Iterable[Array], y: Array) -> None:
    """Compute the centre and scale of the train part's mean frames, and the directions to remove.

    Args:
        module: as `build` makes it.
        features: (T, F) of each utterance, scaled.
        y: (N,) class numbers.
    """
    means = torch.from_numpy(np.stack([frames.mean(axis=0, dtype=np.float64) for frames in features]))  # (N, F)
    centre, scale, removed = map(module.get_buffer, ("centre", "scale", "removed"))
    centre.copy_(means.mean(dim=0))
    deviation = means.std(dim=0, correction=0)
    scale.copy_(torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0))
    unit = nn.functional.normalize((means - centre) * scale, dim=1)
    within = torch.cat([unit[y == k] - unit[y == k].mean(dim=0) for k in np.unique(y)])
    n_removed = min(len(removed), *within.shape)
    _, vectors = torch.linalg.eigh(within.T @ within)  # in ascending order
    removed[:n_removed].copy_(vectors.T[len(vectors) - n_removed :])


class OneVsOne(Classifier):
    """(B, T, F) -> mean (B, F) of unit length -> log-odds of each pair (B, K (K - 1) / 2) -> sums (B, K)."""

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
        self.register_buffer("removed", torch.zeros(config.n_removed, n_features))  # each of unit length, or zero
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.lines = nn.Linear(n_features, len(pairs))
        # The score of a class is the sum of its log-odds against the others, divided by K. Where the pairs agree with
        # one another this is the score of a softmax, for the log-odds of a against b are then score a - score b.
        signs = torch.zeros(n_labels, len(pairs))
        for pair, (a, b) in enumerate(pairs):
            signs[a, pair], signs[b, pair] = 1 / n_labels, -1 / n_labels
        self.fix_classifier(signs)

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), (B,) -> (B, K (K - 1) / 2): log-odds of each pair, for its first class."""
        mean = weighted_mean(x, frame_weights(None, x, lengths))
        unit = nn.functional.normalize((mean - self.centre) * self.scale, dim=1)
        kept = nn.functional.normalize(unit - unit @ self.removed.T @ self.removed, dim=1)
        return self.lines(self.input_dropout(kept))

    def loss(self, targets: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
        """Mean cross-entropy of the pairs, each on the targets (B, K) of its two classes."""
        odds = self.encode(x, lengths)
        for_first = targets[:, self.first] * nn.functional.logsigmoid(odds)
        for_second = targets[:, self.second] * nn.functional.logsigmoid(-odds)
        return -(for_first + for_second).sum(dim=1).mean() / max(1, targets.shape[1] - 1)


build = OneVsOne
