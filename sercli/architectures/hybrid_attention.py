"""A BiLSTM with attention on the words and one on their sound, and an attention over both modalities at each word.

Source: Gu et al. 2018, "Hybrid attention based multimodal network for spoken language classification".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, Recurrent, SelfAttention, time_mask
from sercli.contracts import SearchSpace
from sercli.types import Dropout, PositiveInt

INPUTS: tuple[str, ...] = ("aligned", "text")
OPTIONAL = False


@dataclass(frozen=True)
class Config:
    """Sizes of the network."""

    hidden_size: PositiveInt = 64  # of both recurrences, per direction
    fc_size: PositiveInt = 64  # width of the layer before the classifier
    input_dropout: Dropout = 0.2  # on the features
    dropout: Dropout = 0.4  # on the states, and before the classifier


SEARCH_SPACE: SearchSpace = {
    "hidden_size": [32, 64, 128],
    "fc_size": [32, 64, 128],
    "dropout": (0.0, 0.6),
}


class HybridAttention(Classifier):
    """(B, W, F) of both -> states (B, W, 2 H) each -> weighted by word and modality -> sum (B, 2 H) -> (B, E)."""

    n_inputs = 2

    def __init__(self, config: Config, n_features: tuple[int, ...], n_labels: int) -> None:
        super().__init__(config.fc_size, n_labels)
        size = config.hidden_size
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.layers = nn.ModuleList(Recurrent(n, size, bidirectional=True) for n in n_features)
        self.attentions = nn.ModuleList(SelfAttention(2 * size, size) for _ in n_features)
        self.modality = nn.Sequential(nn.Linear(2 * size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Sequential(nn.Linear(2 * size, config.fc_size), nn.ReLU(), nn.Dropout(config.dropout))

    def encode(self, *inputs: Tensor) -> Tensor:
        """(B, W, F), (B,) of sound and words -> (B, E)."""
        return self.attend(*inputs)[0]

    def attend(self, *inputs: Tensor) -> tuple[Tensor, tuple[Tensor | None, ...]]:  # type: ignore[override]
        """(B, W, F), (B,) of sound and words -> (B, E), and their weights (B, W) each."""
        lengths = torch.minimum(inputs[1], inputs[3])  # both have a row for each token
        n_words = min(inputs[0].shape[1], inputs[2].shape[1])
        mask = time_mask(lengths, n_words)
        each = []
        weights: list[Tensor | None] = []
        for x, layer, attention in zip(inputs[::2], self.layers, self.attentions, strict=True):
            states = self.dropout(layer(self.input_dropout(x[:, :n_words]), lengths))
            own = attention(states, mask)
            each.append(states * own[:, :, None])
            weights.append(nn.functional.pad(own, (0, x.shape[1] - n_words)))
        both = torch.stack(each, dim=2)  # (B, W, 2, 2 H)
        shares = torch.softmax(self.modality(both), dim=2)
        return self.fc((shares * both).sum(dim=(1, 2))), tuple(weights)


build = HybridAttention
