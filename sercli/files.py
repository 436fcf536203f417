"""Writing files whole or not at all."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec


def visible_names(folder: Path) -> set[str]:
    """What lies in a folder, hidden files aside; nothing where there is no folder."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.is_dir() else set()


def write_atomic(path: Path, content: bytes | str | Callable[[Path], Any]) -> None:
    """Write under a temporary name in the same folder, then rename: a reader sees the old file or the new one.

    Args:
        path: the file; its folder is made where it is missing.
        content: bytes, text, or a function that writes to the path that it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)  # noqa: PTH105 - the one call that is atomic everywhere
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")
