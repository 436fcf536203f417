"""A network that classifies each frame with its neighbours, and averages the frames' probabilities.

Source: Fayek et al. 2017, "Evaluating deep learning architectures for speech emotion recognition".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, Encoder, Sizes, frame_weights, weighted_mean
from sercli.contracts import SearchSpace
from sercli.types import Dropout, PositiveInt


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    filters: tuple[PositiveInt, ...] = (16, 32)  # of each convolution
    frames: PositiveInt = 11  # that the first convolution sees; an odd number
    bands: PositiveInt = 5  # features that a convolution sees; an odd number
    fc_size: PositiveInt = 512  # width of both layers on each frame
    dropout: Dropout = 0.4  # between layers
    max_frames: PositiveInt = 1500  # longer input is cut


SEARCH_SPACE: SearchSpace = {"fc_size": [128, 256, 512], "dropout": (0.0, 0.6)}


class FramePosteriors(Classifier):
    """(B, T, F) -> convolutions and layers on each frame -> probabilities (B, T', K) -> mean (B, K).

    The embedding is the logarithm of the mean, and the classifier on it is the identity, which is not trained.
    """

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        super().__init__(n_labels, n_labels)
        size = config.fc_size
        kernel = (config.frames // 2 * 2 + 1, config.bands // 2 * 2 + 1)
        sizes = Sizes(
            config.filters, kernel, (2, 2), 1, (size, size), "none", 1, "mean", False, config.dropout, config.max_frames
        )
        self.max_frames = config.max_frames
        self.encoder = Encoder(sizes, n_features)
        self.frame_classifier = nn.Linear(size, n_labels)
        self.fix_classifier(torch.eye(n_labels))

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), (B,) -> (B, K) logarithms of the mean probabilities."""
        scores, weights = self._frames(x, lengths)
        return weighted_mean(torch.softmax(scores, dim=2), weights).clamp(min=1e-12).log()

    def loss(self, targets: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
        """Mean over the frames of each frame's cross-entropy; targets (B, K)."""
        scores, weights = self._frames(x, lengths)
        each = -(torch.log_softmax(scores, dim=2) * targets[:, None]).sum(dim=2)  # (B, T')
        return (each * weights).sum(dim=1).mean()

    def _frames(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F), (B,) -> (B, T', K) scores of frames, and their weights (B, T')."""
        states, lengths = self.encoder.states(x, lengths.clamp(max=self.max_frames))
        return self.frame_classifier(states), frame_weights(None, states, lengths)


build = FramePosteriors
