"""Make the weights that tell voices apart, those of Resemblyzer's network as safetensors.

    pip download --no-deps Resemblyzer==0.1.4
    python benchmarks/make_speakers.py Resemblyzer-0.1.4-py3-none-any.whl

In float16 embeddings of 100 clips differ by at most .0006, and their cosines with those of float32 are above .999998.
The same wheel gives the same bytes.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save

from sercli.speakers.embedding import WEIGHTS

WHEEL_SHA256 = "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f"
LICENCE = "Resemblyzer-0.1.4.dist-info/LICENSE"
NOTICE = """\
ge2e.safetensors holds the weights of the voice encoder of Resemblyzer 0.1.4, https://github.com/resemble-ai/Resemblyzer
(Corentin Jemine and the authors of Resemblyzer), under the Apache License 2.0 below. Changes: the optimiser's state and
the similarity's scale were left out, and the numbers were rounded to float16.

"""


def main() -> None:
    wheel = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(wheel).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{sys.argv[1]} is not the wheel of Resemblyzer 0.1.4.")
    with zipfile.ZipFile(io.BytesIO(wheel)) as files:
        saved = torch.load(io.BytesIO(files.read("resemblyzer/pretrained.pt")), map_location="cpu", weights_only=True)
        licence = files.read(LICENCE).decode()
    network = {name: value for name, value in saved["model_state"].items() if not name.startswith("similarity")}
    WEIGHTS.parent.mkdir(exist_ok=True)
    WEIGHTS.write_bytes(save({name: value.half() for name, value in network.items()}))
    WEIGHTS.with_name("LICENSE").write_text(NOTICE + "\n".join(licence.splitlines()).strip() + "\n")
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size:,} bytes, sha256 {hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
