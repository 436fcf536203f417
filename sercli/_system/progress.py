"""How long-running work reports its progress, without knowing how it is shown."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Reports work as done."""

    def __call__(self, done: float = 1, shown: str = "", /) -> None:
        """Report work as done, in the unit of the total.

        Args:
            done: since the last call; 0: the work itself begins now, such as after a model was loaded.
            shown: a line about it; "": the last one stays.
        """


ProgressFactory = Callable[[str, float], AbstractContextManager[Advance]]
"""(description, total work) -> a context whose value reports work as done; work on recordings is seconds of audio."""


def nothing(*_: object) -> None:
    """Do nothing, where nobody wants to hear of what is done."""


@contextmanager
def no_progress(description: str, total: float) -> Iterator[Advance]:
    """A `ProgressFactory` that shows nothing: for one of several processes, and for library calls."""
    yield nothing
