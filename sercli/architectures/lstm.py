"""Recurrent network over a sequence: LSTM in one or both directions, then attention, mean or the last state."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sercli.architectures._layers import Classifier, SelfAttention, time_mask, weighted_mean
from sercli.types import Dropout, NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    hidden_size: PositiveInt = 64  # per direction
    n_layers: PositiveInt = 1
    bidirectional: bool = True
    pooling: Literal["attention", "mean", "last"] = "attention"  # how states over time become one vector
    input_dropout: Dropout = 0.0  # on the features, before the recurrence
    dropout: Dropout = 0.3  # on the pooled states, and between layers
    fc_size: NonNegativeInt = 0  # width of a fully connected layer before the classifier; 0: none
    max_frames: PositiveInt = 1500  # longer sequences are cut: cost grows with length, and gradients fade


def search_space(trial: Any) -> dict[str, Any]:
    """What `ser tune` varies: the original's hidden size, layers, direction, both dropouts and fully connected size."""
    return {
        "hidden_size": trial.suggest_categorical("architecture.hidden_size", [32, 64, 128, 200]),
        "n_layers": trial.suggest_int("architecture.n_layers", 1, 2),
        "bidirectional": trial.suggest_categorical("architecture.bidirectional", [True, False]),
        "input_dropout": trial.suggest_float("architecture.input_dropout", 0.0, 0.6),
        "dropout": trial.suggest_float("architecture.dropout", 0.0, 0.6),
        "fc_size": trial.suggest_categorical("architecture.fc_size", [0, 32, 64, 128]),
    }


def build(config: Config, n_features: int, n_labels: int) -> Classifier:
    """Make the network for (B, T, n_features) input and n_labels classes."""
    return Lstm(config, n_features, n_labels)


class Lstm(Classifier):
    """(B, T, F) -> packed LSTM (B, T, H) -> pooled (B, H) -> fully connected -> linear."""

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        n_states = config.hidden_size * (2 if config.bidirectional else 1)
        super().__init__(config.fc_size or n_states, n_labels)
        self.config = config
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.lstm = nn.LSTM(
            n_features,
            config.hidden_size,
            config.n_layers,
            batch_first=True,
            bidirectional=config.bidirectional,
            dropout=config.dropout if config.n_layers > 1 else 0.0,
        )
        self.attention = SelfAttention(n_states, config.hidden_size) if config.pooling == "attention" else None
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Sequential(nn.Linear(n_states, config.fc_size), nn.ReLU()) if config.fc_size else nn.Identity()

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), (B,) -> (B, E)."""
        lengths = lengths.clamp(max=self.config.max_frames)
        x = self.input_dropout(x[:, : int(lengths.max())])
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (last, _) = self.lstm(packed)
        if self.config.pooling == "last":
            directions = 2 if self.config.bidirectional else 1
            pooled = last[-directions:].transpose(0, 1).flatten(1)  # (D, B, H) -> (B, D * H)
        else:
            padded, _ = pad_packed_sequence(states, batch_first=True)
            pooled = weighted_mean(padded, self.weights(padded, lengths))
        embedding: Tensor = self.fc(self.dropout(pooled))
        return embedding

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, H), (B,) -> (B, T): how much each frame counts."""
        mask = time_mask(lengths, states.shape[1])
        if self.attention is None:
            return mask / lengths[:, None]
        weights: Tensor = self.attention(states, mask)
        return weights
