"""Parts that networks share: the base class, masks, normalisation and pooling that ignore padding, and an encoder."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """A `contracts.Network`: subclasses define `encode`, or `attend` if they have an attention over time."""

    def __init__(self, n_embedding: int, n_labels: int) -> None:
        super().__init__()
        self.n_embedding = n_embedding
        self.classifier = nn.Linear(n_embedding, n_labels)

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F) with (B,) true lengths -> (B, E); frames beyond a length have no influence."""
        return self.attend(x, lengths)[0]

    def attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T, F), (B,) -> (B, E), and the attention (B, T) or None."""
        return self.encode(x, lengths), None

    def forward(self, *inputs: Tensor) -> Tensor:
        """(B, T, F), (B,), for each input -> (B, K) scores before the softmax."""
        return self.classifier(self.encode(*inputs))

    def fix_classifier(self, weight: Tensor) -> None:
        """Make the scores a fixed product of the embedding and a weight (K, E), which is not trained."""
        with torch.no_grad():
            self.classifier.weight.copy_(weight)
            self.classifier.bias.zero_()
        self.classifier.requires_grad_(False)


def time_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """(B,) -> (B, T) bool, True on real frames."""
    return torch.arange(n_frames, device=lengths.device)[None] < lengths[:, None]


class FastDropout(nn.Dropout):
    """The same as `nn.Dropout`, ten times as fast on a CPU: 16 random bits decide on each number."""

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        return x * (bits >= round(self.p * 2**16) - 2**15) * (1 / (1 - self.p))


class MaskedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of the real frames; in evaluation the same as `nn.BatchNorm2d`.

    Padding would pull the statistics towards zero, most of all in batches with one long utterance.
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # torch's takes no mask
        """(B, C, T, F), (B, T) True on real frames, which come first -> (B, C, T, F), zero on padding."""
        if not self.training:
            return super().forward(x) * mask[:, None, :, None]
        lengths = mask.sum(dim=1).tolist()
        # torch's normalisation gets the real frames of all utterances concatenated, (1, C, frames, F).
        real = super().forward(torch.cat([row[:, :n] for row, n in zip(x, lengths, strict=True)], dim=1)[None])[0]
        rows = torch.split(real, lengths, dim=1)
        return torch.stack([nn.functional.pad(row, (0, 0, 0, x.shape[2] - row.shape[1])) for row in rows])


class SelfAttention(nn.Module):
    """Weights over time from the states themselves: softmax(v . tanh(W h)), zero on padding.

    Source: Lin et al. 2017, "A structured self-attentive sentence embedding", with one hop.
    """

    def __init__(self, n_features: int, n_hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(n_features, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 1, bias=False))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, H), (B, T) -> (B, T) weights that sum to 1."""
        return masked_softmax(self.score(states).squeeze(-1), mask)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """(B, T), (B, T) True on real frames -> (B, T) weights that sum to 1, zero on padding."""
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=1)


def frame_weights(attention: nn.Module | None, states: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, H), (B,) -> (B, T): weights of the frames; without an attention all real frames have the same."""
    mask = time_mask(lengths, states.shape[1])
    if attention is None:
        return mask / lengths[:, None]
    return attention(states, mask)


def spread(weights: Tensor, lengths: Tensor, n_frames: int, step: int) -> Tensor:
    """(B, T') weights of moments of `step` frames each, (B,) -> (B, n_frames): weights of the frames.

    Each frame gets the weight of its moment, padding gets zero, and the sum is scaled to 1. Dividing the weight of a
    moment among its frames would be wrong: the last moment may have few real frames, which would then stand out.
    """
    moment = torch.arange(n_frames, device=weights.device) // step
    shares = weights[:, moment.clamp(max=weights.shape[1] - 1)] * time_mask(lengths, n_frames)
    return shares / shares.sum(dim=1, keepdim=True)


def weighted_mean(states: Tensor, weights: Tensor) -> Tensor:
    """(B, T, H), (B, T) -> (B, H)."""
    return (states * weights[:, :, None]).sum(dim=1)  # three times as fast as a product of matrices


def weighted_std(states: Tensor, weights: Tensor, mean: Tensor) -> Tensor:
    """Deviation over time around a weighted mean: (B, T, H), (B, T), (B, H) -> (B, H)."""
    return (weighted_mean((states - mean[:, None]).square(), weights) + 1e-5).sqrt()


def last_states(states: Tensor, lengths: Tensor, size: int) -> Tensor:
    """(B, T, H), (B,) -> (B, H): the last state of each direction; the first `size` numbers are the forward one's.

    The backward direction ends at the first frame.
    """
    last = states[torch.arange(len(states), device=states.device), lengths - 1, :size]
    return torch.cat([last, states[:, 0, size:]], dim=1)


class Recurrent(nn.Module):
    """One LSTM or GRU layer over padded sequences, in one or both directions.

    The backward direction reads each sequence reversed within its own length, so that padding has no influence on real
    frames: the same numbers as with a packed sequence, which torch computes ten times slower on a CPU.
    """

    def __init__(
        self, n_in: int, hidden_size: int, *, bidirectional: bool, cell: type[nn.LSTM | nn.GRU] = nn.LSTM
    ) -> None:
        super().__init__()
        self.forwards = cell(n_in, hidden_size, batch_first=True)
        self.backwards = cell(n_in, hidden_size, batch_first=True) if bidirectional else None

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), (B,) -> (B, T, H), forward states first."""
        states: Tensor = self.forwards(x)[0]
        if self.backwards is None:
            return states
        backwards = _reversed(self.backwards(_reversed(x, lengths))[0], lengths)
        return torch.cat([states, backwards], dim=2)


def _reversed(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence within its length; padding stays at the end."""
    steps = torch.arange(x.shape[1], device=x.device)[None]  # (1, T)
    source = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (B, T)
    return x.gather(1, source[:, :, None].expand_as(x))


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
    """(B, T, F) -> (B, E): convolutions, layers on each frame, a recurrence, then pooling, some with weights over time.

    Each part can be left out, so that many published networks are one class with other sizes.
    """

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
