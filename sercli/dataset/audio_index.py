"""audio-index.jsonl: length and digest of each recording of a dataset, one a line, sorted by path."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from sercli._system.files import write_atomic

NAME = "audio-index.jsonl"


@dataclass(frozen=True)
class IndexedAudio:
    """One line: a recording, recognised again by its size and time."""

    path: str
    size: int
    mtime_ns: int
    digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
    duration_s: float


def load(out: Path) -> Iterator[IndexedAudio]:
    """Yield the index of the dataset in a folder up to the first damaged line; the rest is inspected again."""
    decoder = msgspec.json.Decoder(IndexedAudio)
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError), (out / NAME).open("rb") as lines:
        yield from map(decoder.decode, lines)


def save(out: Path, index: Iterable[IndexedAudio]) -> None:
    """Write the index of the dataset in a folder."""
    write_atomic(out / NAME, msgspec.json.Encoder().encode_lines(sorted(index, key=lambda one: one.path)))
