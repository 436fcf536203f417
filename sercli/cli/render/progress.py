"""Progress on stderr: how far work has come, and the losses and validation UA of a training."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count

from rich.console import Console, ConsoleOptions, RenderResult
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table

from sercli._system.progress import Advance, ProgressFactory
from sercli._system.text import clock
from sercli.cli import options
from sercli.cli.render import console as streams
from sercli.cli.render.console import figure, note, plain
from sercli.runs import FoldRun, RunInfo
from sercli.types import EpochResult

_EVERY_S = 30.0  # from one line to the next where stderr is not a terminal
_FIRST = 0.05  # a first step of at most this share tells that other processes have loaded what they need
_FIGURES = len("  100 %  at most 10:00:00 left")
_CTRL_C = len("^C")  # columns left free, since a terminal writes it where a bar ends; in a new line it would stay
_NARROWEST = 10  # characters of a bar beside its name; else it has a line of its own


@contextmanager
def progress(description: str, total: float | None, *, at_most: bool = False) -> Iterator[Advance]:
    """Show a bar on stderr that disappears at the end, or a line every 30 s where stderr is not a terminal.

    With --quiet nothing is shown.

    Args:
        description: of the work.
        total: of the work, in any unit in which equal work takes equal time; None if it is not known.
        at_most: the work may end sooner.
    """
    console = streams.stderr()
    bar = _Bar(description, total, at_most=at_most)
    if options.quiet or total == 0:
        yield bar.advance
    elif console.is_interactive:
        redirect = sys.stdout.isatty()  # if stdout is a file or pipe, rich must not take results away from it
        with Live(bar, console=console, transient=True, refresh_per_second=4, redirect_stdout=redirect):
            yield bar.advance
    else:
        said_s = time.monotonic()

        def advance(done: float = 1, shown: str = "", /) -> None:
            nonlocal said_s
            bar.advance(done, shown)
            if time.monotonic() - said_s >= _EVERY_S:
                said_s = time.monotonic()
                note(bar.line())

        yield advance


def stages(total: int) -> ProgressFactory:
    """Return a `ProgressFactory` that numbers the stages of a command if there are several, such as "2 of 4: lld"."""
    numbers: dict[str, int] = {}

    def numbered(description: str, work: float) -> AbstractContextManager[Advance]:
        number = numbers.setdefault(description, len(numbers) + 1)
        return progress(f"{number} of {total}: {description}" if total > 1 else description, work)

    return numbered


@contextmanager
def repetition_progress(name: str, total: int) -> Iterator[Callable[[FoldRun, RunInfo], None]]:
    """Show the progress of a cross-validation.

    Args:
        name: of the model.
        total: number of runs.

    Yields:
        `update(fold_run, info)`: reports a run as finished.
    """
    with progress(name, total) as advance:
        numbers = count(1)

        def update(fold_run: FoldRun, info: RunInfo) -> None:
            kept = "" if info.best_epoch is None else f", kept epoch {info.best_epoch}"
            advance(1, f"run {next(numbers)} of {total}: fold {fold_run.fold}, seed {fold_run.seed}{kept}")

        yield update


@contextmanager
def training_progress(name: str, epochs: int) -> Iterator[Callable[[EpochResult, bool], None]]:
    """Show the losses and the validation UA of a training.

    Args:
        name: of the model.
        epochs: upper bound; early stopping may end sooner.

    Yields:
        `update(result, kept)`: reports an epoch, and whether its weights are the ones to keep so far.
    """
    with progress(name, epochs, at_most=True) as advance:
        n_done, keeping = 0, ""

        def update(result: EpochResult, kept: bool) -> None:
            nonlocal n_done, keeping
            validated = result.valid_loss is not None
            if kept and validated:
                keeping = f", kept epoch {result.epoch} (valid loss {figure(result.valid_loss)})"
            if result.epoch > n_done + 1:  # the epochs before were trained by an earlier command
                advance(result.epoch - 1 - n_done)
                advance(0)
            n_done = result.epoch
            valid = f", valid loss {figure(result.valid_loss)}, valid UA {figure(result.valid_uar)}" * validated
            advance(1, f"epoch {result.epoch} of {epochs}: train loss {figure(result.train_loss)}{valid}{keeping}")

        yield update


class _Bar:
    """How far work has come; the time left follows from the speed since the work began."""

    def __init__(self, name: str, total: float | None, *, at_most: bool) -> None:
        self.name, self.total, self.at_most = name, total, at_most
        self.done, self.shown = 0.0, ""
        self.before, self.began_s = 0.0, time.monotonic()  # what was done when the work began
        self.ends_s = 0.0  # at the speed since then

    def advance(self, done: float = 1, shown: str = "", /) -> None:
        now_s = time.monotonic()
        loading = not self.done and done <= _FIRST * (self.total or 0)
        self.done += done
        self.shown = shown or self.shown
        if not done or loading:
            self.before, self.began_s = self.done, now_s
        elif now_s - self.began_s < 1:
            self.before = self.done  # what takes no time was done by an earlier command
        elif self.total:
            left = max(0.0, self.total - self.done) / (self.done - self.before)
            self.ends_s = now_s + left * (now_s - self.began_s)

    def share(self) -> str:
        return f"{min(self.done / self.total, 1):.0%}" if self.total else ""

    def left(self) -> str:
        if not self.ends_s:
            return ""
        return f"{'at most ' * self.at_most}{clock(max(0.0, self.ends_s - time.monotonic()))} left"

    def line(self) -> str:
        parts = [part for part in (self.share(), self.left(), self.shown) if part]
        return f"{self.name}: {', '.join(parts)}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        name, width = plain(self.name, "bold"), options.max_width - _CTRL_C
        bar = ProgressBar(total=self.total, completed=self.done, pulse=not self.total)
        row = Table.grid(Column(no_wrap=True), Column(ratio=1), padding=(0, 2), expand=True)
        if name.cell_len + 2 + _NARROWEST + _FIGURES < width:
            row.add_row(name, bar, self.share(), self.left())
        else:
            yield name
            row.columns.pop(0)
            row.add_row(bar, self.share(), self.left())
        yield Constrain(row, width)
        if self.shown:
            yield Constrain(plain(self.shown), width)
