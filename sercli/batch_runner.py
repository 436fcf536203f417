"""Predicts many recordings in several processes, and yields the results in the given order."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain

from sercli._system import processes
from sercli.dataset import audio_index
from sercli.errors import AudioError
from sercli.pipeline import Heard, Pipeline, PipelineConfig, RecordingResult
from sercli.types import Recording

_AHEAD = 2  # batches of recordings per process that may be queued, or finished before it is their turn

_Version = tuple[tuple[str, int, int], ...]  # path, size and time of each file of a model, and of clips at rest


def run(
    recordings: Sequence[Recording], config: PipelineConfig, *, jobs: int, heard: Heard
) -> Generator[RecordingResult | AudioError, None, None]:
    """Return an iterator over, for each recording in order, its complete result or the error that says what is wrong.

    Closing the generator ends the processes.

    Args:
        recordings: to predict.
        config: of the pipeline.
        jobs: processes at the same time.
        heard: called with what has been predicted.

    Raises:
        SerError: the model or the recogniser cannot be used, or a process was killed.
    """
    files = [path for path in sorted(config.model.rglob("*")) if path.is_file()]
    version = tuple((str(path), *audio_index.size_and_time(str(path))) for path in (*files, *config.neutral))
    found = processes.mapped(
        partial(_whole, config=config, version=version),
        Pipeline.batches(recordings),
        jobs,
        killed=_killed,
        ahead=_AHEAD,
        on_report=lambda seconds, _: heard(seconds, []),
    )
    with closing(found):
        yield from chain.from_iterable(found)


def _killed(batches: list[list[Recording]]) -> str:
    return (
        "A process was killed, perhaps because memory ran out, while it processed one of the recordings from "
        f"{batches[0][0].name} to {batches[-1][-1].name}; use "
        f"{processes.FEWER}. To continue from here, add --skip-done and --out."
    )


@lru_cache(maxsize=1)
def _own_pipeline(config: PipelineConfig, version: _Version) -> Pipeline:
    """Return the pipeline of this process, which may outlive the model's files."""
    return Pipeline.of(config)


def _whole(
    batch: list[Recording], config: PipelineConfig, version: _Version = ()
) -> list[RecordingResult | AudioError]:
    """Return each recording with all its predictions, or the error that says why it cannot be read."""
    opened = _own_pipeline(config, version).open(batch, lambda seconds, _: processes.report(seconds))
    return [one if isinstance(one, AudioError) else _read(one) for one in opened]


def _read(result: RecordingResult) -> RecordingResult | AudioError:
    try:
        return replace(result, predictions=list(result.predictions))
    except AudioError as error:
        return error
