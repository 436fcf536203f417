"""The level of the speech in recordings."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sercli._system import processes
from sercli._system.progress import ProgressFactory
from sercli.audio.condition import speech_level_dbfs
from sercli.audio.reading import read
from sercli.dataset.manifest import Dataset
from sercli.errors import AudioError
from sercli.types import SAMPLE_RATE_HZ, Utterance

_SHARE = 64  # utterances for which it pays to start another process


def speech_levels(
    dataset: Dataset, utterances: Sequence[Utterance], *, jobs: int, progress: ProgressFactory
) -> dict[str, float | None]:
    """Return the level of each utterance's active speech in dBFS; None without a readable recording.

    Args:
        dataset: whose recordings are read.
        utterances: of the dataset.
        jobs: processes at the same time.
        progress: shows progress.
    """
    root = Path(dataset.info.root)
    stretches = {u.id: (root / u.audio, u.start_s, u.end_s) for u in utterances if u.audio is not None}
    levels: dict[str, float | None] = dict.fromkeys(u.id for u in utterances)
    killed = "A process that read recordings was killed, perhaps for want of memory; repeat the command with --jobs 1."
    jobs = jobs if len(stretches) >= jobs * _SHARE else 1
    found = processes.mapped(_level, stretches.values(), jobs, killed=killed, chunksize=16)
    with progress("Measuring levels", len(stretches)) as step, closing(found):
        for name, level in zip(stretches, found, strict=True):
            levels[name] = level
            step(1)
    return levels


def _level(stretch: tuple[Path, float | None, float | None]) -> float | None:
    path, start_s, end_s = stretch
    try:
        signal = read(path, sample_rate_hz=SAMPLE_RATE_HZ, start_s=start_s, end_s=end_s)
    except AudioError:
        return None
    return speech_level_dbfs(signal)
