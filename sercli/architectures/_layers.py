"""Pieces that networks share: the base class, and masks, normalisation and pooling over time that ignore padding."""

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """A network as the rest of the house sees it: an encoder and one linear layer on top.

    Subclasses set `n_embedding` through `__init__` and define `encode`, and `attend` where they have an attention.
    """

    def __init__(self, n_embedding: int, n_labels: int) -> None:
        super().__init__()
        self.n_embedding = n_embedding
        self.classifier = nn.Linear(n_embedding, n_labels)

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F) with (B,) true lengths -> (B, E); what lies behind a length has no influence."""
        raise TypeError(f"{type(self).__name__} defines no encode")

    def attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """What `encode` gives, and the attention by which it came about.

        Returns:
            (B, E), and (B, T) how much each frame of the input counted: 0 on padding and on what the network cuts off,
            the sum is 1; None from a network without attention.
        """
        return self.encode(x, lengths), None

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), (B,) -> (B, K) scores before the softmax."""
        scores: Tensor = self.classifier(self.encode(x, lengths))
        return scores


def time_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """(B,) -> (B, T) bool, True on real frames."""
    return torch.arange(n_frames, device=lengths.device)[None] < lengths[:, None]


class MaskedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of real frames alone; in evaluation as `nn.BatchNorm2d`.

    Padding would pull them towards zero, the more the longer the longest utterance of a batch is.
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # torch's own takes no mask
        """(B, C, T, F), (B, T) True on real frames, which come first -> (B, C, T, F), zero on padding."""
        if not self.training:
            return super().forward(x) * mask[:, None, :, None]
        lengths = mask.sum(dim=1).tolist()
        # One utterance behind the other, (1, C, real frames of the batch, F): what torch's own may see.
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
        scores = self.score(states).squeeze(-1).masked_fill(~mask, float("-inf"))
        return torch.softmax(scores, dim=1)


def frame_weights(attention: SelfAttention | None, states: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, H), (B,) -> (B, T): how much each frame counts; without an attention all real ones count alike."""
    mask = time_mask(lengths, states.shape[1])
    if attention is None:
        return mask / lengths[:, None]
    weights: Tensor = attention(states, mask)
    return weights


def spread(weights: Tensor, lengths: Tensor, n_frames: int, step: int) -> Tensor:
    """Weights of moments as weights of frames, `step` of which are a moment: each frame counts as its moment does.

    (B, T'), (B,) real frames -> (B, n_frames), zero behind each length, brought to a sum of 1: the last moment may have
    few real frames, and would tower over the others if it dealt out all its weight to them.
    """
    moment = torch.arange(n_frames, device=weights.device) // step
    shares = weights[:, moment.clamp(max=weights.shape[1] - 1)] * time_mask(lengths, n_frames)
    return shares / shares.sum(dim=1, keepdim=True)


def weighted_mean(states: Tensor, weights: Tensor) -> Tensor:
    """(B, T, H), (B, T) -> (B, H)."""
    return torch.einsum("bth,bt->bh", states, weights)


def weighted_std(states: Tensor, weights: Tensor, mean: Tensor) -> Tensor:
    """Deviation over time around a weighted mean: (B, T, H), (B, T), (B, H) -> (B, H)."""
    variance = torch.einsum("bth,bt->bh", (states - mean[:, None]).square(), weights)
    return (variance + 1e-5).sqrt()
