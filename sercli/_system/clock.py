"""Times as people read and write them: hours, minutes, seconds."""

import math


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
