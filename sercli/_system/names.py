"""Names that people and files give: which of them look alike."""

import re
import unicodedata
from collections.abc import Iterable, Sequence


def plain(name: str) -> str:
    r"""Return a name without what nobody means by it: letter case, how blanks and letters are written, what is unseen.

    >>> plain("No_Emotion"), plain("no  emotion"), plain("e\u0301"), plain("a\u200b"), plain("-1")
    ('no emotion', 'no emotion', 'é', 'a', '-1')
    """
    seen = (c for c in unicodedata.normalize("NFKC", name).casefold() if unicodedata.category(c) != "Cf")
    return re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", "".join(seen)).strip()


def similar(names: Iterable[str | None]) -> tuple[tuple[str, ...], ...]:
    """Return those of several names that look alike, or differ in blanks, leading zeros or a decimal zero alone."""
    alike: dict[str, set[str]] = {}
    for name in {name for name in names if name}:
        bare = re.sub(r"(?<![\d.])0+(?=\d)", "", plain(name).replace(" ", ""))
        alike.setdefault(re.sub(r"^(\d+)\.0+$", r"\1", bare), set()).add(name)
    return tuple(sorted(tuple(sorted(several)) for several in alike.values() if len(several) > 1))


def as_people(similar: Sequence[Sequence[str]]) -> str:
    """Return the warning about speakers with similar names."""
    first = "; ".join(" = ".join(f"'{name}'" for name in several) for several in similar[:3])
    more = "; ..." * (len(similar) > 3)
    return f"Speakers whose names differ little ({first}{more}) count as different people"
