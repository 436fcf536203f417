"""Word vectors of a text's tokens (by NLTK), with one more column that flags unknown words.

Tokens follow the Penn Treebank, as in GloVe's own corpus: "can't" is `ca` `n't`, and punctuation is a token. A marker
such as [LAUGHTER] or [BREATHING] is one token, since a laugh is a cue. A token is looked up in this order:

1. a marker as the word between its brackets, in lower case;
2. the token itself (already in lower case if `lower` is set), then in lower case;
3. with each letter that is repeated three times or more written once: `nooo`, `sooo`;
4. if it joins several words (`well-meant`, `y'know`, the stutter `wh-what`), the mean over its known parts.

An unknown token gets zeros and a 1 in the last column, which is 0 for every known token.
"""

import dataclasses
import hashlib
import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import numpy as np

from sercli._system.files import refuse_pipes
from sercli.contracts import Extractor
from sercli.errors import SerError
from sercli.features import _vectors
from sercli.types import Array, PositiveInt

INPUT = "text"
VERSION = 2
DTYPE = "float16"

FILES = ("vectors.npz",)  # what `export` writes into a run directory
_MARKER = re.compile(r"(\[[A-Za-z]+\])")
_MARKER_WORDS = {"garbage": "unclear", "lipsmack": "lips"}  # IEMOCAP's markers without a fitting vector
_QUOTES = str.maketrans("‘’‚′`“”„«»", "'''''\"\"\"\"\"")
# NLTK splits off a full stop only at the end of its input, this splits off the others; Mr. and U.S. keep theirs.
_FULL_STOP = re.compile(r"(?<![.\s])(?<!\.\w)(?<!\b[md]r)(?<!\bms)(?<!\bmrs)\.(?=[\"')\]]*(?:\s|$))", re.IGNORECASE)
_DOTS = re.compile(r"\.{2,}")
_LONG = re.compile(r"([^\W\d])\1{2,}")
_JOINTS = re.compile(r"[-'./]+")


@dataclass(frozen=True)
class Config:
    """How words become vectors."""

    vectors: str | None = None  # path of a GloVe or word2vec file as text, binary or .gz; null: those that ship
    max_words: PositiveInt = 400_000  # how many words to read from the start of the file; more take more memory
    lower: bool = True  # lower-case the text first; false for vectors that distinguish "May" from "may"
    max_tokens: PositiveInt = 128  # tokens after this many are ignored


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which looks words up on the CPU."""
    return lambda texts: [extract(text, config) for text in texts]


def extract(text: str, config: Config) -> Array:
    """Return the words of an utterance as vectors.

    Returns:
        (T, D + 1) float32, T >= 1: the D numbers of the word's vector, then 1 if the word is unknown. A text without a
        token is one unknown word.

    Raises:
        SerError: the word vector file is missing or damaged.
    """
    known = _load(config)
    found = [_look_up(token, known) for token in tokens(text, config)] or [None]
    rows = np.zeros((len(found), known.matrix.shape[1] + 1), np.float32)
    for row, vector in zip(rows, found, strict=True):
        if vector is None:
            row[-1] = 1
        else:
            row[:-1] = vector
    return rows


def tokens(text: str, config: Config) -> list[str]:
    """Split a text into words, punctuation marks and markers.

    >>> tokens("I can’t. [LAUGHTER] Go!", Config())
    ['i', 'ca', "n't", '.', '[laughter]', 'go', '!']
    """
    cut: list[str] = []
    for piece in _MARKER.split(_plain(text, config)):
        cut += [piece] if _MARKER.fullmatch(piece) else _tokenizer()(_FULL_STOP.sub(" .", piece))
    return [{"``": '"', "''": '"'}.get(token, token) for token in cut[: config.max_tokens]]


def unknown(text: str, config: Config) -> tuple[int, int]:
    """Return how many words of a text have no vector, and how many it has.

    >>> unknown("Bardzo mi milo, so nice!", Config())
    (3, 5)
    """
    known = _load(config)
    said = [token for token in tokens(text, config) if any(map(str.isalpha, token))]
    return sum(_look_up(token, known) is None for token in said), len(said)


def word_places(text: str, config: Config) -> Array:
    """Return, for each frame of `extract`, the index of its word in `text.split()`; -1: none.

    Tokens are the characters of the words in their order, so counting them is enough.

    >>> word_places("I can't. Go!", Config())
    array([0, 1, 1, 1, 2, 2])
    """
    found = tokens(text, config)
    if not found:
        return np.array([-1])
    ends = np.cumsum([_n_characters(word, config) for word in text.split()])
    starts = np.cumsum([0, *map(len, found)])[:-1]
    return np.minimum(np.searchsorted(ends, starts, side="right"), len(ends) - 1)


def _plain(text: str, config: Config) -> str:
    """Return the text with letters, dots and quotes normalised."""
    plain = _DOTS.sub("...", unicodedata.normalize("NFKC", text)).translate(_QUOTES)
    return plain.lower() if config.lower else plain


def _n_characters(word: str, config: Config) -> int:
    """Return the number of characters in a word's tokens; a quote mark of two characters counts as one."""
    plain = _plain(word, config).replace("``", '"').replace("''", '"')
    return sum(not character.isspace() for character in plain)


def identity(config: Config) -> dict[str, object]:
    """Return what the features depend on: the content of the vectors, whatever their path, and the tokenization.

    Raises:
        SerError: the file is missing.
    """
    return {"vectors": _digest(config), "lower": config.lower, "max_tokens": config.max_tokens}


def export(config: Config, folder: Path) -> Config:
    """Copy the vectors into a run directory; return the Config that names them relative to it."""
    if config.vectors is None:
        return config
    _vectors.save(_load(config), folder / FILES[0])
    return dataclasses.replace(config, vectors=FILES[0])


def localise(config: Config, folder: Path) -> Config:
    """Return the Config that reads what `export` wrote into `folder`."""
    return config if config.vectors is None else dataclasses.replace(config, vectors=str(folder / FILES[0]))


def _look_up(token: str, known: _vectors.WordVectors) -> Array | None:
    if _MARKER.fullmatch(token):
        token = token[1:-1].lower()
        token = _MARKER_WORDS.get(token, token)
    for form in (token, token.lower(), _LONG.sub(r"\1", token.lower())):
        if form in known.index:
            return np.asarray(known.matrix[known.index[form]])
    parts = [known.index[part] for part in _JOINTS.split(token) if part in known.index]
    return np.asarray(known.matrix[parts].mean(axis=0, dtype=np.float32)) if parts else None


def _digest(config: Config) -> str:
    """Return the SHA-256 of words and vectors; "" for those that ship with ser, which VERSION identifies."""
    if config.vectors is None and config.max_words >= _vectors.BUNDLED_WORDS:
        return ""
    known = _load(config)
    return hashlib.sha256("\n".join(known.index).encode() + known.matrix.tobytes()).hexdigest()


def _load(config: Config) -> _vectors.WordVectors:
    if config.vectors is None:
        return _load_file(None, 0, 0, config.max_words)
    return _load_file(*_state(config.vectors), config.max_words)


def _state(path: str) -> tuple[str, int, int]:
    """The full path of a file, its time of change in ns and its size in bytes."""
    try:
        file = Path(path).expanduser()
        refuse_pipes([file])
        file.open("rb").close()
        state = file.stat()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: unknown user after ~; ValueError: invalid name
        reason = error.strerror if isinstance(error, OSError) else error
        raise SerError(f"{path}: cannot read word vectors ({reason}); check the path in feature.vectors.") from None
    return str(file), state.st_mtime_ns, state.st_size


@lru_cache(maxsize=2)
def _load_file(path: str | None, mtime_ns: int, size: int, max_words: int) -> _vectors.WordVectors:
    """Return a file's vectors, cached for identity and extractor; `mtime_ns` and `size` differ if it changes."""
    return _vectors.load(None if path is None else Path(path), max_words)


@cache
def _tokenizer() -> Callable[[str], list[str]]:
    """NLTK's treebank tokenizer, which needs no download.

    Of nltk only the tokenizers are imported, which takes .07 s: all of it imports scipy.stats and, where it is
    installed, scikit-learn, which takes up to a second. Who imports nltk afterwards gets all of it.
    """
    alone = "nltk" not in sys.modules
    if alone and (found := find_spec("nltk")):
        sys.modules["nltk"] = module_from_spec(found)  # where its modules are, and nothing of what it imports
    from nltk.tokenize.destructive import NLTKWordTokenizer

    for name in [name for name in sys.modules if alone and name.partition(".")[0] == "nltk"]:
        del sys.modules[name]
    return NLTKWordTokenizer().tokenize
