"""Numbers and names as text: shares in percent, a dash for an undefined value, a true minus sign."""

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from sercli._system.text import MISSING, minus, percent
from sercli.evaluation.results import Estimate

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.031), points(-0.002), points(-0.0001)
    ('+3.1', '−0.2', '0.0')
    """
    text = f"{100 * value:+z.1f}"
    return "0.0" if text == "+0.0" else minus(text)


def interval(estimate: Estimate) -> str:
    """Both ends of an interval in percent.

    >>> interval(Estimate(0.02, -0.004, 0.044))
    '−0.4 to 4.4'
    """
    return f"{percent(estimate.low)} to {percent(estimate.high)}"


def probability(p: float) -> str:
    """A p value.

    >>> probability(0.0312), probability(0.0004), probability(1.0)
    ('0.031', '< 0.001', '1')
    """
    return "< 0.001" if p < 0.001 else "1" if p > 0.9995 else f"{p:.3f}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def named(names: Sequence[str]) -> str:
    """Names of systems as a sentence lists them, between backticks.

    >>> named(["a", "b"])
    '`a` and `b`'
    """
    return listed([f"`{name}`" for name in names])


def marked(text: str) -> Markup:
    r"""Text for a page: what stands between backticks as code, and no line break between a number and its %.

    >>> marked("`a` has 5 %")
    Markup('<code>a</code> has 5\xa0%')
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)).replace(" %", "\u00a0%")))


def decimals(value: float, digits: int = 3) -> str:
    """A number that is not a share."""
    return minus(f"{value:z.{digits}f}")


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> duration(45.2), duration(750), duration(5400), duration(0)
    ('45 s', '12.5 min', '1.5 h', 'none')
    """
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds else "none"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def fact(value: str | int | float) -> str:
    """A value of a table of facts.

    >>> fact(1440), fact(1.4799), fact("speakers")
    ('1,440', '1.48', 'speakers')
    """
    if isinstance(value, str):
        return value or MISSING
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def printable(text: str) -> str:
    """Text without control characters and lone surrogates, which a file name may have but a document may not."""
    return _UNPRINTABLE.sub("\ufffd", text)
