"""One process at a time: who comes second is told who is there.

The lock is the operating system's and ends with its process, however that ends; what lies in the folder afterwards
locks nothing. Beside it a note says who holds it, for the message alone.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from sercli._system.files import write_json
from sercli.errors import SerError

_PATIENCE_S = 0.2  # for by then who has the lock has written its note


class HeldError(SerError):
    """Another process is at work there."""


class _Holder(msgspec.Struct):
    """What the note says."""

    pid: int
    host: str
    doing: str = ""


@contextmanager
def alone(folder: Path, name: str, *, doing: str = "", wait: bool = False) -> Iterator[None]:
    """Be the only process that does something in a folder, until the context ends.

    Args:
        folder: made where it is missing.
        name: of the lock: processes with the same one exclude each other.
        doing: what, so that who comes second can tell whether it is the same; see `doing_there`.
        wait: until the other process has ended, instead of refusing.

    Raises:
        HeldError: another process is at it; its number and machine are named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = _note(folder, name)
    lock = FileLock(_lock(folder, name), timeout=-1 if wait else _PATIENCE_S)
    try:
        lock.acquire()
    except Timeout:
        raise HeldError(
            f"{folder} is being written to by another process{_named(_holder(note))}; wait until it ends, then repeat "
            "the command."
        ) from None
    except NotImplementedError:
        raise SerError(f"{folder} lies on a file system without locks; choose another folder.") from None
    try:
        write_json(note, _Holder(os.getpid(), socket.gethostname(), doing))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def doing_there(folder: Path, name: str) -> str:
    """What the process that holds a lock, or held it last and was killed, said that it does; "" where none says."""
    holder = _holder(_note(folder, name))
    return holder.doing if holder else ""


def forget(folder: Path, name: str) -> None:
    """Remove a lock that nobody has and that is of no more use, since what it kept apart is done for good."""
    _lock(folder, name).unlink(missing_ok=True)


def _lock(folder: Path, name: str) -> Path:
    return folder / f".{name}.lock"


def _note(folder: Path, name: str) -> Path:
    return folder / f".{name}.holder"


def _holder(note: Path) -> _Holder | None:
    """Who holds a lock; None where the note is not there yet, or damaged."""
    try:
        return msgspec.json.decode(note.read_bytes(), type=_Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _named(holder: _Holder | None) -> str:
    return f" (process {holder.pid} on {holder.host})" if holder else ""
