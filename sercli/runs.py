"""The run directory: all that predict needs, written file by file, each whole or not at all."""

import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from sercli import __version__
from sercli._system import arrays, locks
from sercli._system.files import refuse_links_out, sweep, visible_names, write_atomic, write_json
from sercli.config import differences
from sercli.errors import MismatchError, SerError
from sercli.types import HUMAN, Array, NonNegativeInt, Positive, Predictions, Split

SCHEMA = 2
PARTS = ("valid", "test")
_LOCK = "run"


@dataclass(frozen=True)
class RunInfo:
    """What run.json says."""

    kind: Literal["model", "ensemble", "cross-validation"]
    name: str  # of the preset or the rule
    status: str  # training | finished
    labels: tuple[str, ...]
    modality: Literal["acoustic", "linguistic", "both"]
    settings: dict[str, Any]  # all that the command decided: the same settings make the same run
    data: str  # where the dataset lay; only a hint, nothing of it is needed to predict
    n_features: NonNegativeInt = 0
    best_epoch: int | None = None
    temperature: Positive = 1.0  # that the probabilities are tempered with, from the validation part
    train_counts: dict[str, int] = field(default_factory=dict)  # label -> utterances of the train part
    versions: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def words(self) -> str:
        """Whose transcripts the run was trained on: `HUMAN`, or a recogniser's name."""
        return str(self.settings["data"].get("words", HUMAN))


@dataclass(frozen=True)
class _Data:
    corpus: str
    manifest_sha256: str


@dataclass(frozen=True)
class _Split:
    kind: str
    leaky: bool


@dataclass(frozen=True)
class _Sections:
    """What the settings of every run must have, whatever else there is."""

    data: _Data
    split: _Split
    train: dict[str, Any]


@dataclass(frozen=True)
class _Folds(_Split):
    n_folds: Annotated[int, Meta(ge=1, le=10_000)]


@dataclass(frozen=True)
class _Seeds:
    seeds: Annotated[tuple[int, ...], Meta(min_length=1, max_length=10_000)]


@dataclass(frozen=True)
class _Repeated(_Sections):
    """What those of a cross-validation must have."""

    split: _Folds
    run: _Seeds


CROSS_VALIDATION: Final = "cross-validation"
"""The kind of a directory that holds a run for each fold and seed."""


@dataclass(frozen=True)
class FoldRun:
    """One run of a cross-validation."""

    fold: int  # counted from 1
    seed: int
    folder: Path


def fold_run_folder(folder: Path, fold: int, seed: int) -> Path:
    """Where one run of a cross-validation lies."""
    return folder / f"fold-{fold}" / f"seed-{seed}"


def fold_runs(folder: Path, n_folds: int, seeds: Sequence[int]) -> tuple[FoldRun, ...]:
    """Where the runs of a cross-validation lie, seed by seed: FOLDER/fold-1/seed-0, FOLDER/fold-2/seed-0, ..."""
    return tuple(
        FoldRun(fold, seed, fold_run_folder(folder, fold, seed)) for seed in seeds for fold in range(1, n_folds + 1)
    )


def fold_runs_of(folder: Path, info: RunInfo) -> tuple[FoldRun, ...]:
    """The runs that a finished cross-validation holds."""
    return fold_runs(folder, info.settings["split"]["n_folds"], info.settings["run"]["seeds"])


def load_info(folder: Path) -> RunInfo:
    """Read run.json.

    Raises:
        SerError: no run there, damaged, or made by a newer version.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise SerError(f"{folder} is not a run directory (no run.json); make one with `ser train` or `ser ensemble`.")
    refuse_links_out(folder)
    try:
        content: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        schema = content.get("schema", 0)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise SerError(
                f"{folder} was made by a newer version of ser (schema {schema}, this one reads up to {SCHEMA}); "
                "upgrade ser."
            )
        return msgspec.convert(content, RunInfo)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerError(f"{path} cannot be read: {error}. Train the run again, or copy it again.") from None


def load_finished(folder: Path) -> RunInfo:
    """Read run.json of a run that must be complete.

    Raises:
        SerError: as `load_info`, or the run was not finished.
    """
    info = load_info(folder)
    if info.status != "finished":
        raise SerError(
            f"{folder} is not finished (status '{info.status}'); repeat the command that started it, it goes on."
        )
    try:
        msgspec.convert(info.settings, _Repeated if info.kind == CROSS_VALIDATION else _Sections)
    except msgspec.ValidationError as error:
        raise SerError(f"{folder / 'run.json'} is damaged (settings: {error}); copy the run again.") from None
    return info


def load_single(folder: Path) -> RunInfo:
    """Read run.json of a complete run that can answer by itself.

    Raises:
        SerError: as `load_finished`, or it is a cross-validation, whose runs answer each on its own test part.
    """
    info = load_finished(folder)
    if info.kind == CROSS_VALIDATION:
        raise SerError(
            f"{folder} holds a run for each fold; choose one of them, such as {fold_runs_of(folder, info)[0].folder}."
        )
    return info


def start(folder: Path, info: RunInfo) -> RunInfo:
    """Begin a run, or take up one that the same settings began.

    Returns:
        the run's info as it stands: status "finished" when nothing is left to do.

    Raises:
        MismatchError: the folder holds a run with other settings; the differences are named.
        SerError: the folder holds something else.
    """
    if (folder / "run.json").exists():
        old = load_info(folder)
        differing = differences({"kind": old.kind, **old.settings}, {"kind": info.kind, **info.settings})
        if differing:
            raise MismatchError(
                f"{folder} holds a run with other settings: {'; '.join(differing)}. "
                "Repeat the settings to go on with it, or choose another --out."
            )
        return old
    check_free(folder)
    write_info(folder, info)
    return info


@contextmanager
def started(folder: Path, info: RunInfo) -> Iterator[RunInfo]:
    """`start` a run and keep other processes off it until the context ends; a finished one is anybody's to read.

    Raises:
        HeldError: another process is at it.
        SerError: as `start`.
    """
    if (folder / "run.json").exists():
        old = start(folder, info)
        if old.status == "finished":
            yield old
            return
    else:
        check_free(folder)  # before the lock, which would be the first file of a run in a strange folder
    with locks.alone(folder, _LOCK):
        sweep(folder)
        yield start(folder, info)
    locks.forget(folder, _LOCK)


def check_free(folder: Path) -> None:
    """Refuse a place for a new run that holds something.

    Raises:
        SerError: it does.
    """
    if folder.exists() and (not folder.is_dir() or visible_names(folder)):
        raise SerError(f"{folder} exists and is not a run directory; choose another --out.")


def check_there(folder: Path) -> None:
    """Refuse to go on with a run whose directory has gone: what would be made anew in its place is half a run.

    Raises:
        SerError: it has.
    """
    if not (folder / "run.json").exists():
        raise SerError(f"{folder} was moved or removed while it was being written to; repeat the command.")


def write_info(folder: Path, info: RunInfo) -> None:
    """Write run.json with the versions of what made it."""
    write_json(folder / "run.json", replace(info, versions=_versions()))


def write_split(folder: Path, split: Split) -> None:
    """Write split.json."""
    write_json(folder / "split.json", split)


def read_split(folder: Path) -> Split:
    """Read split.json."""
    split: Split = read_json(folder / "split.json", Split)
    return split


def read_json(path: Path, cls: Any) -> Any:
    """Read a JSON file of a run as a dataclass.

    Raises:
        SerError: missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=cls)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerError(f"{path} cannot be read: {error}. Train the run again, or copy it again.") from None


def write_arrays(path: Path, named: Mapping[str, Array]) -> None:
    """Write named arrays as .npz, without pickle."""

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **{name: np.asarray(value) for name, value in named.items()})  # type: ignore[arg-type]

    write_atomic(path, save)


def read_arrays(path: Path) -> dict[str, Array]:
    """Read what `write_arrays` wrote.

    Raises:
        SerError: missing or damaged.
    """
    try:
        return arrays.read(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged, no arrays in it"
        raise SerError(f"{path} cannot be read: {reason}. Train the run again, or copy it again.") from None


def write_predictions(folder: Path, part: str, predictions: Predictions) -> None:
    """Write predictions/PART.csv: id, truth, prediction, then the probability of each class, unrounded.

    Where a member of an ensemble had no input its probabilities are nan, and it predicted nothing.
    """
    import csv
    import io

    text = io.StringIO()
    # All text in quotes: left to itself, csv writes an id with a carriage return so that it reads as two rows.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["id", "truth", "prediction", *predictions.labels])
    truth = predictions.truth or ("",) * len(predictions.ids)
    for name, true, row in zip(predictions.ids, truth, predictions.probs, strict=True):
        said = "" if np.isnan(row).any() else predictions.labels[int(row.argmax())]
        writer.writerow([name, true, said, *map(float, row)])
    write_atomic(folder / "predictions" / f"{part}.csv", text.getvalue())


def read_predictions(folder: Path, part: str) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        SerError: missing or damaged.
    """
    import csv

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


def check_labels(folders: Sequence[Path], infos: Sequence[RunInfo]) -> None:
    """Refuse runs with different label sets.

    Raises:
        MismatchError: naming the first two runs that differ.
    """
    for folder, info in zip(folders[1:], infos[1:], strict=True):
        if info.labels != infos[0].labels:
            raise MismatchError(
                f"{folders[0]} and {folder} have other labels: {', '.join(infos[0].labels)} against "
                f"{', '.join(info.labels)}; train both on one prepared dataset."
            )


def copy_files(source: Path, target: Path, names: Sequence[str]) -> None:
    """Copy those of the named files that exist into another run directory."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (source / name).is_file():
            write_atomic(target / name, partial(shutil.copyfile, source / name))


def _versions() -> dict[str, str]:
    found = {"ser": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "soundfile", "librosa", "nltk"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
