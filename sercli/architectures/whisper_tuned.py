"""Whisper's encoder, trained further for emotion, under the head of layer-mix.

It reads the spectrogram of the feature `whisper-mel`. Training starts from the recogniser's weights; a run directory
holds the encoder as it became, and needs no other weights to answer. The first layers say what every voice says and
stay as they are; the others are trained with a smaller step than the head, which starts from nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sercli.architectures import _layer_mix
from sercli.architectures._layers import spread
from sercli.errors import ConfigError
from sercli.types import Array, Depth, NonNegativeInt, Positive, PositiveInt
from sercli.whisper import encoder
from sercli.whisper.encoder import MAX_FRAMES

search_space = _layer_mix.search_space


@dataclass(frozen=True)
class Config(_layer_mix.Config):
    """Sizes of the encoder and of the head, and what of the encoder is trained."""

    # null: training starts from Whisper tiny.en, which comes with ser, as does `base`; else a folder with others, or a
    # name on the model hub; n_states and n_heads are then those of these weights
    model: str | None = None
    n_states: PositiveInt = 384
    n_heads: PositiveInt = 6
    n_layers: Depth = 3  # layers of the encoder that are run, from the one next to the sound
    n_tuned: NonNegativeInt = 2  # how many of these are trained, counted from the last; more than n_layers: all, and
    # the convolutions below them
    encoder_step: Positive = 0.1  # how large the encoder's step is, as a share of train.lr


def build(config: Config, n_features: int, n_labels: int) -> "WhisperTuned":
    """Make the network for (B, T, n_features) spectrograms and n_labels classes, without the recogniser's weights.

    Raises:
        ConfigError: the states cannot be shared out among the heads.
    """
    if config.n_states % config.n_heads or config.n_states % 2:
        raise ConfigError(
            f"architecture.n_states={config.n_states}: it is shared out among {config.n_heads} heads, and must be even."
        )
    return WhisperTuned(config, n_features, n_labels)


def start(module: "WhisperTuned", rows: Iterable[Array], y: Array) -> None:
    """Give the network the recogniser's weights, as training needs them; the train part plays no role.

    Raises:
        ConfigError: the weights are of another size than the configuration or the feature.
        SerError: they are missing or damaged.
    """
    config = module.config
    pretrained = encoder.load(config.model)
    which = config.model or "Whisper tiny.en"
    n_mels, n_states = pretrained.conv1.in_channels, pretrained.conv1.out_channels
    n_heads, n_layers = pretrained.n_heads, len(pretrained.layers)
    if module.encoder.conv1.in_channels != n_mels:
        raise ConfigError(
            f"model.architecture=whisper-tuned: {which} hears {n_mels} bands, and the feature has "
            f"{module.encoder.conv1.in_channels}; set model.feature=whisper-mel and feature.n_mels={n_mels}."
        )
    for name, theirs in (("n_states", n_states), ("n_heads", n_heads)):
        if getattr(config, name) != theirs:
            raise ConfigError(f"architecture.{name}={getattr(config, name)}: {which} has {theirs}; set it.")
    if config.n_layers > n_layers:
        raise ConfigError(f"architecture.n_layers={config.n_layers}: {which} has {n_layers} layers.")
    given = pretrained.state_dict()
    module.encoder.load_state_dict({name: given[name] for name in module.encoder.state_dict()})


class WhisperTuned(_layer_mix.LayerMix):
    """(B, T, M) log-mel at 100 Hz -> layers side by side (B, ceil(T / 2), L * D) at 50 Hz -> as `LayerMix`."""

    def __init__(self, config: Config, n_features: int, n_labels: int) -> None:
        super().__init__(config, config.n_layers * config.n_states, n_labels)
        self.config: Config = config
        self.encoder = encoder.Encoder(n_features, config.n_states, config.n_heads, config.n_layers)
        self.encoder.norm = nn.Identity()  # it belongs behind the last layer of all; here each has a norm of its own
        self.norms = nn.ModuleList(nn.LayerNorm(config.n_states) for _ in range(config.n_layers))
        if config.n_tuned <= config.n_layers:
            self.encoder.requires_grad_(False)
            for layer in self.encoder.layers[config.n_layers - config.n_tuned :]:
                layer.requires_grad_(True)

    def slow_parameters(self) -> dict[nn.Parameter, float]:
        """What is trained with a smaller step, and with which share of it."""
        return dict.fromkeys(self.encoder.parameters(), self.config.encoder_step)

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, M), (B,) -> (B, E)."""
        return super().encode(self._heard(x, lengths), (lengths + 1) // 2)

    def attend(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T, M), (B,) -> (B, E), and (B, T) or None."""
        embedding, weights = super().attend(self._heard(x, lengths), (lengths + 1) // 2)
        return embedding, None if weights is None else spread(weights, lengths, x.shape[1], 2)

    def _heard(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The states of all layers side by side; more than 30 s are heard in windows."""
        windows = []
        for start_, window in zip(range(0, x.shape[1], MAX_FRAMES), torch.split(x, MAX_FRAMES, dim=1), strict=True):
            # An utterance that ended before this window lends one frame, which lies behind its length.
            inside = (lengths - start_).clamp(1, window.shape[1])
            states = self.encoder(window, inside)
            windows.append(torch.cat([norm(s) for norm, s in zip(self.norms, states, strict=True)], dim=2))
        return torch.cat(windows, dim=1)
