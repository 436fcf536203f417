"""A small head on the frames of a speech model: a mixture of the model's layers, then statistics over time.

The layers of such a model carry different information; a softmax over one weight per layer learns which of them to use
(Yang et al. 2021, "SUPERB"). An attention weighs the frames for the mean and the deviation (Okabe et al. 2018,
"Attentive statistics pooling for deep speaker embedding"). Several such heads make an ensemble: on a small corpus each
of them makes different mistakes (Lakshminarayanan et al. 2017, "Deep ensembles").
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from msgspec import Meta
from torch import Tensor, nn

from sercli.architectures._layers import (
    Classifier,
    FastDropout,
    SelfAttention,
    frame_weights,
    weighted_mean,
    weighted_std,
)
from sercli.contracts import SearchSpace
from sercli.errors import ConfigError
from sercli.types import Depth, Dropout, PositiveInt


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    # concat: the layers are concatenated; softmax: a mixture with one learned weight per layer
    mixing: Literal["concat", "softmax"] = "concat"
    n_layers: Depth = 4  # layers that the softmax mixes: the number of feature.layers
    n_hidden: PositiveInt = 128  # width to which each frame is reduced
    n_attention: PositiveInt = 64  # hidden units of the attention
    pooling: Literal["attention", "mean"] = "attention"  # mean: all frames have the same weight
    # Heads of the ensemble: each has its own weights and its own loss; their scores are averaged
    n_members: Annotated[int, Meta(ge=1, le=64)] = 1
    deviation: bool = True  # pool the deviation over time as well as the mean
    input_dropout: Dropout = 0.1  # on the mixed frames
    dropout: Dropout = 0.3  # on the pooled statistics


SEARCH_SPACE: SearchSpace = {
    "n_hidden": [64, 128, 256],
    "pooling": ["attention", "mean"],
    "input_dropout": (0.0, 0.5),
    "dropout": (0.0, 0.6),
}


class LayerMix(Classifier):
    """(B, T, L * D) -> mixture (B, T, D) or all -> hidden (B, T, H) -> mean and deviation (B, 2 H) -> linear.

    Each head of the ensemble has H hidden units, and their means and deviations are joined; the heads share the mixture
    of layers and the bias of the linear layer.
    """

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        """Build the network.

        Raises:
            ConfigError: the softmax cannot divide the features into `n_layers` layers.
        """
        softmax = config.mixing == "softmax"
        if softmax and n_features % config.n_layers:
            raise ConfigError(
                f"architecture.n_layers={config.n_layers}: the {n_features} columns of the feature cannot be divided "
                "into that many layers; set it to the number of feature.layers."
            )
        n_pooled = config.n_hidden * (2 if config.deviation else 1)
        super().__init__(config.n_members * n_pooled, n_labels)
        self.config = config
        self.mixture = nn.Parameter(torch.zeros(config.n_layers)) if softmax else None
        self.input_dropout = FastDropout(config.input_dropout)
        n_mixed = n_features // config.n_layers if softmax else n_features
        self.hidden = nn.Sequential(nn.Linear(n_mixed, config.n_members * config.n_hidden), nn.GELU())
        attentions = [SelfAttention(config.n_hidden, config.n_attention) for _ in range(config.n_members)]
        self.attentions = nn.ModuleList(attentions if config.pooling == "attention" else [])
        self.dropout = FastDropout(config.dropout)

    def attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T, L * D), (B,) -> (B, E), and (B, T) or None: the mean over the heads' attentions."""
        states = self.hidden(self.input_dropout(self._mixed(x)))
        members = states.chunk(self.config.n_members, dim=2)  # each (B, T, H)
        attentions = [*self.attentions] if self.attentions else [None] * len(members)
        weights = [frame_weights(a, m, lengths) for a, m in zip(attentions, members, strict=True)]
        every, weight = torch.cat(members), torch.cat(weights)
        statistics = mean = weighted_mean(every, weight)
        if self.config.deviation:
            statistics = torch.cat([mean, weighted_std(every, weight, mean)], dim=1)
        pooled = torch.cat(statistics.chunk(len(members)), dim=1)
        # Divided by the number of heads, so that the classifier's output is the mean of their scores.
        embedding = self.dropout(pooled) / len(members)
        return embedding, torch.stack(weights).mean(dim=0) if self.attentions else None

    def loss(self, targets: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
        """Mean over the heads of the cross-entropy of each head's scores; targets (B, K)."""
        n_members = self.config.n_members
        parts = torch.stack((n_members * self.encode(x, lengths)).chunk(n_members, dim=1))  # (M, B, E / M)
        weights = torch.stack(self.classifier.weight.chunk(n_members, dim=1))  # (M, K, E / M)
        scores = torch.einsum("mbe,mke->mbk", parts, weights) + self.classifier.bias
        return nn.functional.cross_entropy(scores.flatten(0, 1), targets.repeat(n_members, 1))

    def _mixed(self, x: Tensor) -> Tensor:
        """(B, T, L * D) -> (B, T, D), or unchanged where the layers are not mixed."""
        if self.mixture is None:
            return x
        layers = x.view(len(x), x.shape[1], self.config.n_layers, -1)  # (B, T, L, D)
        return torch.einsum("btld,l->btd", layers, torch.softmax(self.mixture, dim=0))


build = LayerMix
