"""Numbers, bars and shortened names as text, measured in the characters of a terminal. Nothing here prints."""

import os
import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

MISSING = "–"
"""Shown where there is no number."""


def escaped(text: str) -> str:
    """Show control characters and lone surrogates (from odd file names) as escapes."""
    odd = {"Cc", "Cs", "Zl", "Zp"}
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in odd else c for c in text)


def one_line(message: str) -> str:
    """A message without line breaks."""
    return " ".join(message.splitlines())


def figure(value: str | int | float | None, digits: int = 3) -> str:
    """A number or a word as text; a dash for None and NaN."""
    if value is None or value != value:  # NaN is the only value that differs from itself
        return MISSING
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def blocks(share: float, width: int) -> str:
    """A bar of a share of `width` characters, to an eighth of a character."""
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


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


def folder_of(paths: Sequence[str]) -> str:
    """The common folder of several paths, with its separator; "" if they have none."""
    folders = [os.path.dirname(path) for path in paths]  # noqa: PTH120 - as the user wrote them
    if len(paths) < 2 or len({os.path.isabs(folder) for folder in folders}) > 1:  # noqa: PTH117
        return ""
    common = os.path.commonpath(folders) if all(folders) else ""
    return f"{common}{os.sep}" if common and all(path.startswith(common + os.sep) for path in paths) else ""
