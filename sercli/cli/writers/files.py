"""Names of the output files, one for each recording."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sercli.cli.writers.formats import Format
from sercli.errors import SerError

if TYPE_CHECKING:
    from sercli.types import Recording

_FILES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".srt": "srt", ".vtt": "vtt"}
"""Suffix -> format of a single file of --out."""

_OTHERS = frozenset({".tsv", ".txt", ".xlsx", ".xls", ".ods", ".parquet", ".xml", ".html", ".pdf", ".md", ".ass"})

STDIN = Path("-")
"""The path that stands for a recording on standard input."""

MIC = Path("mic")
"""The path that stands for a microphone."""

_UNNAMED = {str(STDIN): Path("stdin"), str(MIC): MIC}  # name of the recording -> that of its file


def single_file(out: Path) -> str | None:
    """Return the format of --out if it is a single file for all recordings; None: a folder.

    Raises:
        SerError: it is called like a file, of a format that is none for all recordings.
    """
    if out.is_dir():
        return None
    if out.suffix.lower() in _OTHERS:
        raise SerError(f"--out {out} is no folder's name, and one file for all ends in {', '.join(_FILES)}; rename it.")
    return _FILES.get(out.suffix.lower())


def targets(recordings: "Sequence[Recording]", given: Sequence[Path], out: Path, form: Format) -> dict[str, Path]:
    """Return the file of each recording, by the recording's name, below the folder of --out.

    The file has the recording's name with the format's suffix added: a recording from a folder keeps its path below
    that folder, one from a pattern its path below the pattern's fixed part, a file its own name. Where two would have
    the same name, parent folders are added to both until they differ. For players the suffix takes the place of the
    recording's own, unless two recordings differ by it alone. Otherwise a name does not depend on other recordings, so
    that a second run finds the files of the first one.

    Args:
        recordings: in any order.
        given: the paths, folders and patterns by which they were found.
        out: the folder.
        form: the format.
    """
    at = {r.name: Path(os.path.abspath(r.path)) for r in recordings if r.path and r.name != str(STDIN)}  # noqa: PTH100
    bases = {path: _base(path, given) for path in at.values()}
    while alike := _alike(bases):
        bases |= {path: bases[path].parent for path in alike}
    names = {
        r.name: at[r.name].relative_to(bases[at[r.name]]) if r.name in at else _UNNAMED[r.name] for r in recordings
    }
    used = Counter(path for file in names.values() for path in (file, file.with_suffix("")))
    if form.for_players:
        names |= {name: bare for name, file in names.items() if used[bare := file.with_suffix("")] == 1}
    return {name: out / f"{file}{form.suffix}" for name, file in names.items()}


def _alike(bases: dict[Path, Path]) -> list[Path]:
    """Return the recordings whose file names clash."""
    called: dict[Path, list[Path]] = {}
    for path, base in bases.items():
        called.setdefault(path.relative_to(base), []).append(path)
    return [path for alike in called.values() if len(alike) > 1 for path in alike]


def _base(path: Path, given: Sequence[Path]) -> Path:
    """The folder that the name of a recording starts from."""
    from sercli.audio import discovery

    for one in given:
        fixed = Path(os.path.abspath(discovery.fixed_part(one)))  # noqa: PTH100
        if path == fixed:
            return path.parent
        if path.is_relative_to(fixed):
            return fixed
    return path.parent
