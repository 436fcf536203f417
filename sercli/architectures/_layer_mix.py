"""The head of layer-mix: a mixture of a speech model's layers, then statistics over time.

The layers of a self-supervised or recognising model say different things; a softmax over one weight a layer learns
which of them to listen to (Yang et al. 2021, "SUPERB"). An attention decides which moments count for mean and deviation
(Okabe et al. 2018, "Attentive statistics pooling for deep speaker embedding"). Several such heads make a committee: on
a small corpus each errs in its own way (Lakshminarayanan et al. 2017, "Deep ensembles").
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from msgspec import Meta
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, SelfAttention, frame_weights, weighted_mean, weighted_std
from sercli.types import Depth, Dropout, PositiveInt

Committee = Annotated[int, Meta(ge=1, le=64)]


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    # concat: the hidden units read the layers side by side; softmax: their mixture by one learned weight a layer
    mixing: Literal["concat", "softmax"] = "concat"
    n_layers: Depth = 4  # how many layers the softmax mixes: the number of feature.layers
    n_hidden: PositiveInt = 128  # width that each frame is brought down to
    n_attention: PositiveInt = 64  # hidden units of the attention
    pooling: Literal["attention", "mean"] = "attention"  # whether an attention weighs the moments, or all count alike
    committee: Committee = 1  # heads with weights of their own, each trained by its own scores, which are averaged
    deviation: bool = True  # pool the deviation over time beside the mean
    input_dropout: Dropout = 0.1  # on the mixed frames
    dropout: Dropout = 0.3  # on the pooled statistics


def search_space(trial: Any) -> dict[str, Any]:
    """What `ser tune` varies."""
    return {
        "n_hidden": trial.suggest_categorical("architecture.n_hidden", [64, 128, 256]),
        "pooling": trial.suggest_categorical("architecture.pooling", ["attention", "mean"]),
        "input_dropout": trial.suggest_float("architecture.input_dropout", 0.0, 0.5),
        "dropout": trial.suggest_float("architecture.dropout", 0.0, 0.6),
    }


class LayerMix(Classifier):
    """(B, T, L * D) -> mixture (B, T, D) or all -> hidden (B, T, H) -> mean and deviation (B, 2 H) -> linear.

    Of a committee each member has H hidden units, and their means and deviations stand side by side; the bias of the
    linear layer is common to all, and so is the mixture of layers.
    """

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        n_pooled = config.n_hidden * (2 if config.deviation else 1)
        super().__init__(config.committee * n_pooled, n_labels)
        self.config = config
        softmax = config.mixing == "softmax"
        self.mixture = nn.Parameter(torch.zeros(config.n_layers)) if softmax else None
        self.input_dropout = nn.Dropout(config.input_dropout)
        n_mixed = n_features // config.n_layers if softmax else n_features
        self.hidden = nn.Sequential(nn.Linear(n_mixed, config.committee * config.n_hidden), nn.GELU())
        attentions = [SelfAttention(config.n_hidden, config.n_attention) for _ in range(config.committee)]
        self.attentions = nn.ModuleList(attentions if config.pooling == "attention" else [])
        self.dropout = nn.Dropout(config.dropout)

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, L * D), (B,) -> (B, E)."""
        return self._pooled(x, lengths)[0]

    def attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T, L * D), (B,) -> (B, E), and (B, T) or None: the mean over a committee's attentions."""
        embedding, weights = self._pooled(x, lengths)
        return embedding, weights if self.attentions else None

    def loss(self, targets: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
        """Cross-entropy of each member's own scores, the mean over all: targets (B, K)."""
        n_members = self.config.committee
        parts = torch.stack((n_members * self.encode(x, lengths)).chunk(n_members, dim=1))  # (M, B, E / M)
        weights = torch.stack(self.classifier.weight.chunk(n_members, dim=1))  # (M, K, E / M)
        scores = torch.einsum("mbe,mke->mbk", parts, weights) + self.classifier.bias
        return nn.functional.cross_entropy(scores.flatten(0, 1), targets.repeat(n_members, 1))

    def _pooled(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, L * D), (B,) -> (B, E), and (B, T) how much each frame counts."""
        states = self.hidden(self.input_dropout(self._mixed(x)))
        members = states.chunk(self.config.committee, dim=2)  # each (B, T, H)
        attentions: list[Any] = list(self.attentions) or [None] * len(members)
        weights = [frame_weights(a, m, lengths) for a, m in zip(attentions, members, strict=True)]
        pooled = torch.cat([self._statistics(m, w) for m, w in zip(members, weights, strict=True)], dim=1)
        # Divided, so that the sum that the classifier takes over all is the mean of the members' scores.
        return self.dropout(pooled) / len(members), torch.stack(weights).mean(dim=0)

    def _statistics(self, states: Tensor, weights: Tensor) -> Tensor:
        """(B, T, H), (B, T) -> (B, 2 H), or (B, H) without the deviation."""
        mean = weighted_mean(states, weights)
        return torch.cat([mean, weighted_std(states, weights, mean)], dim=1) if self.config.deviation else mean

    def _mixed(self, x: Tensor) -> Tensor:
        """(B, T, L * D) -> (B, T, D), or as it is."""
        if self.mixture is None:
            return x
        layers = x.view(len(x), x.shape[1], self.config.n_layers, -1)  # (B, T, L, D)
        return torch.einsum("btld,l->btd", layers, torch.softmax(self.mixture, dim=0))
