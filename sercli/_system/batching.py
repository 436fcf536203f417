"""Batches of items of like length, which need little padding."""

from collections.abc import Iterator, Sequence


def like_length(lengths: Sequence[float], most: float) -> Iterator[list[int]]:
    """Yield the places of items, shortest first, in batches whose padded size is `most` at most.

    Args:
        lengths: of the items.
        most: longest item times number of items; a longer item is a batch by itself.

    >>> list(like_length([3, 1, 2, 9], 6))
    [[1, 2], [0], [3]]
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
