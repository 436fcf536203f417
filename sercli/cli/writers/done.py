"""Which files of --out a repeated command may keep: those of the same settings, newer than their recordings."""

import csv
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from sercli import __version__
from sercli._system.files import write_json
from sercli.config import differences
from sercli.errors import MismatchError

RECORD = ".predicted"
"""Holds, in the folder of --out, the settings of its predictions; files that are older than it are of other ones."""

_LONGEST = 2**16  # characters of a line
_MODEL = [
    f"{where}{name}" for where in ("", "members/*/", "encoders/*/") for name in ("run.json", "*.npz", "weights.*")
]


def settings_with(model: Path | None, settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings as they are recorded, with a name that models share only if they predict alike.

    Args:
        model: a run directory; None: the model that ships.
        settings: all that predictions depend on beside the model and the recording.
    """
    name = f"of ser {__version__}"
    if model is not None:
        content = hashlib.blake2b(digest_size=6)
        for path in sorted(path for pattern in _MODEL for path in model.glob(pattern)):
            content.update(path.read_bytes())
        name = f"{model.resolve().name} {content.hexdigest()}"
    return msgspec.to_builtins({**settings, "model": name}, enc_hook=str)


def check(folder: Path, settings: Mapping[str, object]) -> None:
    """Refuse to keep predictions with other settings than these.

    Raises:
        MismatchError: naming the settings.
    """
    before = _recorded(folder)
    if found := differences(before, settings) if before else []:
        raise MismatchError(
            f"{folder} holds predictions with other settings: {'; '.join(found)}. Repeat the settings to go on, choose "
            "another --out, or leave out --skip-done."
        )


def begin(folder: Path, settings: Mapping[str, object]) -> None:
    """Record the settings of the predictions that are about to be written, unless the folder's are the same."""
    if _recorded(folder) != settings:
        with suppress(OSError):  # then no prediction can be written either, which is told of each
            write_json(folder / RECORD, settings)


def is_done(target: Path, recording: Path | None, folder: Path) -> bool:
    """Whether a file was written with the folder's settings, after its recording changed for the last time."""
    try:
        read_ns = recording.stat().st_mtime_ns if recording else 0
        return target.stat().st_mtime_ns >= max(read_ns, (folder / RECORD).stat().st_mtime_ns)
    except OSError:
        return False


def of_another(target: Path, recording: Path) -> str | None:
    """Return the recording whose predictions a file holds, if it is another one; None: it is not, or cannot be told."""
    with suppress(OSError, ValueError, LookupError, StopIteration), target.open(encoding="utf-8-sig") as file:
        head = [file.readline(_LONGEST), file.readline(_LONGEST)]
        row = json.loads(head[0]) if head[0].startswith("{") else next(csv.DictReader(head))
        return None if Path(row["path"]).samefile(recording) else str(row["path"])
    return None


def _recorded(folder: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):  # of an earlier version, or damaged: nothing is known
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=dict[str, object])
    return {}
