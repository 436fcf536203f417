"""audio-index.jsonl: length, digest and print of each recording of a dataset, one a line, sorted by path."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from sercli._system.files import write_atomic
from sercli.audio.sound_print import SoundPrint

NAME = "audio-index.jsonl"
_LATEST_NS = 2**63 - 1  # in the year 2262; some file systems have later times


@dataclass(frozen=True)
class IndexedAudio:
    """One line: a recording, recognised again by its size and time."""

    path: str
    size: int
    mtime_ns: int
    digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
    duration_s: float
    sound: SoundPrint
    remarks: tuple[str, ...] = ()  # what is left out, guessed or cannot be known

    def is_unchanged(self, folder: str) -> bool:
        """Return whether the recording below a folder still has this size and time."""
        return size_and_time(os.path.join(folder, self.path)) == (self.size, self.mtime_ns)  # noqa: PTH118


def size_and_time(path: str) -> tuple[int, int]:
    """Return size and time of the last change, limited to 64 bits; zeros for a file that is not there."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - thousands of them
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return 0, 0
    return stat.st_size, max(-_LATEST_NS, min(stat.st_mtime_ns, _LATEST_NS))


def load(out: Path) -> Iterator[IndexedAudio]:
    """Yield the index of the dataset in a folder up to the first damaged line; the rest is inspected again."""
    decoder = msgspec.json.Decoder(IndexedAudio)
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError), (out / NAME).open("rb") as lines:
        yield from map(decoder.decode, lines)


def save(out: Path, index: Iterable[IndexedAudio]) -> None:
    """Write the index of the dataset in a folder."""
    write_atomic(out / NAME, msgspec.json.Encoder().encode_lines(sorted(index, key=lambda one: one.path)))
