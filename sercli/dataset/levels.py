"""The level of the speech in recordings."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from sercli._system import processes
from sercli._system.progress import ProgressFactory
from sercli.audio.condition import speech_level_dbfs
from sercli.audio.reading import read
from sercli.dataset.manifest import Dataset
from sercli.errors import AudioError
from sercli.types import Utterance

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
    recorded = [u for u in utterances if u.audio is not None]
    seconds = sum(u.duration_s or 0.0 for u in recorded)
    levels: dict[str, float | None] = dict.fromkeys(u.id for u in utterances)
    killed = "A process that read recordings was killed, perhaps for want of memory; repeat the command with --jobs 1."
    jobs = jobs if len(recorded) >= jobs * _SHARE else 1
    with progress("Measuring levels", seconds) as step:
        found = processes.mapped(
            partial(_level, root), recorded, jobs, killed=killed, chunksize=16, on_report=lambda done_s, _: step(done_s)
        )
        with closing(found):
            levels |= {u.id: level for u, level in zip(recorded, found, strict=True)}
    return levels


def _level(root: Path, u: Utterance) -> float | None:
    try:
        signal = read(root / (u.audio or ""), start_s=u.start_s, end_s=u.end_s)
    except AudioError:
        return None
    processes.report(u.duration_s or 0.0)
    return speech_level_dbfs(signal)
