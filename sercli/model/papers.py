"""The nine papers among which the original study placed itself: their figures on IEMOCAP and how they were measured."""

from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True)
class Paper:
    """A paper whose network is a preset."""

    authors: str
    year: int
    figure: str  # as the paper reports it, and where that was read
    protocol: str
    caveat: str  # what is known to be wrong with the figure, or with this preset as a copy of the paper's network


UNKNOWN = "not known"

PAPERS = msgspec.toml.decode(Path(__file__).with_name("papers.toml").read_bytes(), type=dict[str, Paper])
"""By preset."""
