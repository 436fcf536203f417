"""Which sound track of a film is used where none is asked for."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from sercli.audio import segments
from sercli.audio.condition import speech_level_dbfs
from sercli.types import Array

Listen = Callable[[Path, int], Iterator[Array]]
"""What can be read of a track of a file, by its number from 1, as blocks (n_samples,) of 20 s at 16 kHz."""

_N_BLOCKS = 30  # ten minutes of a track are listened to


@lru_cache(maxsize=64)
def choose(path: Path, identity: tuple[int, int], flagged: tuple[bool, ...], listen: Listen) -> tuple[int, str]:
    """Return the number of a track, from 1, and why: the one flagged default, else the first with speech.

    Many programs flag their first track, whatever is in it, so a flagged track that is silent is no choice.

    Args:
        path: a file with several sound tracks.
        identity: size and time of the file, so that another file of its name is listened to again.
        flagged: for each track whether it is flagged default.
        listen: reads a track.
    """
    if sum(flagged) == 1:
        default = flagged.index(True) + 1
        if any(
            speech_level_dbfs(block) >= segments.FAINTEST_DBFS for block in islice(listen(path, default), _N_BLOCKS)
        ):
            return default, "flagged default"
    for track in range(1, len(flagged) + 1):
        if any(segments.segments(islice(listen(path, track), _N_BLOCKS))):
            return track, "the first with speech"
    return 1, "as none has speech in its first ten minutes"
