"""Progress on stderr: bars, and the losses and validation UA of a training."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from sercli.cli.render.console import MISSING, escaped, figure, note, plain, stderr
from sercli.runs import FoldRun, RunInfo
from sercli.types import EpochResult


@contextmanager
def progress(description: str, total: int | None, *, console: Console | None = None) -> Iterator[Callable[..., None]]:
    """A bar on stderr that disappears at the end; nothing where stderr is not a terminal.

    Args:
        description: of the work.
        total: number of steps; None if it is not known.
        console: instead of stderr.

    Yields:
        `advance(n=1, **fields)`: reports n steps as done and shows the fields after the bar.
    """
    console = console or stderr()
    shown = TextColumn("{task.fields[shown]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), shown)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=sys.stdout.isatty()
    ) as bar:  # if stdout is a file or pipe, rich must not take results away from it
        task = bar.add_task(escaped(description), total=total, shown="")

        def advance(n: int = 1, **fields: object) -> None:
            bar.update(task, advance=n, shown=escaped("  ".join(f"{key} {value}" for key, value in fields.items())))

        yield advance


@contextmanager
def repetition_progress(
    name: str, total: int, *, console: Console | None = None
) -> Iterator[Callable[[FoldRun, RunInfo], None]]:
    """A bar over the runs of a cross-validation on stderr; one plain line a run where stderr is not a terminal.

    Args:
        name: of the model.
        total: number of runs.
        console: instead of stderr.

    Yields:
        `update(fold_run, info)`: reports a run as finished.
    """
    console = console or stderr()
    with progress(name, total, console=console) as advance:

        def update(fold_run: FoldRun, info: RunInfo) -> None:
            kept = {} if info.best_epoch is None else {"kept epoch": info.best_epoch}
            facts = {"fold": fold_run.fold, "seed": fold_run.seed} | kept
            advance(1, **facts)
            if not console.is_terminal:
                note(f"{name}: {', '.join(f'{key} {value}' for key, value in facts.items())}", console=console)

        yield update


@contextmanager
def training_progress(
    name: str, epochs: int, *, console: Console | None = None
) -> Iterator[Callable[[EpochResult, bool], None]]:
    """Losses and validation UA of a training on stderr; every 10th epoch a line where stderr is not a terminal.

    Args:
        name: of the model.
        epochs: upper bound; early stopping may end sooner.
        console: instead of stderr.

    Yields:
        `update(result, kept)`: reports an epoch, and whether its weights are the best so far.
    """
    console = console or stderr()
    training = _Training(name, epochs)
    if not console.is_terminal:

        def say(result: EpochResult, kept: bool) -> None:
            training.add(result, kept)
            if result.epoch % 10 == 0:
                note(f"{name}: {training.line()}", console=console)

        yield say
        return
    redirect = sys.stdout.isatty()
    with Live(training.panel(), console=console, transient=True, auto_refresh=False, redirect_stdout=redirect) as live:

        def draw(result: EpochResult, kept: bool) -> None:
            training.add(result, kept)
            live.update(training.panel(), refresh=True)

        yield draw


class _Training:
    """The results of a training so far, as text."""

    def __init__(self, name: str, epochs: int) -> None:
        self.name, self.epochs = name, epochs
        self.last: EpochResult | None = None
        self.kept: EpochResult | None = None
        self.seconds: list[float] = []

    def add(self, result: EpochResult, kept: bool) -> None:
        self.last = result
        self.kept = result if kept else self.kept
        self.seconds.append(result.seconds)

    def figures(self) -> list[str]:
        train, valid, uar = (
            (self.last.train_loss, self.last.valid_loss, self.last.valid_uar) if self.last else [None] * 3
        )
        kept = f"{figure(self.kept.valid_uar)} (epoch {self.kept.epoch})" if self.kept else MISSING
        return [
            f"train loss {figure(train)}",
            f"valid loss {figure(valid)}",
            f"valid UA {figure(uar)}",
            f"kept UA {kept}",
        ]

    def left(self) -> str:
        if self.last is None:
            return ""
        seconds = sum(self.seconds) / len(self.seconds) * (self.epochs - self.last.epoch)
        return f"at most {timedelta(seconds=round(seconds))} left"

    def line(self) -> str:
        assert self.last is not None
        return ", ".join([f"epoch {self.last.epoch}/{self.epochs}", *self.figures(), self.left()])

    def panel(self) -> RenderableType:
        epoch = self.last.epoch if self.last else 0
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self.epochs, completed=epoch, width=24)
        head.add_row(plain(self.name, "bold"), bar, f"{epoch}/{self.epochs}", self.left())
        return Group(head, Text("  ".join(self.figures())))
