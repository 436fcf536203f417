"""The two streams: notes and warnings on stderr, results on stdout."""

from collections.abc import Sequence
from functools import cache

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sercli.cli.render.text import escaped, one_line

_ASCII = str.maketrans("–…█▉▊▋▌▍▎▏", "-~#######-")  # for a stream that is not UTF-8


def note(message: str, *, console: Console | None = None) -> None:
    """Print one line on stderr."""
    show(console or stderr(), plain(one_line(message)))


def warn(message: str, *, console: Console | None = None) -> None:
    """Print one line on stderr that begins with "warning:"."""
    show(console or stderr(), Text.assemble(("warning: ", "bold yellow"), plain(one_line(message))))


@cache
def stdout() -> Console:
    """The console of results."""
    return Console(highlight=False)


@cache
def stderr() -> Console:
    """The console of everything else: one for all, so that notes are printed above a live display, not through it."""
    return Console(stderr=True, highlight=False)


def show(console: Console, *renderables: RenderableType) -> None:
    """Print; on a stream that is not UTF-8 with plain characters, and escapes for characters that it lacks."""
    if console.options.ascii_only:
        with console.capture() as captured:
            _print(console, renderables)
        text = captured.get().translate(_ASCII)
        console.file.write(text.encode(console.encoding, "backslashreplace").decode(console.encoding))
    else:
        _print(console, renderables)


def _print(console: Console, renderables: Sequence[RenderableType]) -> None:
    """Sentences stay on one line, however long; a table is followed by a blank line."""
    for renderable in renderables:
        console.print(renderable, soft_wrap=isinstance(renderable, Text))
    if any(isinstance(renderable, Table) for renderable in renderables):
        console.print()


def plain(text: str, style: str = "") -> Text:
    """Text without markup, in which control characters are shown as escapes."""
    return Text(escaped(text), style)
