"""Word vectors on disk: the .npz that ser writes, GloVe text, word2vec text and word2vec binary, recognised by content.

Text and binary are read as a stream, and nothing is allocated by what a header says, so memory is bounded by the file.
"""

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from sercli._system import arrays
from sercli.errors import SerError
from sercli.types import Array

BUNDLED = Path(__file__).parent / "minilm-100d.npz"
BUNDLED_WORDS = 33_515

_BLOCK_ROWS = 4096
_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 4096
_MAX_LINE_BYTES = 1 << 22  # a longer line is not a word with its vector
_MAX_DIM = 1 << 16
_LARGEST = float(np.finfo(np.float16).max)

_Block = tuple[Sequence[str], Array, Callable[[int], str]]
"""n words, (n, D) their vectors, and for messages the place of a row in the file."""


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors: `matrix[index[word]]` is the vector of a word."""

    index: dict[str, int]
    matrix: Array  # (N, D) float16


def load(path: Path | None, max_words: int) -> WordVectors:
    """Read word vectors of any of the four formats, compressed by gzip or not.

    A word that occurs twice keeps its first vector. Bytes of a word that are not UTF-8 become U+FFFD.

    Args:
        path: the file; None: the vectors that ship with ser.
        max_words: number of words to read from the beginning, where such files have the frequent ones.

    Raises:
        SerError: the file is missing or damaged; the message says where and why.
    """
    file = BUNDLED if path is None else path
    if not file.is_file():
        raise SerError(f"There is no word vector file {file}; give the path of a GloVe or word2vec file.")
    try:
        with file.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic == b"PK\x03\x04":
                return _load_npz(raw, file, max_words)
            packed = magic[:2] == b"\x1f\x8b"
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw
            return _collect(_blocks(stream, file, size=None if packed else file.stat().st_size), max_words)
    except (OSError, EOFError, zlib.error) as error:
        raise SerError(f"{file}: cannot be read as word vectors: {error}.") from None


def save(vectors: WordVectors, path: Path, **about: str) -> None:
    """Write the .npz that `load` reads, with facts for people; the same vectors give the same bytes."""
    named: dict[str, Array] = {
        "words": np.frombuffer("\n".join(vectors.index).encode(), np.uint8),
        "vectors": vectors.matrix.astype(np.float16),
    }
    arrays.write(path, named | {name: np.array(text) for name, text in about.items()})


def _load_npz(raw: BinaryIO, file: Path, max_words: int) -> WordVectors:
    try:
        with zipfile.ZipFile(raw) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        if not {"words", "vectors"} <= set(names):
            _refuse(file, f"an archive of {', '.join(names[:4])}; unpack it and give the path of a file in it")
        content = arrays.read(raw)
        words = bytes(content["words"]).decode().split("\n")
        matrix = content["vectors"]
    except (ValueError, TypeError, zipfile.BadZipFile, NotImplementedError) as error:
        _refuse(file, f"a damaged archive ({error})")
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or matrix.shape[0] != len(words) or matrix.shape[1] == 0:
        _refuse(file, f"{len(words)} words, but vectors of shape {matrix.shape} and type {matrix.dtype}")
    return _collect([(words, matrix, partial(_word_place, file, 0))], max_words)


def _collect(blocks: Iterable[_Block], max_words: int) -> WordVectors:
    """Return the first `max_words` distinct words of the blocks; of equal words the first is kept.

    Raises:
        SerError: a block has a number that float16 cannot hold.
    """
    index: dict[str, int] = {}
    kept = []
    for words, values, place in blocks:
        good = (np.abs(values) <= _LARGEST).all(axis=1)  # false for NaN too
        if not good.all():
            _refuse(place(int(np.argmin(good))), f"a number that is not finite or beyond {_LARGEST:.0f}")
        rows = []
        for row, word in enumerate(words):
            if word not in index and len(index) < max_words:
                index[word] = len(index)
                rows.append(row)
        kept.append(values[rows].astype(np.float16))
        if len(index) >= max_words:
            break
    return WordVectors(index, np.concatenate(kept))


def _blocks(stream: BinaryIO, file: Path, size: int | None) -> Iterator[_Block]:
    """Detect the format and yield blocks of rows; `size`: of the file in bytes, None if it is compressed."""
    first = stream.readline(_MAX_LINE_BYTES)
    if not first:
        _refuse(file, "is empty")
    fields = first.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 18 for field in fields):
        stream.seek(0)
        return _text_blocks(stream, file, _checked_dim(len(fields) - 1, file), None)
    n_words, dim = int(fields[0]), _checked_dim(int(fields[1]), file)
    start = stream.tell()
    binary = _looks_binary(stream.read(_SAMPLE_BYTES))
    stream.seek(start)
    smallest_row = 4 * dim + 2 if binary else 2 * dim + 1
    if n_words == 0 or (size is not None and n_words * smallest_row > size):
        _refuse(f"{file}:1", f"the header promises {n_words} words of {dim} numbers, which the file does not hold")
    return (_binary_blocks if binary else _text_blocks)(stream, file, dim, n_words)


def _checked_dim(dim: int, file: Path) -> int:
    if not 1 <= dim <= _MAX_DIM:
        _refuse(f"{file}:1", f"vectors of {max(dim, 0)} numbers; there must be 1 to {_MAX_DIM}")
    return dim


def _looks_binary(sample: bytes) -> bool:
    """Four-byte floats hold control characters or invalid UTF-8 within a few numbers; text never does."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return True
    return any(character < " " and character not in "\t\n\r" for character in text)


def _text_blocks(stream: BinaryIO, file: Path, dim: int, promised: int | None) -> Iterator[_Block]:
    """Yield rows `word v1 ... vD`, split from the right, as a word may hold spaces; `promised`: words in the header."""
    lines = enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES), b""), start=1 if promised is None else 2)
    rows = ((number, *_cut(line.rstrip(), dim, f"{file}:{number}")) for number, line in lines if line.strip())
    found = 0
    while batch := list(islice(rows, _BLOCK_ROWS)):
        numbers, words, tails = zip(*batch, strict=True)
        found += len(words)
        yield words, _parse(tails, dim, file, numbers), partial(_line_place, file, numbers)
    if promised is not None and found != promised:
        _refuse(f"{file}:1", f"the header promises {promised} words, the file holds {found}")


def _cut(line: bytes, dim: int, place: str) -> tuple[str, bytes]:
    """`b"at home 0.1 0.2"` with D = 2 -> `("at home", b"0.1 0.2")`."""
    if line.count(b" ") == dim:
        word, _, tail = line.partition(b" ")
    else:
        parts = line.rsplit(None, dim)
        if len(parts) != dim + 1:
            _refuse(place, f"{len(parts) - 1} numbers after the word where line 1 has {dim}")
        word, tail = parts[0], b" ".join(parts[1:])
        if _is_number(word.split()[-1]) and b" " in word:
            _refuse(place, f"more than the {dim} numbers that line 1 has")
    if not word:
        _refuse(place, "numbers without a word")
    return word.decode(errors="replace"), tail


def _parse(tails: Sequence[bytes], dim: int, file: Path, numbers: Sequence[int]) -> Array:
    """Return the numbers of n lines as (n, D) float32; lines are checked one by one only after an error."""
    try:
        values = np.loadtxt(tails, np.float32, comments=None, ndmin=2, encoding="utf-8")
    except ValueError as error:
        for number, tail in zip(numbers, tails, strict=True):
            for part in tail.split():
                if not _is_number(part):
                    _refuse(f"{file}:{number}", f"'{part[:40].decode(errors='replace')}' is not a number")
        _refuse(f"{file}:{numbers[0]}", f"unreadable rows from here ({error})")
    if values.shape != (len(tails), dim):
        _refuse(f"{file}:{numbers[0]}", f"rows of {values.shape[1]} numbers from here where line 1 has {dim}")
    return values


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True


def _binary_blocks(stream: BinaryIO, file: Path, dim: int, promised: int) -> Iterator[_Block]:
    """Yield rows of a word, a blank and D little-endian floats, with or without a line break after each."""
    rows = _binary_rows(stream, file, dim, promised)
    first = 0  # words before the block
    while batch := list(islice(rows, _BLOCK_ROWS)):
        words, vectors = zip(*batch, strict=True)
        yield words, np.frombuffer(b"".join(vectors), "<f4").reshape(-1, dim), partial(_word_place, file, first)
        first += len(words)


def _binary_rows(stream: BinaryIO, file: Path, dim: int, promised: int) -> Iterator[tuple[str, bytes]]:
    """Yield one word and the bytes of its vector at a time, from a buffer of bounded size."""
    buffer, at = b"", 0
    for row in range(promised):
        while (blank := buffer.find(b" ", at)) < 0 or len(buffer) < blank + 1 + 4 * dim:
            more = stream.read(_CHUNK_BYTES)
            if not more or len(buffer) - at > _MAX_LINE_BYTES:
                _refuse(f"{file}: word {row + 1}", f"truncated: the header promises {promised} words of {dim} numbers")
            buffer, at = buffer[at:] + more, 0
        word = buffer[at:blank].replace(b"\n", b"")
        at = blank + 1 + 4 * dim
        yield word.decode(errors="replace"), buffer[blank + 1 : at]
    if (buffer[at:] + stream.read(1)).strip():
        _refuse(file, f"more data after the {promised} words that its header promises")


def _word_place(file: Path, first: int, row: int) -> str:
    """Return a word's place in the file for messages, counted from 1; `first`: words before its block."""
    return f"{file}: word {first + row + 1}"


def _line_place(file: Path, numbers: Sequence[int], row: int) -> str:
    return f"{file}:{numbers[row]}"


def _refuse(place: Path | str, reason: str) -> NoReturn:
    raise SerError(f"{place}: {reason}. Give a GloVe or word2vec file, text or binary, .gz or not.")
