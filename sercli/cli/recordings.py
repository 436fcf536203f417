"""Recordings on their way through `ser predict`: progress, and what failed."""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from math import ceil
from pathlib import Path

from sercli import batch_runner
from sercli._system.files import UTF_8, write_atomic
from sercli.audio import reading
from sercli.cli import render
from sercli.errors import AudioError, SerError
from sercli.pipeline import PipelineConfig, RecordingResult
from sercli.types import Prediction, Recording

FAILURES = "failures.tsv"
"""Lists, in the folder of --out, the recordings that the last run could not read, and why."""

_NAMED = 20  # failures that the last line names


class Recordings:
    """The recordings of one command. One that cannot be read is named and left out, unless it is the only one."""

    def __init__(self, recordings: Sequence[Recording], config: PipelineConfig, *, jobs: int, keep: bool) -> None:
        self.all, self.config, self.jobs = recordings, config, jobs
        self.kept: list[Prediction] | None = [] if keep else None
        self.failures: list[tuple[str, str]] = []  # name of the recording, and why
        self._running: Generator[RecordingResult | AudioError, None, None] | None = None

    def close(self) -> None:
        """Stop at once; other processes would work on what they have begun."""
        if self._running:
            self._running.close()

    def results(self) -> Iterator[RecordingResult]:
        """Each recording that can be opened, with progress on stderr meanwhile."""
        alone = self.all[0] if len(self.all) == 1 else None
        with render.progress("Predicting", _length_s(alone) if alone else len(self.all)) as advance:
            self._running = batch_runner.run(self.all, self.config, jobs=self.jobs)
            for result, recording in zip(self._running, self.all, strict=True):
                if isinstance(result, AudioError):
                    self.failed(recording, result)
                else:
                    followed = self._followed(result.predictions, advance if alone else None)
                    yield RecordingResult(recording, result.is_clip, followed)
                if not alone:
                    advance(1)

    def predictions(self, result: RecordingResult) -> Iterator[Prediction]:
        """The predictions of a recording, up to where it turns out to be damaged."""
        try:
            yield from result.predictions
        except AudioError as error:
            self.failed(result.recording, error)

    def failed(self, recording: Recording, error: AudioError) -> None:
        """Name a recording that cannot be read.

        Raises:
            AudioError: it is the only one.
        """
        why = str(error).replace(str(recording.path), recording.name)  # the file that stdin was kept in says nothing
        if len(self.all) == 1:
            raise AudioError(why)
        render.warn(why)
        self.failures.append((recording.name, why))

    def conclude(self, out: Path | None) -> None:
        """Report the recordings that failed.

        Args:
            out: the folder of --out; all failures of the last run are listed there.

        Raises:
            SerError: how many recordings failed, and which.
        """
        report = out / FAILURES if out else None
        if not self.failures:
            if report:
                report.unlink(missing_ok=True)
            return
        named = ", ".join(name for name, _ in self.failures[:_NAMED])
        more = f" and {len(self.failures) - _NAMED} more" if len(self.failures) > _NAMED else ""
        listed = ""
        if report:
            write_atomic(report, "".join(f"{name}\t{why}\n" for name, why in self.failures).encode(*UTF_8))
            listed = f"; {report} says why"
        raise SerError(f"{len(self.failures)} of {len(self.all)} recordings failed: {named}{more}{listed}")

    def _followed(
        self, predictions: Iterable[Prediction], advance: Callable[[int], None] | None
    ) -> Iterator[Prediction]:
        """Keep predictions that are needed later; of a single recording the progress counts its seconds."""
        done_s = 0
        for prediction in predictions:
            if self.kept is not None:
                self.kept.append(prediction)
            yield prediction
            if advance:
                advance(int(prediction.end_s) - done_s)
                done_s = int(prediction.end_s)


def _length_s(recording: Recording) -> int | None:
    """Whole seconds, where a terminal shows how many of them are done; a faulty file is reported later."""
    if not sys.stderr.isatty() or recording.path is None:
        return None
    try:
        return ceil(reading.duration_s(recording.path))
    except AudioError:
        return None
