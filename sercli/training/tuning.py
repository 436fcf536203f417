"""Hyperparameter search with Optuna: train and validation part only, several processes or machines on one study."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.exc  # optuna's own way to a database; it lets these errors through
from filelock import FileLock
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, Trial, TrialState

from sercli import config, plugins
from sercli._system import processes
from sercli._system.devices import pick_device
from sercli._system.files import write_json
from sercli._system.progress import no_progress
from sercli.dataset.manifest import Dataset
from sercli.errors import ConfigError, DivergedError, MismatchError, SerError
from sercli.model import feature_provider, spec
from sercli.model.feature_provider import FeatureProvider
from sercli.model.spec import ExperimentConfig
from sercli.training import experiment
from sercli.training.trainer import Trainer
from sercli.types import Split

optuna.logging.set_verbosity(optuna.logging.ERROR)  # the commands tell of trials, cli.py of errors

_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
_HEARTBEAT_S = 60
_LOOK_S = 1.0  # how often other processes' trials are looked for


@dataclass(frozen=True)
class Search:
    """What is searched: a plan to start from, and the two parts that may be seen."""

    dataset: Dataset
    plan: ExperimentConfig
    train_ids: tuple[str, ...]
    valid_ids: tuple[str, ...]
    name: str  # of the study in its storage
    identity: dict[str, Any]  # settings that make this study itself
    seed: int
    device: str


@dataclass(frozen=True)
class Outcome:
    """What a study found."""

    trials: tuple[FrozenTrial, ...]  # best first, then pruned and failed ones
    best: FrozenTrial
    importances: dict[str, float]  # parameter -> share; empty where too few trials finished


def search_of(
    dataset: Dataset,
    plan: ExperimentConfig,
    split: Split,
    *,
    seed: int,
    device: str,
    given: Iterable[str] = (),
    nested: bool = False,
) -> Search:
    """Strip a split of its test part, so that no trial can see it.

    Args:
        dataset: what is trained on.
        plan: where the search begins.
        split: of the dataset.
        seed: of the search and of each training.
        device: as `--device` has it.
        given: settings (`train.lr`) that the command fixes.
        nested: the study is one of several, a fold each, which one storage may hold.

    Raises:
        ConfigError: a given setting is one that the search chooses.
    """
    for name in sorted(set(given) & searched(plan)):
        raise ConfigError(f"--set {name} does nothing in `ser tune`, which searches that setting itself; leave it out.")
    identity = {**plan.to_dict(), **experiment.provenance(dataset, split, seed)}
    name = f"{plan.name}-fold-{split.fold}" if nested else plan.name
    return Search(dataset, plan, split.train, split.valid, name, identity, seed, device)


def searched(plan: ExperimentConfig) -> set[str]:
    """Names of the settings that a study of this plan chooses."""
    trial = optuna.create_study().ask()
    propose(trial, plan)
    return set(trial.params)


def tune(
    search: Search,
    out: Path,
    *,
    n_trials: int,
    storage: str | None = None,
    jobs: int = 1,
    rows: FeatureProvider,
    on_trial: Callable[[FrozenTrial], None],
) -> Outcome:
    """Run trials until the study has `n_trials` that finished or were pruned, then write what it found.

    Processes and machines that share a study each end the trial that they are at.

    Args:
        search: what is searched.
        out: directory of the study; best.json goes there.
        n_trials: of the whole study, those of earlier commands and of other machines counted.
        storage: an Optuna storage URL; None: SQLite in `out`.
        jobs: processes that share the study.
        rows: where features come from.
        on_trial: told of each trial that ends.

    Raises:
        MismatchError: the study was begun with other settings.
        SerError: the storage cannot be reached, or no trial finished.
    """
    if storage is None:
        out.mkdir(parents=True, exist_ok=True)
    url = storage or f"sqlite:///{(out / 'study.db').resolve()}"
    study = _open_study(search, url)
    with _told(url):
        _check_identity(study, search)
    for feature_config in search.plan.feature_configs:
        rows(search.dataset.select(search.train_ids), search.plan.model.feature, feature_config)
    with _told(url):
        if jobs == 1:
            _work(study, search, n_trials, rows, on_trial)
        else:
            _work_together(study, search, url, n_trials, jobs, on_trial)
        outcome = summarise(study)
    write_json(out / "best.json", best_sections(search.plan, outcome.best))
    return outcome


@contextmanager
def _told(url: str) -> Iterator[None]:
    """What goes wrong with the database of a study, such as a full disk, in a line."""
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0].rstrip(".")
        raise SerError(
            f"The study in {url} cannot be used ({reason}); see to it, then repeat the command, which goes on."
        ) from None


def _work_together(
    study: optuna.Study, search: Search, url: str, n_trials: int, jobs: int, on_trial: Callable[[FrozenTrial], None]
) -> None:
    """Share the study among processes, telling of each trial that one of them ends.

    Each looks at the whole study before it begins another trial, so that at most `jobs` - 1 are too many.
    """
    told = {trial.number for trial in _counted(study)}
    jobs = min(jobs, max(n_trials - len(told), 0))
    start = get_context("spawn").Process
    workers = [start(target=_worker, args=(search, url, n_trials, number)) for number in range(jobs)]
    with processes.unheard_ctrl_c():  # it is for the first process, which ends the others
        for worker in workers:
            worker.start()
    try:
        while running := [worker.sentinel for worker in workers if worker.is_alive()]:
            wait(running, _LOOK_S)
            _tell(study, told, on_trial)
    except BaseException:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        raise
    _tell(study, told, on_trial)
    if any(worker.exitcode for worker in workers):
        raise SerError("A tuning process failed; its own message stands above. Repeat the command to go on.")


def _tell(study: optuna.Study, told: set[int], on_trial: Callable[[FrozenTrial], None]) -> None:
    """Tell of the trials that ended since the last look; they need not end in the order of their numbers."""
    for trial in _counted(study):
        if trial.number not in told:
            told.add(trial.number)
            on_trial(trial)


def _counted(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=_COUNTED)


def best_sections(plan: ExperimentConfig, trial: FrozenTrial) -> dict[str, dict[str, Any]]:
    """The best trial as a configuration file for `ser train --config`."""
    sections = plan.to_dict()
    for name, value in trial.params.items():
        section, _, key = name.partition(".")
        sections[section][key] = value
    return sections


def summarise(study: optuna.Study) -> Outcome:
    """Order the trials and weigh the parameters.

    Raises:
        SerError: no trial finished.
    """
    trials = study.get_trials()
    finished = sorted((t for t in trials if t.state == TrialState.COMPLETE), key=lambda t: -(t.value or 0.0))
    if not finished:
        raise SerError("No trial finished: all failed or were pruned. Raise --trials or train.epochs.")
    others = [t for t in trials if t.state != TrialState.COMPLETE]
    return Outcome((*finished, *others), finished[0], _importances(study, finished))


class _Storage(optuna.storages.RDBStorage):
    """Lets no two processes take up the same trial, such as one that is tried once more after a kill.

    SQLite knows no lock on a row, so that both can find the trial waiting before either says that it is its own. Other
    databases see to that themselves.
    """

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """As Optuna has it; taking up a trial is one act."""
        file = self.engine.url.database if self.engine.url.get_backend_name() == "sqlite" else None
        if state != TrialState.RUNNING or not file:
            return super().set_trial_state_values(trial_id, state, values)
        path = Path(file)
        with FileLock(path.with_name(f".{path.name}.lock")):
            return super().set_trial_state_values(trial_id, state, values)


def _open_study(search: Search, url: str) -> optuna.Study:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # The trials of a process that died are seen by its missing heartbeat, and tried once more.
            storage = _Storage(
                url,
                heartbeat_interval=_HEARTBEAT_S,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=1),
            )
        return optuna.create_study(
            study_name=search.name,
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
        )
    except (ValueError, ImportError, OSError, RuntimeError, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise SerError(
            f"--storage {url} cannot be opened ({reason}); give an Optuna storage URL, or leave it out."
        ) from None


def _check_identity(study: optuna.Study, search: Search) -> None:
    begun: dict[str, Any] | None = study.user_attrs.get("settings")
    if begun is None:
        study.set_user_attr("settings", search.identity)
        return
    differing = config.differences(begun, search.identity)
    if differing:
        raise MismatchError(
            f"The study '{study.study_name}' was begun with other settings: {'; '.join(differing)}. "
            "Repeat the settings to go on with it, or choose another --out or --storage."
        )


def _worker(search: Search, url: str, n_trials: int, number: int) -> None:
    """One of several processes on a study; the features are cached by now, so each only opens them."""
    import torch

    processes.end_with_first()
    torch.set_num_threads(1)
    rows = feature_provider.cached_features(search.dataset, jobs=1, device=search.device, progress=no_progress)
    try:
        _work(_open_study(search, url), search, n_trials, rows, lambda trial: None, stream=number + 1)
    except KeyboardInterrupt:  # only where Ctrl-C cannot be kept from it
        sys.exit(130)


def _work(
    study: optuna.Study,
    search: Search,
    n_trials: int,
    rows: FeatureProvider,
    on_trial: Callable[[FrozenTrial], None],
    stream: int = 0,
) -> None:
    if len(_counted(study)) >= n_trials:
        return
    # A fresh sampler for each process and each resumption: the same seed again would repeat the same proposals. All
    # trials count here, those of a killed process and of another machine at work too.
    seed = search.seed + 1000 * stream + len(study.get_trials())
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=10)
    study.optimize(
        lambda trial: _objective(trial, search, rows),
        callbacks=[MaxTrialsCallback(n_trials, states=_COUNTED), lambda study, trial: on_trial(trial)],
    )


def _objective(trial: Trial, search: Search, rows: FeatureProvider) -> float:
    """Validation UA of the epoch whose weights a training would keep."""
    plan = propose(trial, search.plan)
    trainer = experiment.make_trainer(
        search.dataset, plan, search.train_ids, search.valid_ids, rows, search.seed, pick_device(search.device)
    )
    try:
        for result in trainer.epochs():
            trial.report(_best_uar(trainer), result.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
    except DivergedError as error:
        raise optuna.TrialPruned(str(error)) from None
    return _best_uar(trainer)


def _best_uar(trainer: Trainer) -> float:
    assert trainer.progress.best is not None
    return trainer.progress.best.valid_uar


def propose(trial: Any, plan: ExperimentConfig) -> ExperimentConfig:
    """The plan with this trial's values: of the architecture's own space, and of training."""
    architecture = plugins.load("architecture", plan.model.architecture)
    sections = plan.to_dict()
    sections["architecture"] |= architecture.search_space(trial)
    sections["train"] |= {
        "lr": trial.suggest_float("train.lr", 1e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("train.weight_decay", 1e-6, 1e-1, log=True),
        "batch_size": trial.suggest_categorical("train.batch_size", [16, 32, 64, 128]),
    }
    return spec.build(plan.name, sections)


def _importances(study: optuna.Study, finished: Sequence[FrozenTrial]) -> dict[str, float]:
    if len(finished) < 4 or len({t.value for t in finished}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
