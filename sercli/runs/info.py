"""The content of run.json, and the folders of a cross-validation's runs."""

import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import msgspec

from sercli import __version__
from sercli._system.files import refuse_links_out, write_json
from sercli.errors import MismatchError, SerError
from sercli.runs.settings import RunSettings
from sercli.types import Modality, NonNegativeInt, Positive

SCHEMA = 2

CROSS_VALIDATION: Final = "cross-validation"
"""The kind of a directory that holds a run for each fold and seed."""


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

    @property
    def words(self) -> str:
        """Whose transcripts the run was trained on: `HUMAN`, or the name of a recogniser."""
        return self.settings.data.words


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
        SerError: no run there, damaged, or made by another version.
    """
    path = folder / "run.json"
    if not path.is_file():
        remedy = "make one with `ser train` or `ser ensemble`"
        if inner := min(folder.glob("*/run.json"), default=None):
            remedy = f"give a run in it, such as {inner.parent}; `ser evaluate --all {folder}` takes them all"
        raise SerError(f"{folder} is not a run directory (no run.json); {remedy}.")
    refuse_links_out(folder)
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        _check_schema(folder, content.get("schema", SCHEMA))
        info = msgspec.convert(content, RunInfo)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerError(f"{path} cannot be read: {error}. Train the run again, or copy it again.") from None
    for name in sorted(content.keys() - {f.name for f in fields(RunInfo)}):
        raise SerError(f"{path} has an unknown field `{name}`; upgrade ser, or train the run again.")
    return info


def _check_schema(folder: Path, schema: object) -> None:
    if schema == SCHEMA:
        return
    old = isinstance(schema, int) and schema < SCHEMA
    raise SerError(
        f"{folder} was made by {'an older' if old else 'a newer'} version of ser (schema {schema}, this one reads "
        f"{SCHEMA}); {'train the run again' if old else 'upgrade ser'}."
    )


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
        first = fold_runs(folder, info.settings)[0].folder
        raise SerError(f"{folder} holds a run for each fold; choose one of them, such as {first}.")
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
    write_json(folder / "run.json", replace(info, versions=_versions(), command=_command()))


def _command() -> str:
    """The command line of this process; "" if it is not that of `ser`."""
    program = Path(sys.argv[0])
    return shlex.join(["ser", *sys.argv[1:]]) if program.stem == "ser" or program.parent.name == "sercli" else ""


def _versions() -> dict[str, str]:
    found = {"ser": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "soundfile", "librosa", "nltk"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
