"""The two streams, notes and warnings on stderr and results on stdout, and the pieces of text that go there."""

import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache

import typer
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sercli._system.files import UTF_8
from sercli._system.text import MISSING
from sercli.cli import options

_HELD = "\ue000"  # in place of a blank at which a line must not be cut
_ASCII = str.maketrans("–…█▉▊▋▌▍▎▏", "-~#######-")  # for a stream that is not UTF-8


def note(message: str) -> None:
    """Print one line on stderr, not with --quiet."""
    if not options.quiet:
        show(plain(" ".join(message.splitlines())), on=stderr())


def warn(message: str) -> None:
    """Print one line on stderr that begins with "warning:"."""
    show(Text.assemble(("warning: ", "bold magenta"), plain(" ".join(message.splitlines()))), on=stderr())


def markdown(text: str) -> None:
    """Show a text in Markdown, laid out."""
    from rich.markdown import Markdown

    show(Markdown(text))


@cache
def stdout() -> Console:
    """The console of results."""
    return Console(highlight=False)


@cache
def stderr() -> Console:
    """Return the console of everything else; where both are terminals that of results, so that a bar stays below."""
    return stdout() if sys.stdout.isatty() and sys.stderr.isatty() else Console(stderr=True, highlight=False)


def write(piece: str) -> None:
    """Write a piece of a file format to stdout as it is; on a terminal above a live display."""
    if stdout().is_terminal:
        stdout().out(piece.encode(*UTF_8).decode(), end="", highlight=False)
    else:
        typer.echo(piece.encode(*UTF_8), nl=False)


def show(*renderables: RenderableType, on: Console | None = None) -> None:
    """Print, on stdout by default; where it is not UTF-8, with ASCII symbols and escapes of what cannot be encoded."""
    console = on or stdout()
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
        if isinstance(renderable, Text):
            if console.is_terminal:
                lines = renderable.split(allow_blank=True)
                renderable = Text("\n").join(_by_words(line, console) for line in lines)
            console.print(renderable, soft_wrap=True)
        else:
            console.print(renderable)
    if any(isinstance(renderable, Table) for renderable in renderables):
        console.print()


def _by_words(line: Text, console: Console) -> Text:
    """A line with blanks up to the terminal's edge where that would cut a word, so that what is copied has its lines.

    What is between quotes gets no blanks, for it may be a path; a number and its % stay together.
    """
    width = console.width
    if cell_len(line.plain) <= width:
        return line
    held = line.copy()
    held.plain = re.sub(r"(?<!\w)'[^']*'| %", lambda found: found[0].replace(" ", _HELD), line.plain)
    # A blank after each word, also at the edge, unless a word is longer than a line.
    end = "" if any(cell_len(word) >= width for word in held.plain.split()) else " "
    joined = Text(end).join(held.wrap(console, width - len(end), justify="left"))
    joined.rstrip()
    joined.plain = joined.plain.replace(_HELD, " ")
    return joined


def plain(text: str, style: str = "") -> Text:
    """Text without markup, in which control characters are shown as escapes."""
    return Text(escaped(text), style)


def escaped(text: str) -> str:
    """Show control characters and lone surrogates (from odd file names) as escapes."""
    odd = {"Cc", "Cs", "Zl", "Zp"}
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in odd else c for c in text)


def new_table(*columns: str, sides: str = "l") -> Table:
    """A table; `sides` has an l for each column of text, and an r, as all further columns, for numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name, side in zip(columns, sides.ljust(len(columns), "r"), strict=False):
        table.add_column(plain(name), justify="left" if side == "l" else "right", overflow="fold")
    return table


def figure(value: str | int | float | None, digits: int = 3) -> str:
    """A number or a word as text; a dash for None and NaN."""
    if value is None or value != value:  # NaN is the only value that differs from itself
        return MISSING
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def bar(share: float, width: int, style: str = "blue") -> Text:
    """A bar that fills a share of `width` characters, to an eighth of a character."""
    eighths = round(share * width * 8)
    return Text(("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()).ljust(width), style)


def short_names(labels: Sequence[str]) -> list[str]:
    """The shortest prefixes, of at least three letters, that tell the labels apart."""
    lengths = [
        next((n for n in range(3, len(label)) if not any(o.startswith(label[:n]) for o in labels if o != label)), None)
        for label in labels
    ]
    return [label[:n] for label, n in zip(labels, lengths, strict=True)]


def shorten(paths: Sequence[str], width: int) -> list[str]:
    """Cut the middle out of paths wider than `width`; paths that would look the same afterwards stay whole.

    >>> shorten(["corpus/actor/clip.wav", "a.wav"], 12)
    ['corp…lip.wav', 'a.wav']
    >>> shorten(["corpus/a1/clip.wav", "corpus/a2/clip.wav"], 12)
    ['corpus/a1/clip.wav', 'corpus/a2/clip.wav']
    """
    tail = 2 * (width - 1) // 3
    alike: dict[str, set[str]] = {}
    cut = []
    for path in paths:
        if cell_len(path) > width > 3:
            cut.append(f"{set_cell_size(path, width - 1 - tail)}…{set_cell_size(path[::-1], tail)[::-1]}")
        else:
            cut.append(path)
        alike.setdefault(cut[-1], set()).add(path)
    return [look if len(alike[look]) == 1 else path for path, look in zip(paths, cut, strict=True)]
