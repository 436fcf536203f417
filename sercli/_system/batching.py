"""Batches of items of similar length, which need little padding."""

from collections.abc import Iterator, Sequence


def like_length(lengths: Sequence[float], most: float) -> Iterator[list[int]]:
    """Yield batches of item indices, shortest items first, each with a padded size of at most `most`.

    Args:
        lengths: of the items.
        most: largest padded size, the longest item times the number of items; a longer item gets its own batch.

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
