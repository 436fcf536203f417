"""The run directory: everything that predict needs, each file written atomically.

run.json has a run's settings and state, and beside it are its split, history, arrays and predictions. A
cross-validation is a directory of run directories.
"""

import csv
import hashlib
import io
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from sercli import __version__
from sercli._system import arrays, locks
from sercli._system.files import (
    check_schema,
    digest,
    readable,
    refuse_links_out,
    sweep,
    visible_names,
    write_atomic,
    write_json,
)
from sercli.config import differences
from sercli.errors import MismatchError, SerError
from sercli.runs.settings import RunSettings
from sercli.types import Array, EpochResult, Modality, NonNegativeInt, Positive, Predictions, Split

SCHEMA = 2

CROSS_VALIDATION: Final = "cross-validation"
"""The kind of a directory that holds a run for each fold and seed."""
REFIT: Final = "refit"
"""The run in such a directory that was trained on the utterances of all folds."""

_LOCK = "run"
_DIGESTED = ("*.json", "*.npz", "*.safetensors", "predictions/*.csv")
_NOT_DIGESTED = ("run.json", "resume.safetensors")
_MOST_NAMED = 4  # settings that a refusal names; those of another model differ in twenty
_AGAIN = ". Train the run again, or copy it again"


@dataclass(frozen=True)
class RunInfo:
    """The content of run.json."""

    kind: Literal["model", "ensemble", "cross-validation"]
    name: str  # of the preset or the rule
    status: str  # training | finished
    labels: tuple[str, ...]
    modality: Modality
    settings: RunSettings
    data: str  # folder of the dataset; for information only, prediction does not need it
    n_features: NonNegativeInt = 0
    best_epoch: int | None = None  # epoch of the weights; None: no network was trained
    temperature: Positive = 1.0  # of the probabilities, measured on the validation part
    # (K, K) for adaptation: how an utterance of each class scores, measured on the validation part; None: not known
    class_scores: tuple[tuple[float, ...], ...] | None = None
    train_counts: dict[str, int] = field(default_factory=dict)  # label -> utterances of the train part
    languages: tuple[str, ...] = ()  # codes of those of the texts it was trained on; empty: not known, or no text
    versions: dict[str, str] = field(default_factory=dict)
    hardware: str = ""  # that its network was trained on; a cross-validation's runs have their own
    command: str = ""  # that made it, or resumed it; "": another program than `ser` did
    schema: int = SCHEMA
    files: dict[str, str] = field(default_factory=dict)  # name -> digest, of the files of a finished run
    digest: str = ""  # of the other fields, see `_record`; "": not finished, or by a version that wrote none

    @property
    def words(self) -> str:
        """Whose transcripts the run was trained on: `HUMAN`, or the name of a recogniser."""
        return self.settings.data.words


_FIELDS = {f.name for f in fields(RunInfo)}


@dataclass(frozen=True)
class FoldRun:
    """One run of a cross-validation."""

    fold: int  # counted from 1
    seed: int
    folder: Path


def fold_runs(folder: Path, settings: RunSettings) -> tuple[FoldRun, ...]:
    """The runs of a cross-validation, seed by seed: FOLDER/fold-1/seed-0, FOLDER/fold-2/seed-0, ..."""
    return tuple(
        FoldRun(fold, seed, folder / f"fold-{fold}" / f"seed-{seed}")
        for seed in settings.seeds
        for fold in range(1, settings.split.n_folds + 1)
    )


def load_info(folder: Path) -> RunInfo:
    """Read run.json.

    Raises:
        SerError: no run there, damaged, changed since it was finished, or made by another version.
    """
    path = folder / "run.json"
    if not path.is_file():
        remedy = "make one with `ser train` or `ser ensemble`"
        if inner := min(folder.glob("*/run.json"), default=None):
            remedy = f"give a run in it, such as {inner.parent}; `ser evaluate --all {folder}` takes them all"
        raise SerError(f"{folder} is not a run directory (no run.json); {remedy}.")
    refuse_links_out(folder)
    with readable(path, _AGAIN):
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        check_schema(f"{folder} was made", content.get("schema", SCHEMA), SCHEMA, "train the run again")
        info = msgspec.convert(content, RunInfo)
    for name in sorted(content.keys() - _FIELDS):
        raise SerError(f"{path} has an unknown field `{name}`; upgrade ser, or train the run again.")
    if info.digest:
        written = {folder / name: found for name, found in info.files.items() if (folder / name).is_file()}
        changed = (file for file in written if digest(file) != written[file])
        if file := path if _record(content) != info.digest else next(changed, None):
            raise SerError(f"{file} was changed after the run was finished{_AGAIN}.")
    return info


def load_finished(folder: Path) -> RunInfo:
    """Read run.json of a run that must be complete.

    Raises:
        SerError: as `load_info`, or the run is not finished.
    """
    info = load_info(folder)
    if info.status != "finished":
        raise SerError(
            f"{folder} is not finished (status '{info.status}'); repeat the command that started it, which resumes it."
        )
    return info


def load_single(folder: Path) -> RunInfo:
    """Read run.json of a complete run that can predict by itself.

    Raises:
        SerError: as `load_finished`, or it is a cross-validation, which holds several runs.
    """
    info = load_finished(folder)
    if info.kind == CROSS_VALIDATION:
        refit, first = folder / REFIT, fold_runs(folder, info.settings)[0].folder
        one = f"{refit}, which was trained on all" if (refit / "run.json").exists() else first
        raise SerError(f"{folder} holds a run for each fold; choose one of them, such as {one}.")
    return info


def check_labels(folders: Sequence[Path], infos: Sequence[RunInfo]) -> None:
    """Refuse runs with different label sets.

    Raises:
        MismatchError: naming the first two runs that differ.
    """
    for folder, info in zip(folders[1:], infos[1:], strict=True):
        if info.labels != infos[0].labels:
            raise MismatchError(
                f"{folders[0]} and {folder} have different labels: {', '.join(infos[0].labels)} against "
                f"{', '.join(info.labels)}; train both on one prepared dataset."
            )


def write_info(folder: Path, info: RunInfo) -> None:
    """Write run.json with the versions of the packages that made the run, and the command."""
    versions = {"ser": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "soundfile", "librosa", "nltk"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    program = Path(sys.argv[0])
    ours = program.stem == "ser" or program.parent.name == "sercli"
    write_record(folder, replace(info, versions=versions, command=shlex.join(["ser", *sys.argv[1:]]) if ours else ""))


def write_record(folder: Path, info: RunInfo) -> None:
    """Write run.json as it is; that of a finished run with the digests of its files and its own."""
    if info.status == "finished":
        paths = sorted(path for kind in _DIGESTED for path in folder.glob(kind) if path.name not in _NOT_DIGESTED)
        info = replace(info, files={path.relative_to(folder).as_posix(): digest(path) for path in paths})
        content = msgspec.json.decode(msgspec.json.encode(info), type=dict[str, object])
        info = replace(info, digest=_record(content))
    write_json(folder / "run.json", info)


def _record(content: Mapping[str, object]) -> str:
    """Return the digest of run.json's content, without the folder of the dataset, which may move, and the command."""
    kept = {name: value for name, value in content.items() if name not in ("data", "command", "digest")}
    return hashlib.blake2b(msgspec.json.encode(kept, order="sorted"), digest_size=16).hexdigest()


def start(folder: Path, info: RunInfo) -> RunInfo:
    """Start a run, or resume one with the same settings; return its current info.

    Returns:
        the run's current info: status "finished" when nothing is left to do.

    Raises:
        MismatchError: the folder holds a run with other settings; the differences are named.
        SerError: the folder holds something else.
    """
    if not (folder / "run.json").exists():
        check_free(folder)
        write_info(folder, info)
        return info
    old = load_info(folder)
    before, now = ({"kind": i.kind, **i.settings.to_dict()} for i in (old, info))
    if found := sorted(differences(before, now), key=lambda one: not one.startswith(("kind ", "model"))):
        more = f"; and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise MismatchError(
            f"{folder} holds a run with other settings: {'; '.join(found[:_MOST_NAMED])}{more}. "
            "Repeat the settings to resume it, or choose another --out."
        )
    return old


@contextmanager
def started(folder: Path, info: RunInfo) -> Iterator[RunInfo]:
    """`start` a run and lock out other processes until the context ends; a finished run needs no lock.

    Raises:
        HeldError: another process is training it.
        SerError: as `start`.
    """
    if not (folder / "run.json").exists():
        check_free(folder)  # before the lock, whose file must not be created in somebody else's folder
    elif (old := start(folder, info)).status == "finished":
        yield old
        return
    with locks.alone(folder, _LOCK):
        sweep(folder)
        yield start(folder, info)
    locks.forget(folder, _LOCK)


def check_free(folder: Path) -> None:
    """Refuse a folder that is not empty for a new run.

    Raises:
        SerError: the folder is not empty, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or visible_names(folder)):
        raise SerError(f"{folder} exists and is not a run directory; choose another --out.")


def check_there(folder: Path) -> None:
    """Refuse to write to a run whose directory was removed meanwhile; that would leave an incomplete run.

    Raises:
        SerError: the directory was moved or removed.
    """
    if not (folder / "run.json").exists():
        raise SerError(f"{folder} was moved or removed while it was being written to; repeat the command.")


def write_split(folder: Path, split: Split) -> None:
    """Write split.json."""
    write_json(folder / "split.json", split)


def read_split(folder: Path) -> Split:
    """Read split.json.

    Raises:
        SerError: missing or damaged.
    """
    path = folder / "split.json"
    with readable(path, _AGAIN):
        return msgspec.json.decode(path.read_bytes(), type=Split)


def write_history(folder: Path, history: Sequence[EpochResult]) -> None:
    """Write history.jsonl, one epoch a line."""
    write_atomic(folder / "history.jsonl", msgspec.json.Encoder().encode_lines(history))


def read_history(folder: Path) -> list[EpochResult]:
    """Read history.jsonl.

    Raises:
        SerError: missing or damaged.
    """
    path = folder / "history.jsonl"
    with readable(path, _AGAIN):
        return msgspec.json.Decoder(EpochResult).decode_lines(path.read_bytes())


def read_arrays(path: Path) -> dict[str, Array]:
    """Read the named arrays of an .npz.

    Raises:
        SerError: missing or damaged.
    """
    try:
        return arrays.read(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged, no arrays in it"
        raise SerError(f"{path} cannot be read: {reason}{_AGAIN}.") from None


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
