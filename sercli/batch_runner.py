"""Predicts many recordings in several processes, and yields the results in the given order."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cache

from sercli._system import processes
from sercli.errors import AudioError, SerError
from sercli.pipeline import Heard, Pipeline, PipelineConfig, RecordingResult
from sercli.types import Recording

_AHEAD = 2  # recordings per process that may be queued, or finished before it is their turn


def run(
    recordings: Iterable[Recording],
    config: PipelineConfig,
    *,
    jobs: int,
    heard: Heard,
) -> Generator[RecordingResult | AudioError, None, None]:
    """Yield for each recording, in the given order, its complete result or the error that says why it cannot be read.

    Closing the generator ends the processes.

    Args:
        recordings: to predict.
        config: of the pipeline.
        jobs: processes at the same time.
        heard: called with what has been predicted.

    Raises:
        SerError: the model or the recogniser cannot be used, or a process was killed.
    """
    waiting: deque[tuple[Recording, Future[RecordingResult | AudioError]]] = deque()
    try:
        with processes.pool(jobs) as pool:
            for recording in recordings:
                waiting.append((recording, pool.submit(_whole, recording, config)))
                if len(waiting) >= _AHEAD * jobs:
                    yield processes.result(waiting[0][1], lambda seconds, _: heard(seconds, []))
                    waiting.popleft()
            while waiting:
                yield processes.result(waiting[0][1], lambda seconds, _: heard(seconds, []))
                waiting.popleft()
    except BrokenProcessPool:
        names = ", ".join(recording.name for recording, _ in waiting)
        raise SerError(
            f"A process was killed, perhaps because memory ran out, while it processed one of {names}; "
            "use fewer --jobs. To continue from here, add --skip-done and --out."
        ) from None


_own_pipeline = cache(Pipeline.of)  # one for each process


def _whole(recording: Recording, config: PipelineConfig) -> RecordingResult | AudioError:
    """Return a recording with all its predictions, or the error that says why it cannot be read."""
    try:
        result = _own_pipeline(config).open(recording, lambda seconds, _: processes.report(seconds))
        return replace(result, predictions=list(result.predictions))
    except AudioError as error:
        return error
