"""Starting a run, resuming it after a kill, and keeping other processes away from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sercli._system import locks
from sercli._system.files import sweep, visible_names
from sercli.config import differences
from sercli.errors import MismatchError, SerError
from sercli.runs.info import RunInfo, load_info, write_info

_LOCK = "run"


def start(folder: Path, info: RunInfo) -> RunInfo:
    """Start a run, or resume one that the same settings started.

    Returns:
        the run's current info: status "finished" when nothing is left to do.

    Raises:
        MismatchError: the folder holds a run with other settings; the differences are named.
        SerError: the folder holds something else.
    """
    if not (folder / "run.json").exists():
        check_free(folder)
        write_info(folder, info)
        return info
    old = load_info(folder)
    before, now = ({"kind": i.kind, **i.settings.to_dict()} for i in (old, info))
    if found := differences(before, now):
        raise MismatchError(
            f"{folder} holds a run with other settings: {'; '.join(found)}. "
            "Repeat the settings to resume it, or choose another --out."
        )
    return old


@contextmanager
def started(folder: Path, info: RunInfo) -> Iterator[RunInfo]:
    """`start` a run and lock out other processes until the context ends; a finished run needs no lock.

    Raises:
        HeldError: another process is training it.
        SerError: as `start`.
    """
    if not (folder / "run.json").exists():
        check_free(folder)  # before the lock, which would be the first file in a folder that is not ours
    elif (old := start(folder, info)).status == "finished":
        yield old
        return
    with locks.alone(folder, _LOCK):
        sweep(folder)
        yield start(folder, info)
    locks.forget(folder, _LOCK)


def check_free(folder: Path) -> None:
    """Refuse a folder for a new run that already holds something.

    Raises:
        SerError: it does.
    """
    if folder.exists() and (not folder.is_dir() or visible_names(folder)):
        raise SerError(f"{folder} exists and is not a run directory; choose another --out.")


def check_there(folder: Path) -> None:
    """Refuse to write to a run whose directory was removed meanwhile, which would leave half a run there.

    Raises:
        SerError: it was.
    """
    if not (folder / "run.json").exists():
        raise SerError(f"{folder} was moved or removed while it was being written to; repeat the command.")
