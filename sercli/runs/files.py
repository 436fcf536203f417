"""The files of a run directory beside run.json and the weights: split, history, arrays and predictions."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from sercli._system import arrays
from sercli._system.files import write_atomic, write_json
from sercli.errors import SerError
from sercli.types import Array, EpochResult, Predictions, Split


def write_split(folder: Path, split: Split) -> None:
    """Write split.json."""
    write_json(folder / "split.json", split)


def read_split(folder: Path) -> Split:
    """Read split.json.

    Raises:
        SerError: missing or damaged.
    """
    path = folder / "split.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Split)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(path, error) from None


def write_history(folder: Path, history: Sequence[EpochResult]) -> None:
    """Write history.jsonl, one epoch a line."""
    write_atomic(folder / "history.jsonl", msgspec.json.Encoder().encode_lines(history))


def read_history(folder: Path) -> list[EpochResult]:
    """Read history.jsonl.

    Raises:
        SerError: missing or damaged.
    """
    path = folder / "history.jsonl"
    try:
        return msgspec.json.Decoder(EpochResult).decode_lines(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def write_arrays(path: Path, named: Mapping[str, Array]) -> None:
    """Write named arrays as .npz, without pickle."""
    arrays.write(path, named)


def read_arrays(path: Path) -> dict[str, Array]:
    """Read the arrays that `write_arrays` wrote.

    Raises:
        SerError: missing or damaged.
    """
    try:
        return arrays.read(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged, no arrays in it"
        raise _unreadable(path, reason) from None


def write_predictions(folder: Path, part: str, predictions: Predictions) -> None:
    """Write predictions/PART.csv: id, truth, prediction, then the probability of each class, unrounded.

    Where a member of an ensemble had no input, its probabilities are nan and its prediction is empty.
    """
    text = io.StringIO()
    # All text in quotes: by default, csv writes an id with a carriage return so that it is read as two table rows.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["id", "truth", "prediction", *predictions.labels])
    truth = predictions.truth or ("",) * len(predictions.ids)
    for name, true, probs in zip(predictions.ids, truth, predictions.probs, strict=True):
        label = "" if np.isnan(probs).any() else predictions.labels[int(probs.argmax())]
        writer.writerow([name, true, label, *map(float, probs)])
    write_atomic(folder / "predictions" / f"{part}.csv", text.getvalue())


def read_predictions(folder: Path, part: str) -> Predictions:
    """Read the predictions that `write_predictions` wrote.

    Raises:
        SerError: missing or damaged.
    """
    path = folder / "predictions" / f"{part}.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file))
        if header[:3] != ["id", "truth", "prediction"] or any(len(row) != len(header) for row in rows):
            raise ValueError("not a table of predictions")
        probs = np.array([[float(p) for p in row[3:]] for row in rows], dtype=np.float64)
        probs = probs.reshape(len(rows), len(header) - 3)
        ids, truth = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise SerError(f"{path} cannot be read: {error}. Give --data, or train the run again.") from None
    return Predictions(ids, tuple(header[3:]), probs, truth if any(truth) else None)


def _unreadable(path: Path, reason: object) -> SerError:
    return SerError(f"{path} cannot be read: {reason}. Train the run again, or copy it again.")
