"""Text that people read and write: shares, times, cells of tables, and names, of which some look alike."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

MISSING = "–"
"""Where there is no number."""


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent, without the % sign, rounded as the table on the terminal rounds the share.

    >>> percent(0.5403), percent(0.7875), percent(None)
    ('54.0', '78.7', '–')
    """
    return MISSING if value is None else minus(f"{100 * round(value, digits + 2):z.{digits}f}")


def minus(text: str) -> str:
    """Return a number with a true minus sign."""
    return text.replace("-", "−")


def clock(seconds: float, n_decimals: int = 0, *, point: str = ".", padded: bool = False) -> str:
    """Return a time as minutes and seconds, with hours where there are any.

    Args:
        seconds: zero or more.
        n_decimals: digits of the seconds after the point.
        point: the decimal separator.
        padded: always include the hours and pad each field to two digits, as subtitles need.

    >>> clock(59.6), clock(3.25, 1), clock(3723.04, 1), clock(3723.004, 3, point=",", padded=True)
    ('1:00', '0:03.2', '1:02:03.0', '01:02:03,004')
    """
    whole, fraction = divmod(round(seconds * 10**n_decimals), 10**n_decimals)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    front = f"{hours:02}:{minutes:02}" if padded else f"{hours}:{minutes:02}" if hours else str(minutes)
    return f"{front}:{whole:02}" + (f"{point}{fraction:0{n_decimals}}" if n_decimals else "")


def parse_clock(text: str) -> float | None:
    """Return the seconds of hours:minutes:seconds; None for any other text.

    >>> parse_clock("00:01:10.500000000"), parse_clock("long"), parse_clock("1e999:00:00")
    (70.5, None, None)
    """
    try:
        hours, minutes, seconds = map(float, text.split(":"))
    except ValueError:
        return None
    total_s = 3600 * hours + 60 * minutes + seconds
    return total_s if math.isfinite(total_s) else None


def harmless(cell: object) -> object:
    r"""Return a cell that a spreadsheet shows as text and a terminal prints.

    Text that would run as a formula begins with ', and control characters are shown as escapes.

    >>> harmless("=1+1"), harmless("-"), harmless("a\x1b[2J"), harmless(-0.5)
    ("'=1+1", '-', 'a\\x1b[2J', -0.5)
    """
    if not isinstance(cell, str):
        return cell
    shown = "".join(ascii(c)[1:-1] if unicodedata.category(c) == "Cc" and c not in "\t\r\n" else c for c in cell)
    formula = len(shown) > 1 and shown.lstrip().startswith(("=", "+", "-", "@"))
    return f"'{shown}" if formula else shown


def plain_name(name: str) -> str:
    r"""Return a name without what nobody means by it: letter case, how blanks and letters are written, what is unseen.

    >>> [plain_name(name) for name in ("No_Emotion", "no  emotion", "e\u0301", "a\u200b", "-1")]
    ['no emotion', 'no emotion', 'é', 'a', '-1']
    """
    seen = (c for c in unicodedata.normalize("NFKC", name).casefold() if unicodedata.category(c) != "Cf")
    return re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", "".join(seen)).strip()


def few(names: Sequence[str], most: int = 3) -> str:
    """Return the first names of several, with dots in place of the others.

    >>> few(["a", "b"]), few(["a", "b", "c", "d"])
    ('a, b', 'a, b, c, ...')
    """
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)


def similar_names(names: Iterable[str | None]) -> tuple[tuple[str, ...], ...]:
    """Return names that look alike, or differ in blanks, leading zeros, a decimal zero or the word speaker alone."""
    alike: dict[str, set[str]] = {}
    for name in {name for name in names if name}:
        bare = re.sub(r"(?<![\d.])0+(?=\d)", "", plain_name(name).replace(" ", ""))
        alike.setdefault(re.sub(r"^(?:speaker|spk)?(\d+)(?:\.0+)?$", r"\1", bare), set()).add(name)
    return tuple(sorted(tuple(sorted(several)) for several in alike.values() if len(several) > 1))


def alike_speakers(similar: Sequence[Sequence[str]]) -> str:
    """Return the warning about speakers with similar names."""
    first = "; ".join(" = ".join(f"'{name}'" for name in several) for several in similar[:3])
    more = "; ..." * (len(similar) > 3)
    return f"Speakers whose names differ little ({first}{more}) count as different people"


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that puts "2" before "10"."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name))], name
