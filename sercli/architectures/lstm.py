"""Recurrent network: an LSTM in one or both directions, then attention, the mean or the last state."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sercli.architectures._layers import (
    Classifier,
    FastDropout,
    Recurrent,
    SelfAttention,
    frame_weights,
    last_states,
    weighted_mean,
)
from sercli.contracts import SearchSpace
from sercli.types import Depth, Dropout, NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    hidden_size: PositiveInt = 64  # per direction
    n_layers: Depth = 1
    bidirectional: bool = True
    pooling: Literal["attention", "mean", "last"] = "attention"  # how states over time become one vector
    input_dropout: Dropout = 0.0  # on the features, before the recurrence
    dropout: Dropout = 0.3  # on the pooled states, and between layers
    fc_size: NonNegativeInt = 0  # width of a fully connected layer before the classifier; 0: none
    max_frames: PositiveInt = 1500  # longer sequences are cut: the cost grows with length, and gradients fade


# What the original study varied.
SEARCH_SPACE: SearchSpace = {
    "hidden_size": [32, 64, 128, 200],
    "n_layers": (1, 2),
    "bidirectional": [True, False],
    "input_dropout": (0.0, 0.6),
    "dropout": (0.0, 0.6),
    "fc_size": [0, 32, 64, 128],
}


class Lstm(Classifier):
    """(B, T, F) -> LSTM layers (B, T, H) -> pooled (B, H) -> fully connected -> linear."""

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        n_states = config.hidden_size * (2 if config.bidirectional else 1)
        super().__init__(config.fc_size or n_states, n_labels)
        self.config = config
        self.input_dropout = FastDropout(config.input_dropout)
        self.layers = nn.ModuleList(
            Recurrent(n_features if layer == 0 else n_states, config.hidden_size, bidirectional=config.bidirectional)
            for layer in range(config.n_layers)
        )
        self.attention = SelfAttention(n_states, config.hidden_size) if config.pooling == "attention" else None
        self.dropout = FastDropout(config.dropout)
        self.fc = nn.Sequential(nn.Linear(n_states, config.fc_size), nn.ReLU()) if config.fc_size else nn.Identity()

    def attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T, F), (B,) -> (B, E), and (B, T) or None."""
        lengths = lengths.clamp(max=self.config.max_frames)
        states = self.input_dropout(x[:, : self.config.max_frames])
        for number, layer in enumerate(self.layers):
            states = layer(self.dropout(states) if number else states, lengths)
        if self.config.pooling == "last":
            weights, pooled = None, last_states(states, lengths, self.config.hidden_size)
        else:
            weights = frame_weights(self.attention, states, lengths)
            pooled = weighted_mean(states, weights)
        embedding: Tensor = self.fc(self.dropout(pooled))
        if self.attention is None or weights is None:
            return embedding, None
        return embedding, nn.functional.pad(weights, (0, x.shape[1] - weights.shape[1]))


build = Lstm
