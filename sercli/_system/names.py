"""Names that people and files give: which of them look alike."""

import re
import unicodedata


def plain(name: str) -> str:
    r"""Return a name without what nobody means by it: letter case, how blanks and letters are written, what is unseen.

    >>> plain("No_Emotion"), plain("no  emotion"), plain("e\u0301"), plain("a\u200b"), plain("-1")
    ('no emotion', 'no emotion', 'é', 'a', '-1')
    """
    seen = (c for c in unicodedata.normalize("NFKC", name).casefold() if unicodedata.category(c) != "Cf")
    return re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", "".join(seen)).strip()
