"""The networks that are exported, as torch modules: the head alone, and what is around the detector of speech."""

import torch
from torch import Tensor, nn

from sercli.model.export.conditioning import AfterDetector
from sercli.model.inference import Model


class Head(nn.Module):
    """(1, T, F) features as their extractor gives them -> (1, K) probabilities."""

    mean: Tensor
    scale: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network, self.temperature = model.module, model.info.temperature
        (normaliser,) = model.normalisers
        self.register_buffer("mean", torch.tensor(normaliser.mean))
        self.register_buffer("scale", torch.tensor(normaliser.scale))

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(1, T, F), (1,) real frames, all without it -> (1, K)."""
        given = torch.full((1,), features.shape[1]) if lengths is None else lengths
        scores = self.network((features - self.mean) * self.scale, given)
        return torch.softmax(scores / self.temperature, dim=1)


class AfterDetection(nn.Module):
    """(n,) samples without rumble, (frames,) probabilities of speech -> (K,) probabilities, () share of speech."""

    def __init__(self, model: Model, feature: nn.Module, level_dbfs: float | None) -> None:
        super().__init__()
        self.speech, self.feature, self.head = AfterDetector(level_dbfs), feature, Head(model)

    def forward(self, signal: Tensor, detected: Tensor) -> tuple[Tensor, Tensor]:
        """(n,), (frames,) -> (K,), ()."""
        samples, length, share = self.speech(signal, detected)
        return self.head(*self.feature(samples, length))[0], share
