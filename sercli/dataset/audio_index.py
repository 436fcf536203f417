"""scan.jsonl: what was seen of each recording when a dataset was prepared, a line each, in the order of their paths."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

NAME = "scan.jsonl"


@dataclass(frozen=True)
class Seen:
    """One line: a recording that was looked at, recognised again by size and time."""

    path: str
    size: int
    mtime_ns: int
    digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
    duration_s: float


def seen_before(out: Path) -> Iterator[Seen]:
    """What was seen for the dataset in this folder; what is damaged only costs looking again."""
    decoder = msgspec.json.Decoder(Seen)
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError), (out / NAME).open("rb") as lines:
        yield from map(decoder.decode, lines)
