"""Tables with a header, row by row, each with the line that it begins on."""

import csv
import io
from collections import Counter
from collections.abc import Iterator

from sercli.errors import SerError, no_such


def read_rows(text: str, source: str, *, delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV or TSV text with quotes, as dictionaries by the header's names, blanks around cells dropped.

    Args:
        text: the content with its line ends untouched: a quoted cell may hold some.
        source: the file's name, for errors.
        delimiter: what stands between cells.

    Yields:
        The line that the row begins on, from 1, and its cells. Blank lines are left out.

    Raises:
        SerError: no header, a column twice, quotes that don't close, or more or fewer cells than columns.
    """
    rows = _rows(text, source, delimiter)
    line, header = next(rows, (1, []))
    if not header:
        raise SerError(f"{source} is empty; its first line must name the columns.")
    twice = [name for name, n in Counter(name.lower() for name in header).items() if n > 1]
    if twice:
        raise SerError(f"{source}:{line}: column '{shown(twice[0])}' stands there twice; name each column once.")
    for line, cells in rows:
        if len(cells) != len(header):
            raise SerError(
                f"{source}:{line}: {len(cells)} cells, but there are {len(header)} columns (the row begins with "
                f"'{shown(cells[0])}'); put cells that hold the delimiter into double quotes."
            )
        yield line, dict(zip(header, cells, strict=True))


def need_columns(row: dict[str, str], columns: tuple[str, ...], source: str) -> None:
    """Refuse a table that lacks a column.

    Raises:
        SerError: the first missing column, and those that there are.
    """
    for column in columns:
        if column not in row:
            raise SerError(f"{source}: {no_such('column', column, map(shown, row))}")


def _rows(text: str, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # strict: a quote that never closes would otherwise swallow the rest of the file without a word
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise SerError(f"{source}:{line}: {error}; inside quotes, write a quote twice.") from None
        if any(cell.strip() for cell in cells):
            yield line, [cell.strip() for cell in cells]


def shown(text: str, limit: int = 60) -> str:
    r"""A user's value as it can stand in a one-line message.

    >>> shown("two\nlines"), shown("a" * 70, limit=8)
    ('two lines', 'aaaaa...')
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
