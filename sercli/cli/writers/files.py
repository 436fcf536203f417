"""What the file of each recording is called."""

import os
from collections.abc import Sequence
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli.batch_runner import Source

STDIN = Path("-")
"""How a recording on standard input is given."""


def targets(sources: "Sequence[Source]", given: Sequence[Path], out: Path, suffix: str) -> "dict[Source, Path]":
    """The file of each recording's answers below the folder where all of them go.

    It is called like the recording with the format's suffix added: one out of a folder as it lies below that folder,
    one out of a pattern as it lies below the pattern's fixed part, a file by its name. Where two would be called the
    same, both get the name of one more folder above them, until they differ. Nothing else about other recordings
    changes a name, so that a second run finds what a first one has done.

    Args:
        sources: recordings.
        given: the paths, folders and patterns by which they were found.
        out: the folder.
        suffix: of the format.
    """
    at = {source: Path(os.path.abspath(source.path)) for source in sources if source.name != str(STDIN)}  # noqa: PTH100
    bases = {where: _base(where, given) for where in at.values()}
    while alike := _alike(bases):
        bases |= {where: bases[where].parent for where in alike}
    names = {source: at[source].relative_to(bases[at[source]]) if source in at else "stdin" for source in sources}
    return {source: out / f"{name}{suffix}" for source, name in names.items()}


def _alike(bases: dict[Path, Path]) -> list[Path]:
    """The recordings that are called like another one."""
    called: dict[Path, list[Path]] = {}
    for where, base in bases.items():
        called.setdefault(where.relative_to(base), []).append(where)
    return [where for alike in called.values() if len(alike) > 1 for where in alike]


def _base(where: Path, given: Sequence[Path]) -> Path:
    """The folder that a recording is named from."""
    for one in given:
        plain = takewhile(lambda part: not has_magic(part), one.parts)
        fixed = Path(os.path.abspath(Path(*plain)))  # noqa: PTH100
        if where == fixed:
            return where.parent
        if where.is_relative_to(fixed):
            return fixed
    return where.parent
