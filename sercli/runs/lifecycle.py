"""Starting a run, resuming it after an interruption, and locking out other processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sercli._system import locks
from sercli._system.files import sweep, visible_names
from sercli.config import differences
from sercli.errors import MismatchError, SerError
from sercli.runs.info import RunInfo, load_info, write_info

_LOCK = "run"
_MOST_NAMED = 4  # settings that a refusal names; those of another model differ in twenty


def start(folder: Path, info: RunInfo) -> RunInfo:
    """Start a run, or resume one with the same settings; return its current info.

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
    if found := sorted(differences(before, now), key=lambda one: not one.startswith(("kind ", "model"))):
        more = f"; and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise MismatchError(
            f"{folder} holds a run with other settings: {'; '.join(found[:_MOST_NAMED])}{more}. "
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
        check_free(folder)  # before the lock, whose file must not be created in somebody else's folder
    elif (old := start(folder, info)).status == "finished":
        yield old
        return
    with locks.alone(folder, _LOCK):
        sweep(folder)
        yield start(folder, info)
    locks.forget(folder, _LOCK)


def check_free(folder: Path) -> None:
    """Refuse a folder that is not empty for a new run.

    Raises:
        SerError: the folder is not empty, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or visible_names(folder)):
        raise SerError(f"{folder} exists and is not a run directory; choose another --out.")


def check_there(folder: Path) -> None:
    """Refuse to write to a run whose directory was removed meanwhile; that would leave an incomplete run.

    Raises:
        SerError: the directory was moved or removed.
    """
    if not (folder / "run.json").exists():
        raise SerError(f"{folder} was moved or removed while it was being written to; repeat the command.")
