"""Optuna studies in a file or a database: opened, checked, and their errors in one line."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import optuna
import sqlalchemy.exc  # Optuna uses it for databases and does not wrap its errors
from optuna.distributions import BaseDistribution, check_distribution_compatibility

from sercli import config
from sercli._system import locks
from sercli._system.files import readable, refuse_links, write_json
from sercli.config import Section
from sercli.errors import MismatchError, SerError, reason

HEARTBEAT_S = 60
PATIENCE_S = 60
"""How long another program may lock a study's file before a command gives up."""

_DATABASE = "study.db"
_OWNER = "study.json"
_MALFORMED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
)  # raised while Optuna decodes
_ANOTHER = "choose another --out or --storage."


@dataclass(frozen=True)
class Place:
    """Where a study is stored."""

    url: str
    file: Path | None  # the file in --out; None: the URL was given with --storage

    @classmethod
    def of(cls, out: Path, storage: str | None) -> "Place":
        """Return the place of a study: a given storage URL, or else a file in the folder of --out.

        Raises:
            SerError: the file is a link.
        """
        if storage is not None:
            return cls(storage, None)
        out.mkdir(parents=True, exist_ok=True)
        file = out.resolve() / _DATABASE
        refuse_links(file, *(file.with_name(f"{_DATABASE}-{end}") for end in ("journal", "wal", "shm")))
        return cls(f"sqlite:///{file}", file)

    def __str__(self) -> str:
        """Return the place as the user knows it."""
        return str(self.file) if self.file else f"--storage {self.url}"


def claim(out: Path, name: str, settings: Section) -> None:
    """Make an output folder that of one study, whose best.json and trials.png it holds.

    Raises:
        MismatchError: it is that of another study.
    """
    path = out / _OWNER
    if not path.exists():
        write_json(path, {"name": name, "settings": settings})
        return
    with readable(path, "; remove it, or choose another --out"):
        old = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    if old.get("name") != name:
        raise MismatchError(f"{out} holds the study '{old.get('name')}'; choose another --out for '{name}'.")
    _compare(name, old.get("settings"), settings)


def open_study(place: Place, name: str) -> optuna.Study:
    """Open a study, or start it.

    Raises:
        SerError: it cannot be opened, is locked by another program, or holds trials that cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # Without a heartbeat the trials of a killed process would be "running" for ever. They count as failed, and
            # the study goes on until enough others have finished.
            patience = {"connect_args": {"timeout": PATIENCE_S}} if place.url.startswith("sqlite:") else {}
            storage = optuna.storages.RDBStorage(place.url, patience, heartbeat_interval=HEARTBEAT_S)
        study = optuna.create_study(
            study_name=name, storage=storage, direction="maximize", load_if_exists=True, pruner=pruner()
        )
    except (
        *(ValueError, ImportError, OSError, RuntimeError, sqlalchemy.exc.SQLAlchemyError),
        optuna.exceptions.StorageInternalError,
    ) as error:
        _refuse_locked(place, error)
        advice = (
            "correct that, or choose another --out" if place.file else "give an Optuna storage URL, or leave it out"
        )
        raise SerError(f"{place} cannot be opened ({_reason(error)}); {advice}.") from None
    return study


def pruner() -> optuna.pruners.BasePruner:
    """Return what ends trials early: worse than the median of the others at the same epoch."""
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5)


def check(study: optuna.Study, place: Place, settings: Section, space: Mapping[str, BaseDistribution]) -> None:
    """Refuse a study of other settings, or one whose trials this version of ser did not make; note the settings.

    Args:
        study: an open one.
        place: where it is stored.
        settings: of the search.
        space: parameter -> values that the search chooses from.

    Raises:
        MismatchError: the study was started with other settings.
        SerError: its trials cannot be read or have other parameters.
    """
    with storage_errors(place):
        try:
            old, trials, directions = study.user_attrs.get("settings"), study.get_trials(), study.directions
        except _MALFORMED as error:
            raise SerError(f"{place} holds a study that cannot be read ({_reason(error)}); {_ANOTHER}") from None
        if directions != [optuna.study.StudyDirection.MAXIMIZE]:
            raise SerError(f"{place} holds a study that does not maximise one value; {_ANOTHER}")
        for trial in trials:
            _check_trial(place, trial, space)
        if old is None:
            study.set_user_attr("settings", settings)
        else:
            _compare(study.study_name, old, settings)


def _check_trial(place: Place, trial: optuna.trial.FrozenTrial, space: Mapping[str, BaseDistribution]) -> None:
    value: object = trial.value  # as the database has it
    if trial.state == optuna.trial.TrialState.COMPLETE and not (isinstance(value, float) and 0 <= value <= 1):
        raise SerError(f"{place}: trial {trial.number} has the value {value}, which is no UA from 0 to 1; {_ANOTHER}")
    for name, distribution in trial.distributions.items():
        if not name.startswith(("architecture.", "train.")):
            raise SerError(f"{place}: trial {trial.number} has a parameter '{name}' that no search has; {_ANOTHER}")
        try:
            check_distribution_compatibility(space.get(name, distribution), distribution)
        except ValueError:
            raise SerError(
                f"{place}: trial {trial.number} chose '{name}' from other values than this search; {_ANOTHER}"
            ) from None


def _compare(name: str, old: object, settings: Section) -> None:
    found = config.differences(old if isinstance(old, Mapping) else {}, settings)
    if found:
        raise MismatchError(
            f"The study '{name}' was started with other settings: {'; '.join(found)}. "
            "Repeat the settings to resume it, or choose another --out or --storage."
        )


@contextmanager
def storage_errors(place: Place) -> Iterator[None]:
    """Turn errors of the database, such as a full disk, into one line."""
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        _refuse_locked(place, error)
        raise SerError(
            f"The study in {place.url} cannot be used ({_reason(error)}); correct that, then repeat the command, which "
            "resumes it."
        ) from None


def _refuse_locked(place: Place, error: Exception) -> None:
    """Raise a SerError that names who has locked a study's file, if that is the error."""
    if "database is locked" not in _reason(error):
        return
    file = place.file or Path(place.url.removeprefix("sqlite:///").partition("?")[0])
    who = locks.holders(file) or "another program"
    raise SerError(
        f"{file} has been locked by {who} for {PATIENCE_S:g} s; wait until that has ended, "
        "then repeat the command, which resumes the study."
    ) from None


def _reason(error: Exception) -> str:
    return reason(error.__cause__ or error)
