"""Packages that only an extra of ser installs."""

import importlib
from types import ModuleType

from sercli.errors import SerError


def load(name: str) -> ModuleType:
    """Import the package that the extra of the same name installs.

    Raises:
        SerError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SerError(f"{error.name} is not installed; run: pip install 'sercli[{name}]'") from None
