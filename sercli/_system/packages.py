"""Weights that come as an installed package: found without importing it, and checked by their hash."""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from sercli.errors import SerError


@cache
def checked(module: str, file: str, sha256: str, *, what: str, install: str) -> Path:
    """A package's file of weights, its content checked once a process: it is a small third party's upload.

    Args:
        module: the package as it is imported.
        file: the weights, below the package's own folder.
        sha256: of their content, as it was tested with.
        what: the weights are, as a message calls them.
        install: the command that installs the package.

    Raises:
        SerError: not installed, unreadable, or another content.
    """
    package = importlib.util.find_spec(module)
    if package is None or package.origin is None:
        raise SerError(f"{what} not installed; run: {install}")
    weights = Path(package.origin).parent / file
    again = f"run: {install} --force-reinstall"
    try:
        with weights.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise SerError(f"{weights}: {error.strerror}; {again}") from None
    if digest != sha256:
        raise SerError(
            f"{weights} is not the file that ser was tested with (SHA-256 {digest[:16]}…, not {sha256[:16]}…); {again}"
        )
    return weights
