"""Trials of a search without the search: parameters drawn beforehand, each trained to its end, one after the other.

    python benchmarks/speeds/trials_alone.py DATA PRESET --trials 20 [--set train.epochs=20]
    python benchmarks/speeds/trials_alone.py DATA PRESET --trials 20 [--set train.epochs=20] --enqueue OUT

The second form trains nothing: it puts the same parameters at the head of a study, so that `ser tune --out OUT` with as
many trials tries these.
"""

import argparse
from pathlib import Path
from typing import Any

import optuna

from sercli._system.devices import pick_device
from sercli._system.progress import no_progress
from sercli.model import feature_provider
from sercli.model.spec import ExperimentConfig
from sercli.training import experiment, tuning
from sercli.training.setup import Setup, make_setup

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("preset")
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--enqueue", type=Path, metavar="OUT")
    arguments = parser.parse_args()
    options = {"words": "human", "split": None, "n_folds": None, "fold": 1, "seed": SEED}
    made = make_setup(arguments.preset, None, arguments.sets, arguments.data, **options)
    drawn = draw(made.configs[0], arguments.trials)
    if arguments.enqueue:
        enqueue(made.configs[0], drawn, arguments.enqueue)
    else:
        train(made, drawn)


def draw(config: ExperimentConfig, n_trials: int) -> list[dict[str, Any]]:
    """The parameters of each trial."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    trials = [study.ask() for _ in range(n_trials)]
    for trial in trials:
        tuning.propose(trial, config)
    return [trial.params for trial in trials]


def enqueue(config: ExperimentConfig, drawn: list[dict[str, Any]], out: Path) -> None:
    """Begin the study that `ser tune` goes on with."""
    out.mkdir(parents=True)
    study = optuna.create_study(
        study_name=config.name, storage=f"sqlite:///{(out / 'study.db').resolve()}", direction="maximize"
    )
    for parameters in drawn:
        study.enqueue_trial(parameters)


def train(made: Setup, drawn: list[dict[str, Any]]) -> None:
    """Each with early stopping, as a trial of `ser tune` has it, and nothing else."""
    (config,), (parts,) = made.configs, made.folds
    provider = feature_provider.cached_features(made.dataset, jobs=1, progress=no_progress)
    for parameters in drawn:
        proposed = tuning.propose(optuna.trial.FixedTrial(parameters), config)
        context = experiment.Context(made.dataset, provider, SEED, pick_device("auto"))
        trainer = experiment.make_trainer(proposed, parts.train, parts.valid, context)
        for _ in trainer.epochs():
            pass
        print(trainer.best, flush=True)


if __name__ == "__main__":
    main()
