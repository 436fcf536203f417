"""Predictions as a database in audformat: db.yaml and the table `emotion`, a row for each utterance."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from sercli import __version__
from sercli._system import packages
from sercli.errors import SerError
from sercli.types import UNSURE, Prediction

HEADER = "db.yaml"


def write(predictions: Iterable[Prediction], labels: Sequence[str], folder: Path) -> None:
    """Write predictions into a folder, the header last.

    Args:
        predictions: of all recordings; they are held in memory.
        labels: all that a prediction can have.
        folder: without a database.

    Raises:
        SerError: one stretch of a recording is there twice, which the format cannot hold.
    """
    audformat = packages.load("audformat")
    every = list(predictions)
    found = dict.fromkeys((str(Path(p.path).absolute()), p.start_s, p.end_s) for p in every)
    if len(found) < len(every):
        raise SerError("A stretch of a recording is there twice, which audformat cannot hold; leave one out.")
    files, starts, ends = zip(*found, strict=True) if found else ((), (), ())
    database = audformat.Database("predictions", source=f"sercli {__version__}", usage=audformat.define.Usage.OTHER)
    database.schemes["emotion"] = audformat.Scheme(labels=[*labels, UNSURE])
    database.schemes["probability"] = audformat.Scheme("float", minimum=0, maximum=1)
    database.schemes["text"] = audformat.Scheme("str")
    columns: dict[str, tuple[str, list[object]]] = {
        "emotion": ("emotion", [p.label for p in every]),
        "confidence": ("probability", [p.confidence for p in every]),
        **{f"probability.{name}": ("probability", [p.probabilities.get(name) for p in every]) for name in labels},
        **{name: ("text", [getattr(p, name) for p in every]) for name in ("speaker", "text", "reason")},
    }
    seconds = [[f"{value}s" for value in times] for times in (starts, ends)]
    table = audformat.Table(audformat.segmented_index(list(files), *seconds))
    database["emotion"] = table
    for name, (scheme, values) in columns.items():
        table[name] = audformat.Column(scheme_id=scheme)
        table[name].set(values)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as made:
        database.save(made, storage_format="csv")
        for path in sorted(Path(made).iterdir(), key=lambda path: path.name == HEADER):
            path.replace(folder / path.name)
