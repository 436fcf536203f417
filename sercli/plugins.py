"""The folder is the registry: a plugin is a file in its kind's folder, found by name, imported only when asked for."""

import importlib
import pkgutil
from functools import cache
from importlib.resources import files
from types import ModuleType

from sercli.errors import SerError, no_such

_FOLDERS = {
    "corpus": "corpora",
    "feature": "features",
    "architecture": "architectures",
    "ensemble": "ensembles",
    "asr": "asr",
}


@cache
def names(kind: str) -> tuple[str, ...]:
    """All plugins of a kind, without importing one: `names("feature")` -> ("lld", "log-mel", ...)."""
    folder = str(files(f"sercli.{_FOLDERS[kind]}"))
    found = (module.name for module in pkgutil.iter_modules([folder]))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


@cache  # asked for once an utterance
def load(kind: str, name: str) -> ModuleType:
    """Import one plugin.

    Raises:
        SerError: no plugin of this kind has this name; the message lists those that have.
    """
    if name not in names(kind):
        raise SerError(no_such(kind, name, names(kind)))
    return importlib.import_module(f"sercli.{_FOLDERS[kind]}.{name.replace('-', '_')}")
