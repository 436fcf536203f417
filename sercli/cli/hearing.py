"""Recordings on their way through `ser predict`: what came of each, what failed, how far it is."""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from sercli import batch_runner
from sercli._system.files import write_atomic
from sercli.audio import reading
from sercli.batch_runner import Listening, Source
from sercli.cli import render
from sercli.cli.writers import UTF_8
from sercli.errors import AudioError, SerError

if TYPE_CHECKING:
    from sercli.pipeline import Heard
    from sercli.types import Prediction

FAILURES = "failures.tsv"
"""Lists, in the folder of the answers, the recordings that the last run could not read, and why."""

_NAMED = 20  # failures that the last line names


class Hearing:
    """Recordings being heard. One that cannot be read is named and passed over, unless it is the only one."""

    def __init__(self, sources: Sequence[Source], listening: Listening, *, jobs: int, keep: bool) -> None:
        self.sources, self.listening, self.jobs = sources, listening, jobs
        self.kept: list[Prediction] | None = [] if keep else None
        self.failures: list[tuple[str, str]] = []  # name of the recording, and why
        self._under_way: Generator[Heard | AudioError, None, None] | None = None

    def close(self) -> None:
        """Stop, wherever it is: other processes would hear what they have begun to its end."""
        if self._under_way:
            self._under_way.close()

    def recordings(self) -> "Iterator[tuple[Source, Heard]]":
        """Each recording that can be opened, with progress on stderr meanwhile."""
        one = len(self.sources) == 1
        total = _length_s(self.sources[0]) if one else len(self.sources)
        with render.progress("Listening", total) as advance:
            self._under_way = batch_runner.hear(self.sources, self.listening, jobs=self.jobs)
            for found, source in zip(self._under_way, self.sources, strict=True):
                if isinstance(found, AudioError):
                    self.failed(source, found)
                else:
                    yield source, replace(found, answers=self._followed(found.answers, advance if one else None))
                if not one:
                    advance(1)

    def answers(self, source: Source, heard: "Heard") -> "Iterator[Prediction]":
        """A recording's answers, up to where it turns out to be damaged."""
        try:
            yield from heard.answers
        except AudioError as error:
            self.failed(source, error)

    def failed(self, source: Source, error: AudioError) -> None:
        """Name a recording that cannot be read.

        Raises:
            AudioError: it is the only one.
        """
        why = str(error).replace(str(source.path), source.name)  # the file that stdin was kept in says nothing
        if len(self.sources) == 1:
            raise AudioError(why)
        render.warn(why)
        self.failures.append((source.name, why))

    def conclude(self, out: Path | None) -> None:
        """Say how it went, where something failed.

        Args:
            out: the folder of the answers; all failures of the last run are listed there.

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
        raise SerError(f"{len(self.failures)} of {len(self.sources)} recordings failed: {named}{more}{listed}")

    def _followed(
        self, answers: "Iterable[Prediction]", advance: Callable[[int], None] | None
    ) -> "Iterator[Prediction]":
        """Answers on their way; of a single recording the progress goes by its seconds."""
        done_s = 0
        for answer in answers:
            if self.kept is not None:
                self.kept.append(answer)
            yield answer
            if advance:
                advance(int(answer.end_s) - done_s)
                done_s = int(answer.end_s)


def _length_s(source: Source) -> int | None:
    """Whole seconds, where a terminal shows how many of them are done; what is wrong with a file is said later."""
    if not sys.stderr.isatty():
        return None
    try:
        return ceil(reading.duration_s(source.path))
    except AudioError:
        return None
