"""What comes in from a microphone: its level, the last prediction and the shares so far, below the results."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from sercli._system.text import clock
from sercli.cli import options
from sercli.cli.render import console as streams
from sercli.cli.render.console import bar, figure, note, plain
from sercli.cli.render.predictions import in_short
from sercli.cli.render.timeline import shares
from sercli.cli.summaries import Summary
from sercli.types import Array, Prediction

_LOWEST_DBFS = -60.0  # where the bar of the level begins
_WIDEST = 40  # characters of a bar
_CTRL_C = len("^C")  # columns left free, as those of a progress bar


@contextmanager
def live_view(about: str) -> Iterator["LiveView"]:
    """Show what comes in on stderr until the end, or one line where stderr is not a terminal; nothing with --quiet.

    Args:
        about: what sound comes in from.
    """
    console = streams.stderr()
    view = LiveView(f"Listening to {about}. Ctrl-C ends.")
    if console.is_interactive and not options.quiet:
        redirect = sys.stdout.isatty()  # as for a progress bar
        with Live(view, console=console, transient=True, refresh_per_second=10, redirect_stdout=redirect):
            yield view
    else:
        note(view.head)
        yield view


class LiveView:
    """The level of the sound that comes in, and what was predicted of it so far."""

    def __init__(self, head: str) -> None:
        self.head = head
        self._level_dbfs, self._seconds = _LOWEST_DBFS, 0.0
        self._last: Prediction | None = None
        self._so_far = Summary("")
        self._remarks: list[str] = []

    def heard(self, block: Array, rate_hz: int, remarks: list[str]) -> None:
        """Take in a block (n,), float32 or 16-bit integers, and what is lost so far."""
        scale = 2**15 if block.dtype == np.int16 else 1
        power = np.square(block.astype(np.float32) / scale).mean() if len(block) else 0.0
        self._level_dbfs = max(float(10 * np.log10(power + 1e-12)), _LOWEST_DBFS)
        self._seconds += len(block) / rate_hz
        self._remarks = remarks

    def predicted(self, prediction: Prediction) -> None:
        """Take in the prediction of the last utterance."""
        self._last = prediction
        self._so_far.add(prediction)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width - _CTRL_C
        for line in self._lines(width):
            line.truncate(width, overflow="ellipsis")
            yield line

    def _lines(self, width: int) -> Iterator[Text]:
        yield plain(self.head, "bold")
        figures = f"  {self._level_dbfs:4.0f} dB  {clock(self._seconds)}"
        wide = max(1, min(_WIDEST, width - len(figures)))
        yield bar(1 - self._level_dbfs / _LOWEST_DBFS, wide, "green") + figures
        if p := self._last:
            yield plain(in_short(p))
            names = max(map(len, p.probabilities), default=0)
            wide = max(1, min(_WIDEST, width - names - len("  0.000  ")))
            for label, probability in p.probabilities.items():
                style = "bold green" if label == p.label else "blue"
                yield Text(f"{label:{names}}  {figure(probability)}  ") + bar(probability, wide, style)
            yield plain(shares(self._so_far))
            if p.adapted:
                yield plain(f"adapted to the {p.adapted.group} ({p.adapted.how}, {p.adapted.n} so far)", "dim")
        yield from (plain(remark, "magenta") for remark in self._remarks)
