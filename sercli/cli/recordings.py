"""The recordings of `ser predict`, files or sound that comes in: prediction, progress and failures."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from sercli import batch_runner, contracts, plugins
from sercli._system import ctrl_c, processes
from sercli._system.files import UTF_8, write_atomic
from sercli._system.text import few
from sercli.audio import reading
from sercli.cli import options, render
from sercli.cli.writers.files import single_file
from sercli.errors import AudioError, SerError
from sercli.model.adaptation import LEAST
from sercli.pipeline import Pipeline, PipelineConfig, RecordingResult
from sercli.types import CLEAR, Array, Prediction, Recording

if TYPE_CHECKING:
    from sercli.audio.live import LiveSound

FAILURES = "failures.tsv"
"""Lists, in the folder of --out or beside its file, the recordings that the last run could not read, and why."""


def named(error: AudioError, recording: Recording) -> str:
    """Return an error's message with the recording's name; users do not know stdin's temporary file."""
    return str(error).replace(str(recording.path), recording.name)


_HINT = 8  # clips from which it is said what --group would do
_NAMED = 20  # failures that the last line names


class Recordings:
    """The recordings of one command. One that cannot be read is reported and skipped, unless it is the only one."""

    def __init__(self, recordings: Sequence[Recording], config: PipelineConfig, *, jobs: int, keep: bool) -> None:
        self.all, self.config, self.jobs = recordings, config, jobs
        self.n_labelled = 0  # predictions with a label so far
        self.n_alone = 0  # those that were not adapted
        self.n_worded = 0  # predictions with words
        self.doubtful = Counter[str]()  # recording -> those with words that are guesses
        self.kept: list[Prediction] | None = [] if keep else None
        self.failures: list[tuple[str, str]] = []  # name of the recording, and why
        self.n_clips = 0
        self._running: Generator[RecordingResult | AudioError, None, None] | None = None

    @cached_property
    def pipeline(self) -> Pipeline:
        """That of this process."""
        return Pipeline.of(self.config)

    def close(self) -> None:
        """Stop at once; otherwise worker processes would finish the recordings that they have started."""
        if self._running:
            self._running.close()

    def results(self) -> Iterator[RecordingResult]:
        """Yield each recording that can be opened, with progress on stderr; groups are adapted once all are there."""
        found = self._predicted()
        if self.config.group != "recording":
            found = self._regrouped(found)
        for result in found:
            self.n_clips += result.is_clip
            yield replace(result, predictions=self._kept(result.predictions))

    def every_prediction(self) -> Iterator[Prediction]:
        """Yield the predictions of all recordings, one recording after the other."""
        return chain.from_iterable(map(self.predictions, self.results()))

    def _regrouped(self, results: Iterable[RecordingResult]) -> Iterator[RecordingResult]:
        pipeline = self.pipeline  # first, as it may be one that cannot be adapted
        complete = [(one, list(self.predictions(one))) for one in results]
        every = chain.from_iterable(predictions for _, predictions in complete)
        anew = iter(pipeline.regrouped(every, min_confidence=self.all[0].min_confidence))
        for result, predictions in complete:
            yield replace(result, predictions=list(islice(anew, len(predictions))))

    def _predicted(self) -> Iterator[RecordingResult]:
        with render.progress("Predicting", _length_s(self.all)) as advance:

            def heard(seconds: float, found: Sequence[Prediction]) -> None:
                advance(seconds, f"so far: {render.in_short(found[-1])}" if found else "")

            if processes.here(self.jobs):
                self._running = self.pipeline.results(self.all, heard)
                heard(0, [])  # the model is loaded
            else:
                self._running = batch_runner.run(self.all, self.config, jobs=self.jobs, heard=heard)
            for result, recording in zip(self._running, self.all, strict=True):
                if isinstance(result, AudioError):
                    self.failed(recording, result)
                else:
                    yield result
                    self.remark(result)

    def remark(self, result: RecordingResult) -> None:
        """Say what is left out, guessed or cannot be known of a recording whose predictions were read."""
        if result.remarks:
            render.warn(f"{result.recording.name}: {'; '.join(result.remarks)}")

    def predictions(self, result: RecordingResult) -> Iterator[Prediction]:
        """The predictions of a recording, up to where it turns out to be damaged."""
        try:
            yield from result.predictions
        except AudioError as error:
            self.failed(result.recording, error)

    def failed(self, recording: Recording, error: AudioError | OSError) -> None:
        """Warn of a recording that cannot be read, or whose predictions cannot be written.

        Raises:
            AudioError, OSError: it is the only one.
        """
        if isinstance(error, OSError):
            why = f"{error.filename or recording.name} cannot be written: {error.strerror}"
        else:
            why = named(error, recording)
        if len(self.all) == 1:
            raise error if isinstance(error, OSError) else AudioError(why)
        render.warn(why)
        self.failures.append((recording.name, why))

    def hints(self, rule: str) -> None:
        """Say what doubtful words may be, and what --group would do where many clips were predicted by themselves.

        Args:
            rule: of the ensemble; "" for a single model.
        """
        recogniser = self.config.recogniser
        if recogniser and self.doubtful:
            plugin = plugins.recogniser(recogniser.name)
            if isinstance(plugin, contracts.AdvisesOnDoubt):
                n = f"{self.doubtful.total()} of {self.n_worded} utterances"
                names = f" ({few([name for name, _ in self.doubtful.most_common()])})"
                weighs = bool(rule) and isinstance(plugins.fusion_rule(rule), contracts.WeighsConfidence)
                words = f"words with an ASR confidence below {CLEAR}{', which count little' * weighs}"
                advice = plugin.advice(recogniser.config)
                render.note(f"{n}{names * (len(self.all) > 1)} have {words}; {advice}.")
        grouped, full = self.config.group != "recording", self.config.adapt == "full"
        if self.n_alone and (grouped or full) and not isinstance(self, Live):
            render.warn(
                f"{self.n_alone} of {self.n_labelled} utterances are in groups of fewer than {LEAST}, too few to adapt "
                "to, and predicted each by itself."
            )
        alone = not grouped and self.config.adapt != "none"
        if alone and self.n_clips >= _HINT:
            render.note(
                f"{self.n_clips} clips were predicted each by itself. If they are of one voice or one room, --group "
                "folder takes that into account; --speakers-from does so for each speaker."
            )

    def conclude(self, out: Path | None) -> None:
        """Report the recordings that failed, in FOLDER/failures.tsv, or answers.failures.tsv beside answers.csv.

        Args:
            out: the value of --out; a list of failures that an earlier run left there is removed if there are none.

        Raises:
            SerError: recordings failed; the message counts and names them.
        """
        report = out and (out.with_suffix(f".{FAILURES}") if single_file(out) else out / FAILURES)
        if not self.failures:
            if report:
                report.unlink(missing_ok=True)
            return
        names = list(dict.fromkeys(name for name, _ in self.failures))  # a table has several stretches of one
        named = ", ".join(names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        listed = self._listed(report) if report else ""
        raise SerError(f"{len(self.failures)} of {len(self.all)} recordings failed: {named}{more}{listed}")

    def _listed(self, report: Path) -> str:
        """Write the list of failures; return the end of the sentence that says where it is."""
        try:
            write_atomic(report, "".join(f"{name}\t{why}\n" for name, why in self.failures).encode(*UTF_8))
        except OSError as error:  # such as the full disk that the recordings failed for
            return f"; {report} cannot be written: {error.strerror}"
        return f"; the reasons are in {report}"

    def _kept(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Yield the predictions, and keep them if they are needed later."""
        for prediction in predictions:
            self.n_labelled += prediction.label is not None
            self.n_alone += prediction.label is not None and prediction.adapted is None
            self.n_worded += bool(prediction.text)
            if prediction.text and not prediction.clear_text:
                self.doubtful[prediction.path] += 1
            if self.kept is not None:
                self.kept.append(prediction)
            yield prediction


class Live(Recordings):
    """Sound that comes in, as the only recording of a command. Ctrl-C is its end."""

    def __init__(self, sound: "LiveSound", recordings: Sequence[Recording], config: PipelineConfig) -> None:
        super().__init__(recordings, config, jobs=1, keep=False)
        self._sound = sound

    def _predicted(self) -> Iterator[RecordingResult]:
        sound, (recording,), remarks = self._sound, self.all, list[str]()
        pipeline = self.pipeline
        with (
            closing(ctrl_c.until_pressed(sound.blocks, sound.end)) as blocks,
            render.live_view(sound.described) as view,
        ):

            def heard() -> Iterator[Array]:
                for block in blocks:
                    view.heard(block, sound.rate_hz, sound.remarks)
                    yield block

            def predicted() -> Iterator[Prediction]:
                for one in pipeline.stream(heard(), sound.rate_hz, min_confidence=recording.min_confidence):
                    view.predicted(one)
                    remarks[:] = one.remarks
                    yield replace(one, path=sound.name, remarks=(*one.remarks, *sound.remarks))
                remarks.extend(sound.remarks)

            result = RecordingResult(recording, False, predicted(), remarks)
            yield result
        self.remark(result)


def _length_s(recordings: Sequence[Recording]) -> float | None:
    """Return how much audio there is, without what cannot be read; None if it would not be shown."""
    if options.quiet:
        return None
    total_s, whole = 0.0, dict[tuple[Path, int | None], float]()  # path and track -> length of the file
    for one in recordings:
        assert one.path is not None
        file = (one.path, one.track)
        if file not in whole:
            whole[file] = 0.0
            with suppress(AudioError):
                whole[file] = reading.duration_s(one.path, track=one.track)
        total_s += max(0.0, min(one.end_s or whole[file], whole[file]) - (one.start_s or 0.0))
    return total_s
