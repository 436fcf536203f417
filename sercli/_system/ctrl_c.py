"""Ctrl-C, from a command's first moment to its last: exit code 130, and the terminal as it was."""

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

CODE = 130
_SHOW_CURSOR = "\x1b[?25h"


def end() -> NoReturn:
    """Break the command off. It may have come just after a bar had hidden the cursor, before it could show it again."""
    if "rich" in sys.modules and sys.stderr.isatty():
        print(_SHOW_CURSOR, end="", file=sys.stderr, flush=True)  # noqa: T201
    sys.exit(CODE)


def is_behind(error: BaseException) -> bool:
    """Whether an exception is Ctrl-C or came of it, as an import that is broken off may raise an ImportError."""
    found: list[BaseException] = [error]
    for one in found:
        found += [more for more in (one.__cause__, one.__context__) if more is not None and more not in found]
    return any(isinstance(one, KeyboardInterrupt) for one in found)


def hear_no_more() -> None:
    """All is said and done: Ctrl-C while Python takes itself down would only be a traceback on the screen."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def unraisable(lost: "UnraisableHookArgs") -> None:
    """Where Python can raise nothing, as while it disposes of an object, Ctrl-C would be lost: it is pressed again."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import threading

    # From a thread, for in here it would be lost again.
    again = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True
    with suppress(RuntimeError):  # at the very end there are no more threads, and nothing to break off
        again.start()
