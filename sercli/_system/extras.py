"""Packages that only an extra of ser installs."""

import importlib
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
