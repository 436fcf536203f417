"""Tables with a header, row by row."""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from sercli.errors import SerError, no_such


def read_rows(
    text: str, source: str, *, delimiter: str = ",", columns: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV or TSV text as dictionaries keyed by column name, without blanks around cells.

    Args:
        text: the content with its line ends, which a quoted cell may contain.
        source: the file's name, for errors.
        delimiter: between cells.
        columns: those that the table must have.

    Yields:
        The line that the row begins on, from 1, and its cells. Blank lines are skipped.

    Raises:
        SerError: no header, two columns of one name, a missing column, quotes that do not close, or more or fewer
            cells than columns.
    """
    rows = _rows(text, source, delimiter)
    line, header = next(rows, (1, []))
    if not header:
        raise SerError(f"{source} is empty; its first line must name the columns.")
    twice = [name for name, n in Counter(name.lower() for name in header).items() if n > 1]
    if twice:
        raise SerError(f"{source}:{line}: there are two columns '{shown(twice[0])}'; name each column once.")
    need_columns(header, columns, f"{source}:{line}")
    for line, cells in rows:
        if len(cells) != len(header):
            raise SerError(
                f"{source}:{line}: {len(cells)} cells, but there are {len(header)} columns (the row begins with "
                f"'{shown(cells[0])}'); put cells that contain the delimiter into double quotes."
            )
        yield line, dict(zip(header, cells, strict=True))


def need_columns(names: Collection[str], columns: Iterable[str], source: str) -> None:
    """Raise if a table lacks a column.

    Raises:
        SerError: naming the first missing column, and the first 20 that there are.
    """
    for column in columns:
        if column not in names:
            raise SerError(f"{source}: {no_such('column', column, map(shown, list(names)[:20]))}")


def _rows(text: str, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # strict: otherwise a quote that never closes would silently swallow the rest of the file
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise SerError(f"{source}:{line}: {error}; inside quotes, write a quote twice.") from None


def shown(text: str, limit: int = 60) -> str:
    r"""Return a user's value as one short line, for messages.

    >>> shown("two\nlines"), shown("a" * 70, limit=8)
    ('two lines', 'aaaaa...')
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
