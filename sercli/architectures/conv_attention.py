"""Convolutions over a spectrogram of any length, then attentive statistics over time.

Each block halves time and frequency and doubles the filters. The mean over frequency follows, and an attention weighs
the moments for the mean and the deviation over time (Okabe et al. 2018, "Attentive statistics pooling for deep speaker
embedding").
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sercli.architectures._layers import (
    Classifier,
    MaskedBatchNorm2d,
    SelfAttention,
    spread,
    time_mask,
    weighted_mean,
    weighted_std,
)
from sercli.contracts import SearchSpace
from sercli.types import Depth, Dropout, PositiveInt


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    n_filters: PositiveInt = 32  # of the first block; each further block has twice as many
    n_blocks: Depth = 4
    n_attention: PositiveInt = 64  # hidden units of the attention
    block_dropout: Dropout = 0.1  # of whole filters, after each block
    dropout: Dropout = 0.4  # on the pooled statistics
    max_frames: PositiveInt = 3000  # longer input is cut


SEARCH_SPACE: SearchSpace = {
    "n_filters": [16, 24, 32],
    "n_blocks": (3, 5),
    "block_dropout": (0.0, 0.3),
    "dropout": (0.0, 0.6),
}


class ConvAttention(Classifier):
    """(B, T, F) -> blocks (B, C, T', F') -> mean over F' -> attentive mean and deviation over T' -> linear."""

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        widths = [config.n_filters * 2**block for block in range(config.n_blocks)]
        super().__init__(2 * widths[-1], n_labels)
        self.config = config
        self.blocks = nn.ModuleList(_Block(n_in, n_out) for n_in, n_out in zip([1, *widths], widths, strict=False))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.block_dropout = nn.Dropout2d(config.block_dropout)
        self.attention = SelfAttention(widths[-1], config.n_attention)
        self.dropout = nn.Dropout(config.dropout)

    def attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T, F), (B,) -> (B, E), and (B, T) weights of the frames."""
        n_frames, kept = x.shape[1], lengths.clamp(max=self.config.max_frames)
        x, lengths = x[:, : self.config.max_frames], kept
        picture = (x * time_mask(lengths, x.shape[1])[:, :, None])[:, None]
        for block in self.blocks:
            picture = block(picture, time_mask(lengths, picture.shape[2]))
            picture = self.block_dropout(self.pool(picture))
            lengths = (lengths + 1) // 2
        states = picture.mean(dim=3).transpose(1, 2)  # (B, C, T', F') -> (B, T', C)
        weights = self.attention(states, time_mask(lengths, states.shape[1]))
        mean = weighted_mean(states, weights)
        embedding = torch.cat([self.dropout(mean), self.dropout(weighted_std(states, weights, mean))], dim=1)
        return embedding, spread(weights, kept, n_frames, 2**self.config.n_blocks)


build = ConvAttention


class _Block(nn.Module):
    """Convolution, normalisation, ReLU; zero beyond each true length.

    The pool and the next convolution then see an edge there (no value after a ReLU is below zero, so
    a zero never wins a maximum).
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.norm = MaskedBatchNorm2d(n_out)

    def forward(self, picture: Tensor, mask: Tensor) -> Tensor:
        """(B, C, T, F), (B, T) -> (B, C', T, F)."""
        return torch.relu(self.norm(self.convolution(picture), mask))
