"""Functionals of frames, then a small fully connected network: how utterances were classified before deep networks.

What each descriptor does over an utterance is told by nine numbers: mean, deviation, three quantiles, deviation of its
change from frame to frame, and the mean of each third (Schuller et al. 2009, "The Interspeech 2009 emotion challenge").
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, FastDropout, time_mask, weighted_mean, weighted_std
from sercli.contracts import SearchSpace
from sercli.types import Dropout, PositiveInt

INPUTS: tuple[str, ...] = ()
OPTIONAL = False

_QUANTILES = (0.1, 0.5, 0.9)
_THIRDS = 3
_N_FUNCTIONALS = 3 + len(_QUANTILES) + _THIRDS
_MOST = 5.0  # standard deviations; what is further out is an outlier of a short utterance


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    hidden_size: PositiveInt = 128
    input_dropout: Dropout = 0.5  # on the functionals
    dropout: Dropout = 0.5  # on the hidden layer


SEARCH_SPACE: SearchSpace = {
    "hidden_size": [32, 64, 128, 256],
    "input_dropout": (0.0, 0.7),
    "dropout": (0.0, 0.7),
}


class Functionals(Classifier):
    """(B, T, F) for each input -> functionals (B, 9 F), standardised, side by side -> hidden layer -> linear."""

    def __init__(self, config: Config, n_features: tuple[int, ...], n_labels: int) -> None:
        super().__init__(config.hidden_size, n_labels)
        n_functionals = _N_FUNCTIONALS * sum(n_features)
        self.n_inputs = len(n_features)
        self.norm = _BatchNorm(n_functionals, affine=False)
        self.input_dropout = FastDropout(config.input_dropout)
        self.hidden = nn.Linear(n_functionals, config.hidden_size)
        self.hidden_norm = _BatchNorm(config.hidden_size)
        self.dropout = FastDropout(config.dropout)

    def encode(self, *inputs: Tensor) -> Tensor:
        """(B, T, F), (B,) for each input -> (B, E)."""
        pairs = zip(inputs[::2], inputs[1::2], strict=True)
        values = self.norm(torch.cat([functionals(x, lengths) for x, lengths in pairs], dim=1)).clamp(-_MOST, _MOST)
        return self.dropout(torch.relu(self.hidden_norm(self.hidden(self.input_dropout(values)))))


build = Functionals


def functionals(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, F), (B,) -> (B, 9 F)."""
    real = time_mask(lengths, x.shape[1])
    shares = real / lengths[:, None]
    mean = weighted_mean(x, shares)
    changes, n_changes = x.diff(dim=1), (lengths - 1).clamp(min=1)
    change_shares = real[:, 1:] / n_changes[:, None]
    change = weighted_std(changes, change_shares, weighted_mean(changes, change_shares))
    q = torch.tensor(_QUANTILES, device=x.device)
    quantiles = x.masked_fill(~real[:, :, None], float("nan")).nanquantile(q, dim=1)  # (3, B, F)
    return torch.cat([mean, weighted_std(x, shares, mean), change, *quantiles, *_thirds(x, lengths)], dim=1)


def _thirds(x: Tensor, lengths: Tensor) -> list[Tensor]:
    """(B, T, F), (B,) -> means (B, F) of the first, second and last third; each has at least a frame."""
    frame, n = torch.arange(x.shape[1], device=x.device)[None], lengths[:, None]
    means = []
    for third in range(_THIRDS):
        start = third * n // _THIRDS
        stop = torch.maximum((third + 1) * n // _THIRDS, start + 1)
        means.append(weighted_mean(x, ((start <= frame) & (frame < stop)) / (stop - start)))
    return means


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes a batch of one too: it has no deviation, so the running statistics serve it."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, E) -> (B, E)."""
        if len(x) > 1:
            return super().forward(x)
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
