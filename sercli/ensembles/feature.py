"""Feature level: the members' embeddings side by side, dropout, and one linear layer that is trained on top."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from sercli.types import Array, Dropout, Predictions

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Config:
    """The network on top of the encoders."""

    dropout: Dropout = 0.3  # on the joined embeddings
    train_encoders: bool = False  # train the members' encoders further, instead of leaving them as they are


def build(config: Config, encoders: "Sequence[nn.Module]", embeddings: Sequence[Array], n_labels: int) -> "nn.Module":
    """Build the network, which scales the joined embeddings by their mean and deviation on the train part."""
    import torch
    from torch import Tensor, nn

    class Fusion(nn.Module):
        mean: Tensor
        scale: Tensor

        def __init__(self) -> None:
            super().__init__()
            joined = np.concatenate(embeddings, axis=1)
            deviation = joined.std(axis=0)
            scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
            self.encoders = nn.ModuleList(encoders)
            self.register_buffer("mean", torch.tensor(joined.mean(axis=0), dtype=torch.float32))
            self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
            self.dropout = nn.Dropout(config.dropout)
            self.classifier = nn.Linear(joined.shape[1], n_labels)

        def encode(self, *inputs: Tensor) -> Tensor:
            left = iter(inputs)
            own = [tuple(islice(left, 2 * getattr(encoder, "n_inputs", 1))) for encoder in self.encoders]
            parts = zip(self.encoders, own, strict=True)
            joined = torch.cat([encoder.encode(*tensors) for encoder, tensors in parts], dim=1)  # type: ignore[operator]
            return (joined - self.mean) * self.scale

        def forward(self, *inputs: Tensor) -> Tensor:
            return self.classifier(self.dropout(self.encode(*inputs)))

    return Fusion()


def state_of(module: "nn.Module") -> dict[str, Array]:
    """Return what `combine` needs of a trained network: mean and scale (E,), weight (K, E) and bias (K,)."""
    tensors = {
        "mean": module.get_buffer("mean"),
        "scale": module.get_buffer("scale"),
        "weight": module.get_parameter("classifier.weight"),
        "bias": module.get_parameter("classifier.bias"),
    }
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def combine(members: Sequence[Predictions], state: Mapping[str, Array], config: Config) -> Array:
    """(N, K): softmax over a linear function of the members' embeddings."""
    embeddings = [member.embeddings for member in members if member.embeddings is not None]
    joined = np.concatenate(embeddings, axis=1).astype(np.float64)
    scaled = np.nan_to_num((joined - state["mean"]) * state["scale"])  # of a member without input: 0, its mean
    scores = scaled @ state["weight"].T.astype(np.float64) + state["bias"]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
