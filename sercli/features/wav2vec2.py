"""Frames of wav2vec 2.0, HuBERT or WavLM by transformers: what each chosen layer says, 50 times a second, side by side.

The weights come from the model hub or from a folder; ser brings none of them. A long clip is heard in windows of at
most 30 s. A layer's states are what the layer itself gives: the norm that some of these models lay behind their last
one is left out.

Source: Baevski et al. 2020, "wav2vec 2.0"; Hsu et al. 2021, "HuBERT"; Chen et al. 2022, "WavLM".
"""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from sercli.errors import ConfigError, SerError
from sercli.features import _dsp
from sercli.types import Array, AudioConfig

INPUT = "audio"
VERSION = 1
DTYPE = "float16"
EXTRA = "transformers"

_KINDS = ("wav2vec2", "hubert", "wavlm")
_MAX_S = 30.0  # longest window: the cost of attention grows with its square
# Used in training alone; some files leave it out.
_DISPENSABLE = {"masked_spec_embed"}


@dataclass(frozen=True)
class Config(AudioConfig):
    """Which weights, and which of their layers."""

    model: str = "facebook/wav2vec2-base"  # name on the model hub, or a folder as transformers writes it
    # Counted from 1, the one next to the sound; in the middle lies most of emotion.
    layers: Annotated[tuple[int, ...], Meta(min_length=1)] = (5, 6, 7, 8)

    def __post_init__(self) -> None:
        """Refuse what cannot be before any sound is read."""
        if min(self.layers) < 1 or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"feature.layers={list(self.layers)}: layers are counted from 1, and each is given once.")


def extract(signal: Array, config: Config) -> Array:
    """States of the chosen layers.

    Returns:
        (T, n_layers * E) float32, T about n_samples / 320, at least 1; E is 768 for the base models.

    Raises:
        SerError: transformers is not installed, or the weights cannot be fetched or read.
        ConfigError: the weights have not as many layers, or hear sound at another rate.
    """
    import torch

    model = _load(config.model, config.layers)
    rate_hz = config.sample_rate_hz
    if rate_hz != model.prepare.sampling_rate:
        raise ConfigError(
            f"feature.sample_rate_hz={rate_hz}: {config.model} hears {model.prepare.sampling_rate} Hz; leave it out."
        )
    prepared = model.prepare(signal, sampling_rate=rate_hz, return_tensors="np").input_values[0]
    samples = torch.from_numpy(_dsp.pad(np.asarray(prepared, np.float32), model.n_least))
    n_windows = -(-len(samples) // int(_MAX_S * rate_hz))
    with torch.inference_mode():
        parts = [_states(model.network, window, config.layers) for window in torch.tensor_split(samples, n_windows)]
    rows: Array = np.concatenate(parts)
    return rows


def _states(network: Any, window: Any, layers: tuple[int, ...]) -> Array:
    """What the layers give for a stretch of sound (n_samples,): (T, n_layers * E)."""
    given: dict[int, Any] = {}

    def keep(number: int) -> Any:
        # A layer gives its states alone or, depending on kind and version, as the first of several things.
        return lambda _layer, _input, out: given.update({number: out[0] if isinstance(out, tuple) else out})

    hooks = [network.encoder.layers[number - 1].register_forward_hook(keep(number)) for number in layers]
    try:
        network(window[None])
    finally:
        for hook in hooks:
            hook.remove()
    return np.concatenate([given[number][0].float().numpy() for number in layers], axis=1)


@dataclass(frozen=True)
class _Model:
    network: Any  # up to the last layer that is asked for
    prepare: Any  # brings a signal to the level that the network was trained with, where it was trained with one
    n_least: int  # samples that it makes one frame of


@lru_cache(maxsize=1)
def _load(name: str, layers: tuple[int, ...]) -> _Model:
    """Load a model and keep it."""
    library = _library()
    settings = _asked(name, library.AutoConfig)
    if settings.model_type not in _KINDS:
        raise SerError(f"{name} is a model of the kind '{settings.model_type}'; here {', '.join(_KINDS)} are known.")
    if max(layers) > settings.num_hidden_layers:
        raise ConfigError(f"feature.layers={list(layers)}: {name} has {settings.num_hidden_layers} layers.")
    prepare = _asked(name, library.Wav2Vec2FeatureExtractor)
    network, report = _asked(name, library.AutoModel, config=settings, output_loading_info=True)
    missing = sorted(set(report["missing_keys"]) - _DISPENSABLE)
    if missing:  # the library would fill them with random numbers
        raise SerError(f"{name} lacks weights ({', '.join(missing[:3])}); give feature.model another model.")
    network.encoder.layers = network.encoder.layers[: max(layers)]
    n_least = 1
    for width, step in zip(reversed(settings.conv_kernel), reversed(settings.conv_stride), strict=True):
        n_least = (n_least - 1) * step + width
    return _Model(network.float().eval(), prepare, n_least)


def _asked(name: str, cls: Any, **options: Any) -> Any:
    """`cls.from_pretrained` of a folder or of a name on the hub.

    Raises:
        SerError: that fails.
    """
    folder = Path(name).expanduser()
    local = folder.is_dir()
    if not local and (folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise SerError(f"{name} is no folder of a speech model; check the path, or give a name on the model hub.")
    try:
        return cls.from_pretrained(str(folder) if local else name, **options)
    except Exception as error:  # network, hub, disk and each format of weights raise errors of their own
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    if local:
        raise SerError(f"{name} cannot be read as a speech model ({reason}); copy or save it again.")
    raise SerError(
        f"The speech model '{name}' cannot be fetched ({reason}); check its name and the network, "
        "or give feature.model the folder of one."
    )


def _library() -> Any:
    """The library transformers, which takes seconds to import; told to raise errors and not to write them as well."""
    try:
        import transformers
    except ImportError:
        raise SerError("The feature 'wav2vec2' needs transformers; run: pip install 'transformers>=5'") from None
    for name in ("transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return transformers
