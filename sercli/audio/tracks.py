"""Which sound track of a film is used where none is asked for."""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path

from sercli.audio import reading, segments
from sercli.audio.condition import speech_level_dbfs
from sercli.errors import AudioError
from sercli.types import SAMPLE_RATE_HZ, Array

_N_BLOCKS = 30  # ten minutes of a track are listened to


@lru_cache(maxsize=64)
def choose(path: Path, identity: tuple[int, int], flagged: tuple[bool, ...]) -> tuple[int, str]:
    """Return the number of a track, from 1, and why: the one flagged default, else the first with speech.

    Many programs flag their first track, whatever is in it, so a flagged track that is silent is no choice.

    Args:
        path: a file with several sound tracks.
        identity: size and time of the file, so that another file of its name is listened to again.
        flagged: for each track whether it is flagged default.
    """
    if sum(flagged) == 1 and _sounds(path, flagged.index(True) + 1):
        return flagged.index(True) + 1, "flagged default"
    for track in range(1, len(flagged) + 1):
        if _speaks(path, track):
            return track, "the first with speech"
    return 1, "as none has speech in its first ten minutes"


def _sounds(path: Path, track: int) -> bool:
    return any(speech_level_dbfs(block) >= segments.FAINTEST_DBFS for block in _blocks(path, track))


def _speaks(path: Path, track: int) -> bool:
    return next(segments.segments(_blocks(path, track)), None) is not None


def _blocks(path: Path, track: int) -> Iterator[Array]:
    """Yield the first ten minutes of a track, or what can be read of them."""
    with suppress(AudioError):
        yield from islice(reading.stream(path, sample_rate_hz=SAMPLE_RATE_HZ, track=track), _N_BLOCKS)
