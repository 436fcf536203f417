"""What `ser predict` gives: its format, and where it goes: the screen, stdout, a file, or one for each recording."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sercli.cli import options, writers
from sercli.errors import AudioError, SerError

Shape = Literal["table", "json", "csv", "csv-raw", "srt", "vtt", "audacity", "audformat"]
"""The formats of predictions."""

if TYPE_CHECKING:
    from sercli.cli.recordings import Recordings
    from sercli.types import Prediction, Recording


@dataclass(frozen=True)
class Output:
    """The format of predictions, and the file, folder or screen that they go to."""

    out: Path | None  # None: the screen
    form: writers.Format | None  # of text; None: tables for the screen, or a database
    is_database: bool  # whether all predictions go into a database in audformat
    is_folder: bool  # whether --out is a folder with a file for each recording, or a database
    summary: bool
    skip_done: bool

    @classmethod
    def chosen(
        cls, shape: Shape | None, short: Mapping[Shape, bool], out: Path | None, *, summary: bool, skip_done: bool
    ) -> "Output":
        """Return what the options ask for.

        Args:
            shape: the value of --format.
            short: format -> whether its own option is given.
            out: the value of --out.
            summary: whether --summary is given.
            skip_done: whether --skip-done is given.

        Raises:
            SerError: options that exclude or need each other, or a file of --out that is called like another format.
        """
        given = {f"--{one}": one for one, is_given in short.items() if is_given}
        given |= {f"--format {shape}": shape} if shape else {}
        asked = [*given]
        if len({*given.values()}) > 1:
            raise SerError(f"{asked[0]} and {asked[1]} exclude each other; give one.")
        by_file = writers.single_file(out) if out else None
        name = next(iter(given.values()), by_file or ("json" if out else "table"))
        if by_file and name != "table" and by_file != name.removesuffix("-raw"):
            raise SerError(f"--out {out} is called like {by_file}, but {asked[0]} is given; change one of them.")
        if out and name == "table":
            known = ", ".join((*writers.FORMATS, "audformat"))
            raise SerError(f"--format table cannot be used with --out; give one of {known}.")
        if name == "audformat":
            if out is None:
                raise SerError("--format audformat needs --out, the folder for the database; add it.")
            if summary or skip_done or (out / "db.yaml").exists():
                raise SerError(
                    f"--format audformat writes a new database of all utterances to {out}; leave out --summary and "
                    "--skip-done, and choose a folder without db.yaml."
                )
        form = writers.FORMATS.get(name)
        if summary and form and form.timed:
            raise SerError("--summary is a table, JSON or CSV; leave out the other format.")
        if out is None:
            options.need_stdout("--out")
        is_folder = out is not None and not by_file
        if skip_done and not is_folder:
            raise SerError("--skip-done needs a folder in --out, with a file for each recording; give one.")
        form = form.summarised() if form and summary else form
        return cls(out, form, name == "audformat", is_folder, summary, skip_done)

    @property
    def folder(self) -> Path:
        """--out, where it is given."""
        assert self.out is not None
        return self.out

    def kept(self, *, live: bool) -> str:
        """Return what Ctrl-C leaves, and how to go on; of what comes in it was the second one."""
        if not self.is_folder:
            left = "Nothing is kept but what is shown" if self.out is None else f"{self.out} is not written"
            return (
                f"{left}."
                if live
                else f"{left}; with --out FOLDER --skip-done a repeated command goes on where it stopped."
            )
        again = "the same command" if self.skip_done else "the same command with --skip-done"
        return f"Finished files are kept in {self.out}; {again} goes on from there."

    def check_number(self, n: int, *, text: str | None, plot: Path | None, explain: Path | None) -> None:
        """Refuse options for a single recording if there are several.

        Raises:
            SerError: naming the option.
        """
        if n == 1:
            return
        single = {"--text is for": text, "--plot draws": plot, "--explain draws an utterance of": explain}
        for option, value in single.items():
            if value is not None:
                raise SerError(f"{option} a single recording, but there are {n}; give one recording.")
        if self.form and self.form.timed and not self.is_folder:
            raise SerError(f"This format holds a single recording, but there are {n}; give --out for a file each.")

    def left(
        self, recordings: "list[Recording]", given: Sequence[Path], settings: Mapping[str, object]
    ) -> "tuple[list[Recording], dict[str, Path]]":
        """Return the recordings that are to be predicted, with --skip-done those without a file, and their files.

        Args:
            recordings: all.
            given: the paths by which they were found.
            settings: all that predictions depend on beside the recording.

        Returns:
            The recordings, and the file of each by its name; none where all go to one place.

        Raises:
            MismatchError: --skip-done, and the folder's files are of other settings.
        """
        if not self.form or not self.is_folder:
            return recordings, {}
        from sercli.cli import render
        from sercli.cli.writers import done

        files = writers.targets(recordings, given, self.folder, self.form)
        for one in recordings:
            if one.path and (other := done.of_another(files[one.name], one.path)):
                raise SerError(f"{files[one.name]} holds the predictions of {other}, not of {one.name}; change --out.")
        if not self.skip_done:
            return recordings, files
        # Not by pathlib, which raises for names that are too long.
        there = {one.name for one in recordings if os.path.exists(files[one.name])}  # noqa: PTH110
        if there:
            done.check(self.folder, settings)
        kept = {one.name for one in recordings if done.is_done(files[one.name], one.path, self.folder)}
        left = [one for one in recordings if one.name not in kept]
        if kept:
            render.note(f"{len(kept)} of {len(recordings)} recordings have a file already: skipped.")
        if again := len(there - kept):
            render.warn(
                f"{again} of {len(recordings)} have a file older than they are, or of other settings: done again."
            )
        return left, files

    def write(
        self, running: "Recordings", labels: Sequence[str], files: dict[str, Path], settings: Mapping[str, object]
    ) -> None:
        """Predict all recordings and write or show each as soon as it is predicted.

        If the only recording cannot be read, nothing is written.
        """
        from sercli._system import locks
        from sercli._system.files import write_atomic
        from sercli.cli import render
        from sercli.cli.writers import database, done

        if self.is_database:
            database.write(running.every_prediction(), labels, self.folder)
            render.note(f"Wrote a database to {self.folder}.")
        elif self.form is None and self.summary:
            render.summary_rows(running.every_prediction())
        elif self.form is None:
            _show(running, labels)
        elif self.is_folder:
            n = _write_each(running, labels, self.form, files, partial(done.begin, self.folder, settings))
            render.note(f"Wrote {n} file{'s' * (n != 1)} to {self.folder}.")
        else:
            predictions = running.every_prediction()
            first = list(islice(predictions, 1))  # at once, since it may be an error
            pieces = self.form.lines(chain(first, predictions), labels)
            if self.out:
                with locks.alone(self.out.parent, self.out.name):  # another command's answers would replace these
                    write_atomic(self.out, partial(_save, pieces, self.form))
                locks.forget(self.out.parent, self.out.name)
                render.note(f"Wrote {self.out}.")
            else:
                for piece in pieces:
                    render.write(piece)
        if self.form and self.form.timed and not running.n_labelled:
            render.note("No utterance has a label, such as where nobody speaks: there are no subtitles.")


def _show(running: "Recordings", labels: Sequence[str]) -> None:
    """Show a row for each utterance of longer recordings, then one for each clip, or a card for a single clip."""
    from sercli.cli import render

    clips: list[Prediction] = []
    words = running.config.recogniser is not None
    for result in running.results():
        found = running.predictions(result)
        if not words:  # that there are none is no news
            found = (replace(p, reason=None) if p.label else p for p in found)
        if result.is_clip:
            clips += found
        else:
            render.timeline_rows(result.recording.name, found, labels, words=words)
    if len(running.all) == 1 and clips:
        render.prediction_card(clips[0])
    elif clips:
        render.prediction_rows(clips)


def _write_each(
    running: "Recordings",
    labels: Sequence[str],
    form: writers.Format,
    files: Mapping[str, Path],
    begin: Callable[[], None],
) -> int:
    """Write a file for each recording, atomically; one that cannot be written is a failure of its recording alone.

    Args:
        running: the recordings.
        labels: all that a prediction can have.
        form: of the files.
        files: of each recording by its name.
        begin: called before the first file is written.

    Returns:
        The number of files written.
    """
    from sercli._system.files import write_atomic

    n_written = 0
    for n, result in enumerate(running.results()):
        if n == 0:
            begin()
        try:
            write_atomic(files[result.recording.name], partial(_save, form.lines(result.predictions, labels), form))
        except (AudioError, OSError) as error:
            running.failed(result.recording, error)
        else:
            n_written += 1
    return n_written


def _save(pieces: Iterable[str], form: writers.Format, path: Path) -> None:
    from sercli._system.files import UTF_8

    with path.open("w", encoding=form.encoding, errors=UTF_8[1], newline="") as file:
        file.writelines(pieces)
