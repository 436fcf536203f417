"""One process at a time in a folder; a second one gets an error that names the first.

The operating system releases the lock when the process ends, even if it is killed; leftover files lock nothing. A
note beside it names the process, only for the error message.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from sercli._system.files import refuse_links, write_json
from sercli.errors import SerError

_PATIENCE_S = 0.2  # time that the holder of the lock gets to write its note


class HeldError(SerError):
    """Another process is writing to the folder."""


class _Holder(msgspec.Struct):
    """The content of the note."""

    pid: int
    host: str
    doing: str = ""


@contextmanager
def alone(folder: Path, name: str, *, doing: str = "", wait: bool = False) -> Iterator[None]:
    """Hold a lock until the context ends, so that no other process writes to the folder.

    Args:
        folder: made if it is missing.
        name: of the lock; processes with the same name exclude each other.
        doing: what this process does, for other processes to compare by `current_task`.
        wait: wait until the other process has ended instead of raising.

    Raises:
        HeldError: another process has the lock; the message names its process id and host.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = _note(folder, name)
    refuse_links(_lock(folder, name))
    lock = FileLock(_lock(folder, name), timeout=-1 if wait else _PATIENCE_S)
    try:
        lock.acquire()
    except Timeout:
        holder = _holder(note)
        who = f" (process {holder.pid} on {holder.host})" if holder else ""
        raise HeldError(
            f"{folder} is being written to by another process{who}; wait until it ends, then repeat the command."
        ) from None
    except NotImplementedError:
        raise SerError(f"{folder} is on a file system without locks; choose another folder.") from None
    try:
        write_json(note, _Holder(os.getpid(), socket.gethostname(), doing))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def current_task(folder: Path, name: str) -> str:
    """Return what the lock's holder is doing, or was doing when it was killed; "" if unknown."""
    holder = _holder(_note(folder, name))
    return holder.doing if holder else ""


def forget(folder: Path, name: str) -> None:
    """Remove the file of a lock that nobody has or needs any more."""
    _lock(folder, name).unlink(missing_ok=True)


def holders(file: Path) -> str:
    """Return the processes that have locked a file, such as "process 12 (sqlite3)"; "" if the system does not tell."""
    try:
        inode, table = file.stat().st_ino, Path("/proc/locks").read_text()
    except OSError:
        return ""
    rows = (line.split() for line in table.splitlines())  # 1: POSIX ADVISORY WRITE 12 fe:00:3604499 0 EOF
    pids = sorted({int(row[4]) for row in rows if row[1] != "->" and row[5].rpartition(":")[2] == str(inode)})
    return ", ".join(f"process {pid}{_command(pid)}" for pid in pids if pid != os.getpid())


def _command(pid: int) -> str:
    try:
        return f" ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:  # ended meanwhile, or is not visible here
        return ""


def _lock(folder: Path, name: str) -> Path:
    return folder / f".{name}.lock"


def _note(folder: Path, name: str) -> Path:
    return folder / f".{name}.holder"


def _holder(note: Path) -> _Holder | None:
    """Return who has a lock; None if there is no note yet, or a damaged one."""
    try:
        return msgspec.json.decode(note.read_bytes(), type=_Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
