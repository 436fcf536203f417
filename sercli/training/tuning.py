"""Hyperparameter search with Optuna on train and validation part; several processes or machines can share a study."""

import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FrozenTrial, Trial, TrialState

from sercli import plugins
from sercli._system import processes
from sercli._system.devices import pick_device
from sercli._system.files import write_json
from sercli._system.progress import no_progress
from sercli.config import Section
from sercli.contracts import Setting
from sercli.dataset.manifest import Dataset
from sercli.errors import ConfigError, DivergedError, SerError
from sercli.model import feature_provider, spec
from sercli.model.feature_provider import FeatureProvider
from sercli.model.spec import ExperimentConfig
from sercli.training import experiment, studies
from sercli.training.experiment import Context
from sercli.training.studies import Place
from sercli.types import Split

optuna.logging.set_verbosity(optuna.logging.ERROR)  # trials and errors are shown by the command line

_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)

Trials = tuple[FrozenTrial, ...]
OnTrial = Callable[[FrozenTrial], None]
"""Called with each trial that ends."""


@dataclass(frozen=True)
class Search:
    """A configuration to start from, and the two parts that the search may see."""

    dataset: Dataset
    config: ExperimentConfig
    train_ids: tuple[str, ...]
    valid_ids: tuple[str, ...]
    name: str  # of the study in its storage
    settings: Section  # equal for all commands that share the study
    seed: int
    device: str


@dataclass(frozen=True)
class Outcome:
    """The result of a study."""

    trials: Trials  # best first, then pruned and failed ones
    best: FrozenTrial
    importances: dict[str, float]  # parameter -> share; empty where too few trials finished


def search_of(
    dataset: Dataset,
    config: ExperimentConfig,
    split: Split,
    *,
    seed: int,
    device: str,
    given: Iterable[str] = (),
    nested: bool = False,
) -> Search:
    """The search on a split without its test part, so that no trial can see it.

    Args:
        dataset: that is trained on.
        config: where the search starts.
        split: of the dataset.
        seed: of the search and of each training.
        device: a value of `--device`.
        given: settings (`train.lr`) that the command fixes.
        nested: the study is one of several, one for each fold, which may share a storage.

    Raises:
        ConfigError: a given setting is one that the search chooses.
    """
    for name in sorted(set(given) & search_space(config).keys()):
        raise ConfigError(f"--set {name} does nothing in `ser tune`, which searches that setting itself; leave it out.")
    provenance = experiment.provenance(dataset, [split], [seed])
    settings = {**provenance.to_dict(), **config.to_dict()}
    name = f"{config.name}-fold-{split.fold}" if nested else config.name
    return Search(dataset, config, split.train, split.valid, name, settings, seed, device)


def search_space(config: ExperimentConfig) -> dict[str, BaseDistribution]:
    """Return the settings that a study of this configuration chooses, each with its values."""
    trial = optuna.create_study().ask()
    propose(trial, config)
    return trial.distributions


def tune(
    search: Search,
    out: Path,
    *,
    n_trials: int,
    storage: str | None = None,
    jobs: int = 1,
    provider: FeatureProvider,
    on_trial: OnTrial,
) -> Outcome:
    """Run trials until `n_trials` of the study finished or were pruned, then write best.json.

    Args:
        search: the search.
        out: directory of the study.
        n_trials: of the whole study, including trials of earlier commands and of other machines.
        storage: an Optuna storage URL; None: SQLite in `out`.
        jobs: processes that share the study.
        provider: of the features.
        on_trial: called with each trial that ends.

    Raises:
        MismatchError: the study was started with other settings, or the folder holds another study.
        SerError: the storage cannot be reached, is malformed or locked, or no trial finished.
    """
    place = studies.Place.of(out, storage)
    studies.claim(out, search.name, search.settings)
    study = studies.open_study(place, search.name)
    studies.check(study, place, search.settings, search_space(search.config))
    for feature in chain.from_iterable(search.config.copies):
        provider(search.dataset.select(search.train_ids), *feature)
    with studies.storage_errors(place):
        n_left = max(0, n_trials - len(_counted(study)))
        jobs = min(jobs, n_left)
        if place.file and not processes.here(1):  # a file that several machines write to would be damaged
            trials = _written_here(study, search, n_left)
        else:
            run = partial(_run_trial, search, place, n_trials, provider if processes.here(jobs) else None)
            trials = processes.mapped(run, range(n_left), jobs, killed=experiment.KILLED)
        with closing(trials):
            for trial in chain.from_iterable(trials):
                on_trial(trial)
        outcome = summarise(study)
    write_json(out / "best.json", propose(outcome.best, search.config).to_dict())
    return outcome


def _counted(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=_COUNTED)


def summarise(study: optuna.Study) -> Outcome:
    """The trials in order, with the importance of each parameter.

    Raises:
        SerError: no trial finished.
    """
    trials = study.get_trials()
    finished = sorted((t for t in trials if t.state == TrialState.COMPLETE), key=lambda t: -(t.value or 0.0))
    if not finished:
        raise SerError("No trial finished: all failed or were pruned. Raise --trials or train.epochs.")
    others = [t for t in trials if t.state != TrialState.COMPLETE]
    return Outcome((*finished, *others), finished[0], _importances(study, finished))


def _run_trial(
    search: Search, place: Place, n_trials: int, provider: FeatureProvider | None, number: int
) -> list[FrozenTrial]:
    """The next trial of a study, which it writes to, unless other processes or machines ran all meanwhile.

    Args:
        search: the search.
        place: where the study is stored.
        n_trials: of the whole study.
        provider: of the features; None: those in the cache.
        number: different for each trial of this command.
    """
    with studies.storage_errors(place):
        study = studies.open_study(place, search.name)
        return [] if len(_counted(study)) >= n_trials else _next_trial(study, search, provider, number)


def _written_here(study: optuna.Study, search: Search, n_left: int) -> Generator[list[FrozenTrial], None, None]:
    """Write the trials of workers that cannot write to the study; each knows those that ended before it began."""
    given = ((number, _counted(study)) for number in range(n_left))
    run = partial(_run_apart, search)
    with closing(processes.mapped(run, given, 1, killed=experiment.KILLED, ahead=1, in_order=False)) as ended:
        for trials in ended:
            study.add_trials(trials)
            yield trials


def _run_apart(search: Search, given: tuple[int, list[FrozenTrial]]) -> list[FrozenTrial]:
    """The next trial of a study, from a number that no other has and those that ended before."""
    number, before = given
    study = optuna.create_study(direction="maximize", pruner=studies.pruner())
    study.add_trials(before)
    return _next_trial(study, search, None, number)


def _next_trial(
    study: optuna.Study, search: Search, provider: FeatureProvider | None, number: int
) -> list[FrozenTrial]:
    """Run a trial and return it, in a list."""
    features = provider or feature_provider.cached_features(
        search.dataset, jobs=1, device=search.device, progress=no_progress
    )
    ended: list[FrozenTrial] = []

    def objective(trial: Trial) -> float:
        # A sampler of its own: with the same seed it would repeat its proposals. The storage gives no number twice.
        seed = search.seed + 1000 * number + trial.number
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=10)
        return _objective(trial, search, features)

    study.optimize(objective, n_trials=1, callbacks=[lambda study, trial: ended.append(trial)])
    return ended


def _objective(trial: Trial, search: Search, provider: FeatureProvider) -> float:
    """Validation UA of the epoch whose weights a training would keep."""
    proposed = propose(trial, search.config)
    context = Context(search.dataset, provider, search.seed, pick_device(search.device))
    trainer = experiment.make_trainer(proposed, search.train_ids, search.valid_ids, context)
    try:
        for result in trainer.epochs():
            processes.go_on()
            trial.report(trainer.best.valid_uar or 0.0, result.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
    except DivergedError as error:
        raise optuna.TrialPruned(str(error)) from None
    return trainer.best.valid_uar or 0.0


def propose(trial: BaseTrial, config: ExperimentConfig) -> ExperimentConfig:
    """The configuration with a trial's values for the architecture's search space and for training."""
    sections = config.to_dict()
    for field, values in plugins.architecture(config.model.architecture).SEARCH_SPACE.items():
        sections["architecture"][field] = _suggested(trial, f"architecture.{field}", values)
    sections["train"] |= {
        "lr": trial.suggest_float("train.lr", 1e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("train.weight_decay", 1e-6, 1e-1, log=True),
        "batch_size": trial.suggest_categorical("train.batch_size", [16, 32, 64, 128]),
    }
    return spec.build(config.name, sections)


def _suggested(trial: BaseTrial, name: str, values: list[Setting] | tuple[float, float]) -> object:
    if isinstance(values, list):
        return trial.suggest_categorical(name, values)
    low, high = values
    whole = isinstance(low, int) and isinstance(high, int)
    return trial.suggest_int(name, int(low), int(high)) if whole else trial.suggest_float(name, low, high)


def _importances(study: optuna.Study, finished: Sequence[FrozenTrial]) -> dict[str, float]:
    if len(finished) < 4 or len({t.value for t in finished}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
