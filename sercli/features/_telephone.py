"""States of base's encoder for speech that lacks what a telephone leaves out, mapped to those of the whole band.

Without it such speech is heard as another emotion. The map is linear, one for each layer, and was fitted to the states
of the same speech with its whole band and as several narrow bands and codecs give it (`benchmarks/make_telephone.py`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sercli.audio.condition import HIGH_HZ, MIDDLE_HZ, NARROW
from sercli.types import SAMPLE_RATE_HZ, Array

WEIGHTS = Path(__file__).with_name("telephone.safetensors")


class WideBand(nn.Module):
    """Maps the states of L layers where the speech is of a narrow band, and leaves them else."""

    weight: Tensor
    bias: Tensor
    high: Tensor
    middle: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, filterbank: Array) -> None:
        """Build the map.

        Args:
            weight: (L, E, E), what is added for each state.
            bias: (L, E).
            filterbank: (F, M) of the spectrogram, from frequencies up to half of the sample rate to bands.
        """
        super().__init__()
        self.register_buffer("weight", weight.float())
        self.register_buffer("bias", bias.float())
        hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(filterbank))
        for name, (low, high) in (("high", HIGH_HZ), ("middle", MIDDLE_HZ)):  # (M,) 1 for bands that lie within
            outside = filterbank[(hz < low) | (hz > high)].sum(axis=0)
            self.register_buffer(name, torch.from_numpy((outside == 0).astype(np.float32)))

    def forward(self, frames: Tensor, mel: Tensor, n_mel: int | Tensor) -> Tensor:
        """Return the states, mapped where the speech is of a narrow band.

        Args:
            frames: (T, L * E) states, layer after layer.
            mel: (2 T or 2 T - 1, M) what `whisper_encoder.log_mel` gives.
            n_mel: number of rows of `mel` that are no padding.
        """
        real = torch.arange(mel.shape[0]) < n_mel
        power = (10 ** (4 * mel - 4) * real[:, None]).sum(0)
        narrow = (power * self.high).sum() / self.high.sum() < NARROW * (power * self.middle).sum() / self.middle.sum()
        if not torch.compiler.is_exporting() and not narrow:
            return frames
        n_layers, n_states = self.bias.shape
        layers = frames.view(-1, n_layers, n_states).transpose(0, 1)
        added = (layers @ self.weight + self.bias[:, None]).transpose(0, 1).reshape(frames.shape)
        return torch.where(narrow, frames + added, frames)


def load(layers: Sequence[int], filterbank: Array) -> WideBand:
    """Return the map of some of base's layers, counted from 1, for the filterbank of its spectrogram."""
    tensors, chosen = load_file(WEIGHTS), [layer - 1 for layer in layers]
    return WideBand(tensors["weight"][chosen], tensors["bias"][chosen], filterbank).eval()
