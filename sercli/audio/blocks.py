"""Blocks of a signal that comes in pieces of any lengths."""

from collections.abc import Iterable, Iterator

import numpy as np

from sercli.types import Array


def regrouped(blocks: Iterable[Array], n_frames: int) -> Iterator[Array]:
    """Yield consecutive blocks (n, ...) of a signal as blocks of one length; the last may be shorter.

    >>> [block.tolist() for block in regrouped([np.arange(1), np.arange(1, 4)], 2)]
    [[0, 1], [2, 3]]
    """
    held: list[Array] = []
    n_held = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        if n_held >= n_frames:
            joined = np.concatenate(held)
            n_whole = n_held - n_held % n_frames
            held, n_held = [joined[n_whole:]], n_held - n_whole
            yield from np.split(joined[:n_whole], n_whole // n_frames)
    if n_held:
        yield np.concatenate(held)
