"""Plug-ins, found by their kind and name.

Those of ser are the files of a folder; another package adds its own by an entry point of the group `sercli.corpora`,
`sercli.features`, `sercli.asr`, `sercli.architectures` or `sercli.ensembles`. A plug-in is imported when it is first
looked up.
"""

import importlib
import pkgutil
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import cast

from sercli.contracts import (
    Architecture,
    Corpus,
    Feature,
    FusionRule,
    LearnsFromPredictions,
    ListsRecordings,
    Recogniser,
    TrainsNetwork,
)
from sercli.errors import SerError, no_such

# Of each kind: what messages call it, its folder (the group of entry points is `sercli.FOLDER`), and its contract.
_KINDS: dict[str, tuple[str, str, type]] = {
    "corpus": ("corpus", "corpora", Corpus),
    "feature": ("feature", "features", Feature),
    "architecture": ("architecture", "architectures", Architecture),
    "ensemble": ("fusion rule", "ensembles", FusionRule),
    "asr": ("recogniser", "asr", Recogniser),
}


def names(kind: str) -> tuple[str, ...]:
    """Return the names of all plug-ins of a kind, sorted, without importing one."""
    return tuple(sorted(_providers(kind)))


def learns(rule: FusionRule) -> bool:
    """Whether a fusion rule has a state, which is learned from data."""
    return isinstance(rule, LearnsFromPredictions | TrainsNetwork)


def lacking(kind: str, plugin: object) -> list[str]:
    """Return what a plug-in lacks of its kind's contract: the names of constants, classes and functions."""
    _, _, contract = _KINDS[kind]
    needed = [*contract.__annotations__, *(name for name in vars(contract) if not name.startswith("_"))]
    return [name for name in needed if not hasattr(plugin, name)]


@cache
def load(kind: str, name: str) -> object:
    """Import one plug-in.

    Raises:
        SerError: no plug-in of this kind has this name, two packages have one, it cannot be imported, or it lacks
            something of its contract.
    """
    word, _, contract = _KINDS[kind]
    found = _providers(kind).get(name, {})
    if not found:
        raise SerError(no_such(word, name, names(kind)))
    if len(found) > 1:
        raise SerError(
            f"The packages {' and '.join(sorted(found))} each have a {word} '{name}'; uninstall one of them."
        )
    ((package, import_it),) = found.items()
    try:
        plugin = import_it()
    except (ImportError, AttributeError) as error:
        raise SerError(f"The {word} '{name}' of the package {package} cannot be imported: {error}.") from error
    if package != "sercli" and (missing := lacking(kind, plugin)):
        raise SerError(
            f"The {word} '{name}' of the package {package} lacks {', '.join(missing)}; add what the protocol "
            f"{contract.__name__} in sercli/contracts.py describes."
        )
    return plugin


# Each returns the plug-in of a name; an unknown name raises a SerError that lists all.
corpus = cast(Callable[[str], Corpus], partial(load, "corpus"))
feature = cast(Callable[[str], Feature], partial(load, "feature"))
architecture = cast(Callable[[str], Architecture], partial(load, "architecture"))
fusion_rule = cast(Callable[[str], FusionRule], partial(load, "ensemble"))
recogniser = cast(Callable[[str], Recogniser], partial(load, "asr"))


def table() -> ListsRecordings:
    """Return the corpus that is a table of one's own."""
    plugin = corpus("table")
    assert isinstance(plugin, ListsRecordings)
    return plugin


@cache
def _providers(kind: str) -> dict[str, dict[str, Callable[[], object]]]:
    """Return the plug-ins of a kind: name -> package that has it -> function that imports it."""
    found: dict[str, dict[str, Callable[[], object]]] = defaultdict(dict)
    _, folder, _ = _KINDS[kind]
    for module in pkgutil.iter_modules([str(Path(__file__).parent / folder)]):
        if not module.name.startswith("_"):
            import_it = partial(importlib.import_module, f"sercli.{folder}.{module.name}")
            found[module.name.replace("_", "-")]["sercli"] = import_it
    if _others_installed():
        from importlib.metadata import entry_points

        for entry in entry_points(group=f"sercli.{folder}"):
            found[entry.name][entry.dist.name if entry.dist else entry.value] = entry.load
    return dict(found)


@cache
def _others_installed() -> bool:
    """Return whether any package has an entry point for ser; this takes 2 ms, importlib.metadata would take 25."""
    found = (path for folder in sys.path for path in Path(folder).glob("*.*-info/entry_points.txt"))
    return any(b"[sercli." in path.read_bytes() for path in found)
