"""How long-running work reports its progress, without knowing how it is shown."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

ProgressFactory = Callable[[str, int], AbstractContextManager[Callable[..., None]]]
"""(description, total number of steps) -> a context whose value `advance(n, **shown)` reports n steps as done."""


@contextmanager
def no_progress(description: str, total: int) -> Iterator[Callable[..., None]]:
    """A `ProgressFactory` that shows nothing: for one of several processes, and for library calls."""
    yield lambda *_, **__: None
