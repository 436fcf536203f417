"""Feature level: the members' embeddings side by side, dropout, one linear layer trained on top."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sercli.types import Array, Dropout, Predictions


@dataclass(frozen=True)
class Config:
    """The network on top of the encoders."""

    dropout: Dropout = 0.3  # on the joined embeddings
    train_encoders: bool = False  # also train the members' encoders on, instead of leaving them as they are


def build(config: Config, encoders: Sequence[Any], embeddings: Sequence[Array], n_labels: int) -> Any:
    """Make the network to train.

    Args:
        config: its settings.
        encoders: modules with encode(x, lengths) -> (B, E), one a member.
        embeddings: the members' embeddings of the train part, each (N, E): what the scaling is measured on.
        n_labels: K.

    Returns:
        a torch module: forward(x, lengths of the first member, x, lengths of the second, ...) -> (B, K).
    """
    import torch
    from torch import Tensor, nn

    class Fusion(nn.Module):
        mean: Tensor
        scale: Tensor

        def __init__(self) -> None:
            super().__init__()
            joined = np.concatenate(embeddings, axis=1)
            spread = joined.std(axis=0)
            scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0.0)
            self.encoders = nn.ModuleList(encoders)
            self.register_buffer("mean", torch.tensor(joined.mean(axis=0), dtype=torch.float32))
            self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
            self.dropout = nn.Dropout(config.dropout)
            self.classifier = nn.Linear(joined.shape[1], n_labels)

        def encode(self, *inputs: Tensor) -> Tensor:
            pairs = zip(self.encoders, inputs[::2], inputs[1::2], strict=True)
            joined = torch.cat([encoder.encode(x, lengths) for encoder, x, lengths in pairs], dim=1)  # type: ignore[operator]
            scaled: Tensor = (joined - self.mean) * self.scale
            return scaled

        def forward(self, *inputs: Tensor) -> Tensor:
            scores: Tensor = self.classifier(self.dropout(self.encode(*inputs)))
            return scores

    return Fusion()


def state_of(module: Any) -> dict[str, Array]:
    """What `combine` needs of a trained network: scaling (E,), weight (K, E) and bias (K,)."""
    tensors = {
        "mean": module.mean,
        "scale": module.scale,
        "weight": module.classifier.weight,
        "bias": module.classifier.bias,
    }
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def combine(members: Sequence[Predictions], state: dict[str, Array]) -> Array:
    """(N, K): softmax over a linear function of the members' embeddings."""
    joined = np.concatenate([_embeddings(member) for member in members], axis=1).astype(np.float64)
    scores = ((joined - state["mean"]) * state["scale"]) @ state["weight"].T.astype(np.float64) + state["bias"]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs: Array = powers / powers.sum(axis=1, keepdims=True)
    return probs


def _embeddings(member: Predictions) -> Array:
    assert member.embeddings is not None
    return member.embeddings
