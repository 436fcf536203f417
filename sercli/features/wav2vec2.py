"""States of wav2vec 2.0, HuBERT or WavLM (by transformers): 50 frames a second, the chosen layers concatenated.

The weights come from the model hub or from a folder; ser ships none of them. A long clip is read in windows of at most
30 s. A layer's states are its own output, without the final norm that some of these models have.

Source: Baevski et al. 2020, "wav2vec 2.0"; Hsu et al. 2021, "HuBERT"; Chen et al. 2022, "WavLM".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta

from sercli.audio import dsp
from sercli.contracts import Extractor
from sercli.errors import ConfigError, SerError
from sercli.features import _transformers
from sercli.types import Array, AudioConfig

if TYPE_CHECKING:
    from torch import Tensor

INPUT = "audio"
VERSION = 1
DTYPE = "float16"
EXTRA = "transformers"
USES_DEVICE = True

_KINDS = ("wav2vec2", "hubert", "wavlm")
_MAX_S = 30.0  # longest window: the cost of attention grows with its square
_WHAT = "speech model"
_DISPENSABLE = ("masked_spec_embed",)  # used only in training; some files leave it out


@dataclass(frozen=True)
class Config(AudioConfig):
    """Which weights, and which of their layers."""

    model: str = "facebook/wav2vec2-base"  # name on the model hub, or a folder saved by transformers
    # Counted from 1, the layer nearest to the audio; the middle layers carry most of the emotion.
    layers: Annotated[tuple[int, ...], Meta(min_length=1)] = (5, 6, 7, 8)

    def __post_init__(self) -> None:
        """Refuse impossible settings before any audio is read."""
        if min(self.layers) < 1 or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"feature.layers={list(self.layers)}: count layers from 1, and give each once.")


def make(config: Config, device: str) -> Extractor:
    """Return the extractor: the network on a device, which processes one signal at a time.

    The extractor returns (T, n_layers * E) float32, T about n_samples / 320, at least 1; E is 768 for the base models.

    Raises:
        SerError: transformers is not installed, or the weights cannot be fetched or read.
        ConfigError: the model has fewer layers, or needs another sample rate.
    """
    name, library = config.model, _transformers.library("wav2vec2")
    settings = _transformers.pretrained(name, library.AutoConfig, what=_WHAT)
    if settings.model_type not in _KINDS:
        raise SerError(f"{name}: model type '{settings.model_type}' is not supported; use {', '.join(_KINDS)}.")
    if max(config.layers) > settings.num_hidden_layers:
        raise ConfigError(f"feature.layers={list(config.layers)}: {name} has only {settings.num_hidden_layers}.")
    prepare = _transformers.pretrained(name, library.Wav2Vec2FeatureExtractor, what=_WHAT)
    if config.sample_rate_hz != prepare.sampling_rate:
        raise ConfigError(
            f"feature.sample_rate_hz={config.sample_rate_hz}: {name} needs {prepare.sampling_rate} Hz; set it to that."
        )
    settings.add_adapter = False  # what follows the encoder isn't needed
    network = _transformers.network(name, settings, library.AutoModel, what=_WHAT, dispensable=_DISPENSABLE)
    network.encoder.layers = network.encoder.layers[: max(config.layers)]
    n_least = 1
    for width, step in zip(reversed(settings.conv_kernel), reversed(settings.conv_stride), strict=True):
        n_least = (n_least - 1) * step + width
    if n_least > _MAX_S * config.sample_rate_hz:
        raise SerError(f"{name}: one frame would need {n_least:,} samples (conv_stride); copy or save it again.")
    extractor = _Extractor(config, network.to(device), prepare, n_least, device)
    return _transformers.tried(name, extractor, np.linspace(-1, 1, max(1, n_least), dtype=np.float32), what=_WHAT)


@dataclass(frozen=True)
class _Extractor:
    config: Config
    network: Any  # truncated after the last layer needed
    prepare: Any  # normalises the signal's level if the network was trained that way
    n_least: int  # samples needed for one frame
    device: str

    def __call__(self, signals: Sequence[Array]) -> list[Array]:
        import torch

        with torch.inference_mode():
            return [self._states(signal) for signal in signals]

    def _states(self, signal: Array) -> Array:
        """(n_samples,) -> (T, n_layers * E)."""
        import torch

        rate_hz = self.config.sample_rate_hz
        prepared = self.prepare(signal, sampling_rate=rate_hz, return_tensors="np").input_values[0]
        samples = torch.from_numpy(dsp.pad(np.asarray(prepared, np.float32), self.n_least))
        windows = torch.tensor_split(samples, -(-len(samples) // int(_MAX_S * rate_hz)))
        return np.concatenate([self._window(window.to(self.device)) for window in windows])

    def _window(self, samples: "Tensor") -> Array:
        """(n_samples,) of at most 30 s -> (T, n_layers * E)."""
        given: dict[int, Tensor] = {}

        def keep(number: int) -> Any:
            # Depending on model type and version, a layer returns its states or a tuple that starts with them.
            return lambda _layer, _input, out: given.update({number: out[0] if isinstance(out, tuple) else out})

        layers = self.config.layers
        hooks = [self.network.encoder.layers[n - 1].register_forward_hook(keep(n)) for n in layers]
        try:
            self.network(samples[None])
        finally:
            for hook in hooks:
                hook.remove()
        return np.concatenate([given[n][0].float().cpu().numpy() for n in layers], axis=1)
