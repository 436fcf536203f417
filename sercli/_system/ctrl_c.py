"""Handles Ctrl-C from the start of a command to its end: exit code 130 and a restored terminal."""

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from sys import UnraisableHookArgs

Item = TypeVar("Item")

CODE = 130
_SHOW_CURSOR = "\x1b[?25h"
_kept = ""


def keeps(what: str) -> None:
    """Set what `end` says: what is kept of the command's work, and how to go on."""
    global _kept
    _kept = what


def end(say: "Callable[[str], None]" = lambda line: print(line, file=sys.stderr)) -> NoReturn:  # noqa: T201
    """Say what is kept, and exit with code 130 and a visible cursor, which a progress bar may have hidden."""
    if "rich" in sys.modules and sys.stderr.isatty():
        print(_SHOW_CURSOR, end="", file=sys.stderr, flush=True)  # noqa: T201
    if _kept:
        say(f"ser: interrupted. {_kept}")
    sys.exit(CODE)


def until_pressed(
    items: "Generator[Item, None, None]", end: "Callable[[], None] | None" = None
) -> "Generator[Item, None, None]":
    """Yield items until Ctrl-C, so that what uses them comes to its end; a second Ctrl-C is as usual.

    Args:
        items: closed at the end.
        end: called by Ctrl-C, after which the items soon end by themselves; None: they end at once.
    """
    waiting = pressed = False

    def press(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, usual)
        if end:
            end()
        elif waiting:
            raise KeyboardInterrupt

    usual = signal.signal(signal.SIGINT, press)
    try:
        while end or not pressed:
            waiting = True
            try:
                item = next(items)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                waiting = False
            yield item
    finally:
        signal.signal(signal.SIGINT, usual)
        items.close()


def is_ctrl_c(error: BaseException) -> bool:
    """Return whether Ctrl-C caused an exception: an interrupted import may raise an ImportError."""
    found: list[BaseException] = [error]
    for one in found:
        found += [more for more in (one.__cause__, one.__context__) if more is not None and more not in found]
    return any(isinstance(one, KeyboardInterrupt) for one in found)


def ignore() -> None:
    """Ignore Ctrl-C from now on: while Python shuts down it would only show a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def unraisable(lost: "UnraisableHookArgs") -> None:
    """Send Ctrl-C again if it came where Python cannot raise, such as in a destructor, and would be lost."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import threading

    # From a thread, because here it would be lost again.
    again = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True
    with suppress(RuntimeError):  # at the very end there are no threads, and nothing to interrupt
        again.start()
