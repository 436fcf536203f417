"""What the files of a Whisper model must hold, checked before anything is computed from them.

CTranslate2 checks neither shapes nor tokens: with wrong ones it ends the process, or gives wrong words.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from sercli.types import Array

_N_POSITIONS = {"encoder": 1500, "decoder": 448}
# Rows and columns of a layer's matrices, in multiples of the number of states.
_SELF = {
    "self_attention/linear_0": (3, 1),
    "self_attention/linear_1": (1, 1),
    "ffn/linear_0": (4, 1),
    "ffn/linear_1": (1, 4),
}
_CROSS = {"attention/linear_0": (1, 1), "attention/linear_1": (2, 1), "attention/linear_2": (1, 1)}
_MATRICES = {"encoder": _SELF, "decoder": _SELF | _CROSS}
# How Whisper's decoder computes, by CTranslate2's numbers; activation 3 is GELU.
_SCALARS = {"activation": 3, "alignment_heads": 1, "alignment_layer": -1, "pre_norm": 1}
_SCALARS |= dict.fromkeys(("alibi", "alibi_use_positive_positions", "scale_alibi"), 0)
_SCALARS |= dict.fromkeys(("scale_embeddings", "start_from_zero_embedding"), 0)
_START = "<|startoftranscript|>"  # English models and the others give it different numbers
_Content = TypeVar("_Content")


class _Settings(msgspec.Struct):
    """Whisper's part of config.json: heads of the decoder as (layer, head), and tokens."""

    alignment_heads: Annotated[list[tuple[int, int]], Meta(min_length=1)]
    lang_ids: list[int] | None = None
    suppress_ids: list[int] | None = None
    suppress_ids_begin: list[int] | None = None


class _Spectrogram(msgspec.Struct):
    """Content of preprocessor_config.json, with the values that hold where it gives none."""

    feature_size: int = 80
    sampling_rate: int = 16_000
    hop_length: int = 160
    chunk_length: int = 30
    n_fft: int = 400


class _HuggingFace(msgspec.Struct):
    """The encoder's part of config.json in Hugging Face's format; another activation would be ignored."""

    encoder_attention_heads: int
    encoder_layers: int
    activation_function: Literal["gelu"] = "gelu"


def hugging_face(folder: Path, n_mels: int) -> tuple[int, int]:
    """Return the numbers of heads and layers of an encoder in Hugging Face's format, whose settings are checked.

    Raises:
        ValueError: a setting is missing, or is not that by which features are computed.
        OSError: config.json cannot be read.
    """
    _check_spectrogram(folder, n_mels, _Spectrogram(n_mels))
    found = _decoded(folder / "config.json", _HuggingFace)
    return found.encoder_attention_heads, found.encoder_layers


def check_encoder(found: Mapping[str, Array]) -> None:
    """Check an encoder's variables, by their names after `encoder/`.

    Raises:
        ValueError: one is missing, has another shape than the others need, or isn't finite.
    """
    n_states, n_mels = _sizes(found, "conv1/weight")
    own: dict[str, tuple[int, ...]] = {f"conv{n}/bias": (n_states,) for n in (1, 2)}
    own |= {"conv1/weight": (n_states, n_mels, 3), "conv2/weight": (n_states, n_states, 3)}
    _check_part(found, "encoder", n_states, own)


def check_folder(folder: Path, variables: Mapping[str, Array]) -> None:
    """Check a model in CTranslate2's format: the variables of model.bin, and the files beside it.

    Raises:
        ValueError: something is damaged, or does not fit the rest.
        OSError: a file is missing or cannot be read.
    """
    encoder, decoder = (
        {name.removeprefix(part): value for name, value in variables.items() if name.startswith(part)}
        for part in ("encoder/", "decoder/")
    )
    check_encoder(encoder)
    n_states, n_mels = _sizes(encoder, "conv1/weight")
    n_tokens, _ = _sizes(decoder, "embeddings/weight")
    tied = decoder.keys() & {"embeddings/weight", "projection/weight"}
    n_layers, n_heads = _check_part(decoder, "decoder", n_states, dict.fromkeys(tied, (n_tokens, n_states)))
    for name, expected in _SCALARS.items():
        if name in decoder and decoder[name] != expected:
            raise ValueError(f"'decoder/{name}' is {decoder[name]}, not {expected}")
    settings = _decoded(folder / "config.json", _Settings)
    if not all(0 <= layer < n_layers and 0 <= head < n_heads for layer, head in settings.alignment_heads):
        raise ValueError("config.json has alignment_heads beyond the decoder's layers and heads")
    for name in ("lang_ids", "suppress_ids", "suppress_ids_begin"):
        if not all(0 <= token < n_tokens for token in getattr(settings, name) or ()):
            raise ValueError(f"config.json has {name} beyond the {n_tokens} tokens of model.bin")
    if (n_words := len(_vocabulary(folder))) != n_tokens:
        raise ValueError(f"its vocabulary has {n_words} tokens, model.bin {n_tokens}")
    _check_spectrogram(folder, n_mels, _Spectrogram())


def _check_spectrogram(folder: Path, n_mels: int, usual: _Spectrogram) -> None:
    path = folder / "preprocessor_config.json"
    given = _decoded(path, _Spectrogram) if path.is_file() else usual
    if given != _Spectrogram(n_mels):
        raise ValueError(f"{path.name} does not describe the {n_mels} mel bands that the weights need")


def check_tokenizer(folder: Path, numbers: Mapping[str, int]) -> None:
    """Check the tokens of tokenizer.json against the vocabulary beside it.

    Raises:
        ValueError: they have other numbers, as with the tokenizer of another model.
    """
    vocabulary = _vocabulary(folder)
    if max(numbers.values()) >= len(vocabulary) or vocabulary[numbers.get(_START, 0)] != _START.encode():
        raise ValueError("tokenizer.json has other tokens than the vocabulary; copy that of the original model")


def _check_part(
    found: Mapping[str, Array], part: str, n_states: int, own: dict[str, tuple[int, ...]]
) -> tuple[int, int]:
    """Check the encoder or the decoder; return the numbers of layers and of heads.

    Args:
        found: its variables.
        part: `encoder` or `decoder`.
        n_states: size of its states.
        own: shapes of the variables that the other part does not have.
    """
    n_layers = len({name.partition("/")[0] for name in found if name.startswith("layer_") and name[6].isdigit()})
    norm = {"layer_norm/gamma": (n_states,), "layer_norm/beta": (n_states,)}
    shapes = own | norm | {"position_encodings/encodings": (_N_POSITIONS[part], n_states)}
    for layer in range(max(1, n_layers)):
        for name, (n_out, n_in) in _MATRICES[part].items():
            shapes[f"layer_{layer}/{name}/weight"] = (n_out * n_states, n_in * n_states)
            shapes[f"layer_{layer}/{name}/bias"] = (n_out * n_states,)
            shapes |= {f"layer_{layer}/{name.partition('/')[0]}/{key}": shape for key, shape in norm.items()}
    for name, shape in (shapes | {"num_heads": ()}).items():
        _check(part, found, name, shape)
    unlike = found.keys() - shapes.keys() - {f"{name}_scale" for name in shapes} - _SCALARS.keys() - {"num_heads"}
    if unlike:
        raise ValueError(f"'{part}/{min(unlike)}' is nothing that Whisper has")
    n_heads = int(found["num_heads"])
    if n_heads < 1 or n_states % n_heads:
        raise ValueError(f"'{part}/num_heads' is {n_heads}, which does not divide the {n_states} states")
    return n_layers, n_heads


def _check(part: str, found: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> None:
    value, scale = found.get(name), found.get(f"{name}_scale")
    if value is None:
        raise ValueError(f"'{part}/{name}' is missing")
    if value.shape != shape:
        raise ValueError(f"'{part}/{name}' has the shape {value.shape}, not {shape}")
    if value.dtype.kind == "i" and shape:
        if scale is None or scale.shape not in (shape[:1], ()) or not scale.all():
            raise ValueError(f"'{part}/{name}' is quantised, and its scale does not fit")
        value = scale
    if not np.isfinite(value).all():
        raise ValueError(f"'{part}/{name}' has numbers that are not finite")


def _sizes(found: Mapping[str, Array], name: str) -> tuple[int, int]:
    """Return the first two sizes of a variable."""
    shape = found[name].shape if name in found else ()
    if len(shape) < 2 or 0 in shape:
        raise ValueError(f"'{name}' is missing, or has no content")
    return shape[0], shape[1]


def _decoded(path: Path, kind: type[_Content]) -> _Content:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"{path.name}: {error}") from None


def _vocabulary(folder: Path) -> list[bytes]:
    """Return the tokens by their numbers; CTranslate2 knows two formats."""
    path = folder / "vocabulary.json"
    if path.is_file():
        return [token.encode() for token in _decoded(path, list[str])]
    return (folder / "vocabulary.txt").read_bytes().rstrip(b"\n").split(b"\n")
