"""Parts that networks share: the base class, and masks, normalisation and pooling over time that ignore padding."""

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
