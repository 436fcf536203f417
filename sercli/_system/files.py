"""Walking folders, and writing files atomically."""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

import msgspec

from sercli.errors import SerError

UTF_8 = ("utf-8", "backslashreplace")
"""Encoding and error handler of everything that is written: a name that is not Unicode is written with escapes."""

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)
_LONGEST = 255 - len(
    "..01234567.tmp"
)  # bytes of a target's name that fit into its temporary name on usual file systems


def is_visible(name: str) -> bool:
    """Return whether a name is neither hidden nor one of those that macOS adds to archives.

    >>> [is_visible(name) for name in ("a.wav", "._a.wav", "__MACOSX")]
    [True, False, False]
    """
    return not name.startswith(".") and name != "__MACOSX"


def visible_names(folder: Path) -> set[str]:
    """Return the names in a folder without the hidden ones; none where there is no folder."""
    return set(filter(is_visible, os.listdir(folder))) if folder.is_dir() else set()  # noqa: PTH208


def walk(root: Path | str, *, leave_out: str = "", seen: set[str] | None = None) -> Iterator["os.DirEntry[str]"]:
    """Yield every visible file below a folder: those of a folder by name, then those of its subfolders.

    Links to folders are followed, each real folder once. `entry.path` begins with the root as it was given.

    Args:
        root: the folder.
        leave_out: the resolved path of a subfolder to skip.
        seen: resolved paths of folders that earlier walks visited; this walk adds its own.

    Raises:
        SerError: a folder cannot be listed.
    """
    seen = set() if seen is None else seen
    pending = [(os.fspath(root), os.path.realpath(root))]
    while pending:
        folder, real = pending.pop()
        if real in seen or real == leave_out:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as entries:
                visible = sorted((e for e in entries if is_visible(e.name)), key=lambda entry: entry.name)
        except OSError as error:
            raise SerError(f"{folder} cannot be read: {error.strerror}; change its permissions.") from None
        folders = {
            entry.path: os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(real, entry.name)  # noqa: PTH118
            for entry in visible
            if _is_folder(entry)
        }
        pending += sorted(folders.items(), reverse=True)
        yield from (entry for entry in visible if entry.path not in folders)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def odd_name(path: Path) -> str:
    """Return the error message for a path that is not UTF-8; "" for any other path."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return f"{path} has a name that is not UTF-8; rename it."
    return ""


def write_atomic(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Write under a temporary name in the same folder, then rename: a reader sees the old file or the new one.

    Args:
        path: the file; its folder is made if it is missing.
        content: bytes, text, or a function that writes to the path it is called with.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{_cut(path.name)}.{secrets.token_hex(4)}.tmp")  # matches _TEMPORARY
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)  # noqa: PTH105 - the one call that is atomic everywhere
    except OSError as error:
        # Raise with the name that the user knows; numpy sets no errno if it could not write everything.
        number = errno.ENOSPC if error.errno is None else error.errno
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        with suppress(OSError):  # the disk may fail again
            temporary.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, however deep; `Path.mkdir` recurses."""
    missing = takewhile(lambda path: not path.is_dir(), (folder, *folder.parents))
    for path in reversed(list(missing)):
        path.mkdir(exist_ok=True)


def _cut(name: str) -> str:
    """Return as much of a file name as fits into a temporary name that is no longer than the longest name."""
    return os.fsencode(name)[:_LONGEST].decode(errors="ignore")


def refuse_others(folder: Path, own: Set[str], what: str) -> None:
    """Refuse to write to a folder that holds other files and none of those that ser writes there.

    Args:
        folder: the value of --out; it need not exist.
        own: names of files of which one shows that the folder is the right one.
        what: what the folder may hold, such as "a study".

    Raises:
        SerError: it is such a folder, or a file.
    """
    if folder.exists() and not folder.is_dir():
        raise SerError(f"{folder} is not a folder; choose another --out.")
    names = visible_names(folder)
    if names and not names & own:
        raise SerError(f"{folder} holds something other than {what}; choose another --out.")


def refuse_links(*paths: Path) -> None:
    """Raise if one of the files of an output folder is a link: what is written there would land in another file.

    Raises:
        SerError: there is such a link; the message names it.
    """
    for path in paths:
        if path.is_symlink():
            raise SerError(f"{path} is a link, through which ser does not write; remove it, or choose another --out.")


def refuse_pipes(paths: Iterable[Path]) -> None:
    """Raise if something in place of a file is neither a file nor a folder: reading a pipe may wait for ever.

    Raises:
        SerError: there is such a path; the message names it.
    """
    for path in paths:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SerError(f"{path} is a pipe or a device, which ser does not read there; replace it with a file.")


def refuse_links_out(folder: Path) -> None:
    """Raise if a folder contains a pipe, or a link to a folder outside of it, as writing there would leave the folder.

    Raises:
        SerError: there is such a link or pipe; the message names it.
    """
    home, pending = folder.resolve(), [folder]
    while pending:  # os.walk recurses, and a stranger's folder may be deep
        below = pending.pop()
        refuse_pipes(below.iterdir())
        for path in (path for path in below.iterdir() if path.is_dir()):
            if not path.is_symlink():
                pending.append(path)
            elif not path.resolve().is_relative_to(home):
                raise SerError(f"{path} is a link that leads out of {folder}; replace the link with the folder itself.")


def sweep(folder: Path, of: str | None = None) -> None:
    """Remove the temporary files that killed processes left in a folder.

    Args:
        folder: nobody may be writing there.
        of: remove only the temporary files of this file name; None: of all.
    """
    for path in folder.iterdir():
        found = _TEMPORARY.fullmatch(path.name)
        if found and (of is None or found[1] == _cut(of)):
            path.unlink(missing_ok=True)


@contextmanager
def readable(path: Path, advice: str) -> Iterator[None]:
    """Turn an error while one of ser's own files is read into one line.

    Args:
        path: the file.
        advice: the end of the message, with the punctuation before it.

    Raises:
        SerError: the file is missing or damaged.
    """
    try:
        yield
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerError(f"{path} cannot be read: {error}{advice}.") from None


def check_schema(what: str, found: object, schema: int, again: str) -> None:
    """Refuse a file of another version of ser.

    Args:
        what: subject and verb of the message, such as "work/run was made".
        found: the version of its format.
        schema: the version that is read.
        again: what makes it anew.

    Raises:
        SerError: with what to do.
    """
    if found != schema:
        old = isinstance(found, int) and found < schema
        age, advice = ("an older", again) if old else ("a newer", "upgrade ser")
        raise SerError(f"{what} by {age} version of ser (schema {found}, this one reads {schema}); {advice}.")


def digest(path: Path) -> str:
    """Return the digest of a file's bytes (BLAKE2b, 16 bytes in hexadecimal), kept while its size and time stay."""
    state = path.stat()
    return _digest(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1 << 14)
def _digest(path: Path, _changed_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")
