"""An encoder of one input: convolutions over time and features, layers on each frame, a recurrence, then pooling.

Each part can be left out, so that many published networks are one class with other sizes.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from sercli.architectures._layers import (
    FastDropout,
    Recurrent,
    SelfAttention,
    frame_weights,
    last_states,
    masked_softmax,
    spread,
    time_mask,
    weighted_mean,
)


@dataclass(frozen=True)
class Sizes:
    """Sizes of an encoder."""

    filters: tuple[int, ...]  # of each convolution
    kernel: tuple[int, int]  # frames and features that a convolution sees, odd numbers; (n, 0): n frames, all features
    stride: tuple[int, int]  # of each convolution, in frames and features
    pool: int  # frames of the max-pool after the convolutions
    dense: tuple[int, ...]  # width of each layer on single frames
    cell: str  # none, lstm or gru
    hidden_size: int  # of the recurrence, per direction
    pooling: str  # attention, local, first, mean, max or last
    bidirectional: bool
    dropout: float  # between layers, and on the embedding
    max_frames: int  # longer input is cut


class Encoder(nn.Module):
    """(B, T, F) -> (B, E), with weights over time where the pooling has some."""

    def __init__(self, sizes: Sizes, n_features: int, n_query: int = 0) -> None:
        """Build an encoder; `n_query` is the size of the vector that the pooling `first` compares states with."""
        super().__init__()
        self.sizes = sizes
        self.convolutions = _Convolutions(sizes, n_features) if sizes.filters else None
        widths = [self.convolutions.n_states if self.convolutions else n_features, *sizes.dense]
        layers = [
            layer
            for n_in, n_out in pairwise(widths)
            for layer in (nn.Linear(n_in, n_out), nn.ReLU(), FastDropout(sizes.dropout))
        ]
        self.dense = nn.Sequential(*layers)
        recurrent = sizes.cell != "none"
        cell = nn.GRU if sizes.cell == "gru" else nn.LSTM
        self.recurrence = (
            Recurrent(widths[-1], sizes.hidden_size, bidirectional=sizes.bidirectional, cell=cell)
            if recurrent
            else None
        )
        self.n_states = sizes.hidden_size * (2 if sizes.bidirectional else 1) if recurrent else widths[-1]
        self.attention = SelfAttention(self.n_states, self.n_states) if sizes.pooling == "attention" else None
        # The query of local attention (Mirsamadi et al. 2017) is learned; that of `first` is another embedding.
        self.query = nn.Linear(self.n_states, 1, bias=False) if sizes.pooling == "local" else None
        self.projection = nn.Linear(n_query, self.n_states) if sizes.pooling == "first" else None
        self.dropout = FastDropout(sizes.dropout)

    def forward(self, x: Tensor, lengths: Tensor, query: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, T, F), (B,) -> (B, E), and (B, T) weights or None; an input of length 0 has the embedding 0."""
        kept = lengths.clamp(1, self.sizes.max_frames)
        states, short = self.states(x, kept)
        there = (lengths > 0)[:, None]
        if self.sizes.pooling == "last":
            size = self.sizes.hidden_size if self.recurrence else states.shape[2]
            return self.dropout(last_states(states, short, size)) * there, None
        if self.sizes.pooling == "max":
            real = time_mask(short, states.shape[1])[:, :, None]
            return states.masked_fill(~real, float("-inf")).amax(dim=1) * there, None
        weights = self._weights(states, short, query)
        embedding = self.dropout(weighted_mean(states, weights)) * there
        step = self.convolutions.step if self.convolutions else 1
        return embedding, None if self.sizes.pooling == "mean" else spread(weights, kept, x.shape[1], step) * there

    def states(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F), (B,) -> (B, T', H) states, and their numbers (B,)."""
        x = x[:, : self.sizes.max_frames]
        x = x * time_mask(lengths, x.shape[1])[:, :, None]
        if self.convolutions:
            x, lengths = self.convolutions(x, lengths)
        x = self.dense(x)
        return (self.recurrence(x, lengths) if self.recurrence else x), lengths

    def _weights(self, states: Tensor, lengths: Tensor, query: Tensor | None) -> Tensor:
        """(B, T, H), (B,), (B, Q) -> (B, T)."""
        if self.query is not None:
            scores = self.query(states).squeeze(-1)
        elif self.projection is not None:
            scores = torch.einsum("bth,bh->bt", states, self.projection(query))
        else:
            return frame_weights(self.attention, states, lengths)
        return masked_softmax(scores, time_mask(lengths, states.shape[1]))


class _Convolutions(nn.Module):
    """(B, T, F) -> (B, T', H): convolutions with ReLU, zero beyond each length; H is filters times features left."""

    def __init__(self, sizes: Sizes, n_features: int) -> None:
        super().__init__()
        (frames, features), (step, across) = sizes.kernel, sizes.stride
        self.flat = features == 0  # features are channels, not a second axis
        n_in, width = (n_features, 1) if self.flat else (1, n_features)
        self.layers = nn.ModuleList()
        for n_out in sizes.filters:
            kernel = (frames, 1) if self.flat else (frames, features)
            padding = (kernel[0] // 2, kernel[1] // 2)
            stride = (step, 1 if self.flat else across)
            self.layers.append(nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=padding))
            n_in, width = n_out, width if self.flat else -(-width // across)
        self.stride, self.pool, self.n_states = step, sizes.pool, n_in * width
        self.step = step ** len(sizes.filters) * sizes.pool
        self.dropout = nn.Dropout2d(sizes.dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F), (B,) -> (B, T', H), (B,)."""
        picture = x.transpose(1, 2)[:, :, :, None] if self.flat else x[:, None]  # (B, C, T, F')
        for number, layer in enumerate(self.layers):
            picture = torch.relu(layer(self.dropout(picture) if number else picture))
            lengths = -(-lengths // self.stride)
            picture = picture * time_mask(lengths, picture.shape[2])[:, None, :, None]
        # No value after a ReLU is below zero, so zeros beyond a length never win a maximum.
        picture = nn.functional.max_pool2d(picture, (self.pool, 1), ceil_mode=True)
        return picture.permute(0, 2, 1, 3).flatten(2), -(-lengths // self.pool)
