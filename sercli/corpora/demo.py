"""The corpus that ships with ser: 192 clips of synthetic speech by espeak-ng, six voices, the four classes, with text.

It is for trying every command in minutes. No human spoke it, so its results say nothing about people.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sercli.corpora._files import read_rows, read_text, shown
from sercli.errors import SerError
from sercli.types import FOUR, HUMAN, Remark, Utterance

HOMEPAGE = "https://github.com/espeak-ng/espeak-ng"
LICENCE = "CC0-1.0"
LANGUAGE = "en"
LABELS: dict[str, str | None] = {label: label for label in FOUR}
SPLIT = "speakers"
FOLDS: int | None = None  # leave one voice out

_COLUMNS = ("path", "label", "speaker", "prompt", "text", "sex")
_INSTALLED = Path(__file__).parent / "demo_data"  # the wheel puts data/demo there
_CHECKOUT = Path(__file__).parents[2] / "data" / "demo"


def default_root() -> Path:
    """Return the folder of the corpus, in the installed package or in a checkout of the source.

    Raises:
        SerError: the corpus is in neither place.
    """
    for folder in (_INSTALLED, _CHECKOUT):
        if (folder / "demo.csv").is_file():
            return folder
    raise SerError(
        f"The demo corpus is neither in {_INSTALLED} nor in {_CHECKOUT}; install ser again, or give its folder as ROOT."
    )


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the clips of demo.csv, with voice, sentence, text and sex.

    Args:
        root: the folder with demo.csv, such as `default_root()`.

    Raises:
        SerError: there is no such table, it lacks a column, or it names a clip that is not there.
    """
    table = root / "demo.csv"
    if not table.is_file():
        raise SerError(f"{root} is not the demo corpus: it has no demo.csv. Leave out ROOT to use the one that ships.")
    text = yield from read_text(table)
    for line, row in read_rows(text, str(table), columns=_COLUMNS):
        if not os.path.isfile(root / row["path"]):  # noqa: PTH113 - pathlib raises for names that are too long
            raise SerError(f"{table}:{line}: path '{shown(row['path'])}' is not a file; install ser again.")
        yield _utterance(row)


def _utterance(row: dict[str, str]) -> Utterance:
    return Utterance(
        id=PurePosixPath(row["path"]).stem,
        corpus="demo",
        label=row["label"],
        speaker=row["speaker"],
        prompt=row["prompt"],
        audio=row["path"],
        transcripts={HUMAN: row["text"]},
        attributes={"sex": row["sex"]},
    )
