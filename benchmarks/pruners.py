"""Compare ways to end the trials of `ser tune` early: what a search costs with each, and what it finds.

    python benchmarks/pruners.py DATA PRESET [--trials 24] [--orders 20] [--set train.epochs=30]

Trials with parameters drawn at random are trained to their end once, and the value and CPU time of each epoch are kept.
Each pruner then gets the same trials, in the same orders; the last column is what that of `ser tune` finds in another's
time. The sampler's part is left out: what a search proposes goes by what it has seen.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

sys.path.insert(0, str(Path(__file__).resolve().parent))

from speeds.trials_alone import SEED, draw

from sercli._system.devices import pick_device
from sercli._system.progress import no_progress
from sercli.model import feature_provider
from sercli.training import experiment, studies, tuning
from sercli.training.setup import make_setup

Curve = list[tuple[float, float]]
"""Of a trial: the best value so far and the CPU time of each epoch."""

PRUNERS: dict[str, BasePruner] = {
    "none": NopPruner(),
    "ser tune": studies.pruner(),
    "median, defaults": MedianPruner(),
    "halving, defaults": SuccessiveHalvingPruner(),
    "halving from 3 epochs by 3": SuccessiveHalvingPruner(min_resource=3, reduction_factor=3),
    "halving from 5 epochs by 2": SuccessiveHalvingPruner(min_resource=5, reduction_factor=2),
}


def curves(data: Path, preset: str, sets: list[str], n_trials: int) -> list[Curve]:
    """Train each trial to its end, as `ser tune` does."""
    made = make_setup(preset, None, sets, data, words="human", split=None, n_folds=None, fold=1, seed=SEED)
    (config,), (parts,) = made.configs, made.folds
    provider = feature_provider.cached_features(made.dataset, jobs=1, progress=no_progress)
    found: list[Curve] = []
    for parameters in draw(config, n_trials):
        proposed = tuning.propose(optuna.trial.FixedTrial(parameters), config)
        context = experiment.Context(made.dataset, provider, SEED, pick_device("auto"))
        trainer = experiment.make_trainer(proposed, parts.train, parts.valid, context)
        curve: Curve = []
        began = time.process_time()
        for _ in trainer.epochs():
            curve.append((trainer.best.valid_uar, time.process_time() - began))
            began = time.process_time()
        found.append(curve)
    return found


def search(pruner: BasePruner, trials: Sequence[Curve], within_s: float = math.inf) -> tuple[float, float]:
    """Return the CPU time of all epochs that a search runs, and the best value of a trial that it finishes.

    After `within_s` no other trial begins.
    """
    study, spent_s = optuna.create_study(direction="maximize", pruner=pruner), 0.0
    for curve in trials:
        if spent_s >= within_s:
            break
        trial = study.ask()
        for epoch, (value, cpu_s) in enumerate(curve, start=1):
            spent_s += cpu_s
            trial.report(value, epoch)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1][0])
    return spent_s, study.best_value


def main() -> None:
    """Print a row of Markdown for each pruner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("preset")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], dest="sets")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = curves(given.data, given.preset, given.sets, given.trials)
    rng = np.random.default_rng(SEED)
    orders = [[trials[n] for n in rng.permutation(len(trials))] for _ in range(given.orders)]
    found = {name: [search(pruner, order) for order in orders] for name, pruner in PRUNERS.items()}
    best, whole_s = max(curve[-1][0] for curve in trials), mean(spent_s for spent_s, _ in found["none"])
    epochs = mean(map(len, trials))
    print(f"{given.preset} on {given.data.name}: {len(trials)} trials of {epochs:.0f} epochs, best {best:.4f}")
    print("| pruner | time, of no pruning | best value, mean | orders that find the best | ser tune's in that time |")
    print("|---|---|---|---|---|")
    for name, searches in found.items():
        share, values = mean(spent_s for spent_s, _ in searches) / whole_s, [value for _, value in searches]
        pairs = zip(orders, searches, strict=True)
        same_time = mean(search(PRUNERS["ser tune"], order, spent_s)[1] for order, (spent_s, _) in pairs)
        found_best = mean(value == best for value in values)
        print(f"| {name} | {share:.2f} | {mean(values):.4f} | {found_best:.0%} | {same_time:.4f} |")


if __name__ == "__main__":
    main()
