"""The original study's network: convolutions and max-pools over a spectrogram of fixed size, then a linear layer."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, time_mask
from sercli.contracts import SearchSpace
from sercli.types import Depth, Dropout, NonNegativeInt, PictureSide, PositiveInt


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the defaults are the original's."""

    n_frames: PictureSide = 128  # longer input is cut, shorter input is padded with zeros
    n_blocks: Depth = 4  # each a convolution, ReLU and a max-pool that halves both sides
    n_filters: PositiveInt = 8  # per convolution
    kernel: PositiveInt = 3  # kernel size; an odd number
    fc_size: NonNegativeInt = 0  # width of a fully connected layer before the classifier; 0: none
    dropout: Dropout = 0.0  # on the flattened feature maps


SEARCH_SPACE: SearchSpace = {
    "n_blocks": (3, 5),
    "n_filters": [8, 16, 32],
    "kernel": [3, 5],
    "fc_size": [0, 64, 128],
    "dropout": (0.0, 0.6),
}


class Cnn(Classifier):
    """(B, T, F) -> picture (B, 1, n_frames, F) -> blocks -> flatten -> linear."""

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        height, width = config.n_frames, n_features
        layers: list[nn.Module] = []
        for block in range(config.n_blocks):
            n_in = 1 if block == 0 else config.n_filters
            layers += [nn.Conv2d(n_in, config.n_filters, config.kernel, padding=config.kernel // 2), nn.ReLU()]
            layers += [nn.MaxPool2d(2, ceil_mode=True)]
            height, width = _halved(height, config.kernel), _halved(width, config.kernel)
        n_flat = config.n_filters * height * width
        super().__init__(config.fc_size or n_flat, n_labels)
        self.n_frames = config.n_frames
        self.blocks = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(config.dropout))
        self.fc = nn.Sequential(nn.Linear(n_flat, config.fc_size), nn.ReLU()) if config.fc_size else nn.Identity()

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), (B,) -> (B, E)."""
        x = x * time_mask(lengths, x.shape[1])[:, :, None]
        short = self.n_frames - x.shape[1]
        x = nn.functional.pad(x, (0, 0, 0, short)) if short > 0 else x[:, : self.n_frames]
        embedding: Tensor = self.fc(self.blocks(x[:, None]))
        return torch.flatten(embedding, 1)


build = Cnn


def _halved(size: int, kernel: int) -> int:
    """Return a feature map's side after a convolution, which keeps it (odd kernel), and a pool that rounds up."""
    after_convolution = size + 2 * (kernel // 2) - kernel + 1
    return (after_convolution + 1) // 2
