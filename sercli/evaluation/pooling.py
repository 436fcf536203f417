"""The predictions of a run: of a single one, or of all fold runs of a cross-validation pooled by seed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sercli import runs
from sercli.errors import SerError
from sercli.evaluation.results import PooledPredictions
from sercli.model.calibration import temper
from sercli.runs import CROSS_VALIDATION, RunInfo
from sercli.types import ALL, Predictions

Predict = Callable[[Path], Predictions]  # returns the predictions of one single run, given its directory


def stored(folder: Path) -> Predictions:
    """The predictions that a run wrote for its test part, with those of its members if it is an ensemble."""
    predictions = runs.read_predictions(folder, "test")
    members = {
        name: runs.read_predictions(folder, f"test-{name}").probs
        for name in runs.load_info(folder).settings.members
        if (folder / "predictions" / f"test-{name}.csv").exists()
    }
    return replace(predictions, members=members)


def collect(
    folder: Path, info: RunInfo, name: str, predict: Predict = stored, *, pool_folds: bool = True
) -> PooledPredictions:
    """The predictions of a run, one set per seed.

    Args:
        folder: a finished run, or cross-validation.
        info: its run.json.
        name: for tables.
        predict: returns the predictions of a single run; by default those that it wrote for its test part.
        pool_folds: concatenate the folds of a seed. False where each fold run predicts the same utterances, as on
            another dataset: then each counts as a seed.

    Raises:
        SerError: predictions are missing or damaged, or the run has no test part.
    """
    if pool_folds and info.settings.split.kind == ALL:
        raise SerError(
            f"{folder} was trained on the utterances of all folds and has no test part; `ser evaluate {folder.parent}` "
            "scores the folds, and --data another dataset."
        )
    seeds = {str(seed): [folder] for seed in info.settings.seeds}
    if pooled := info.kind == CROSS_VALIDATION:
        fold_runs = runs.fold_runs(folder, info.settings)
        if pool_folds:
            seeds = {seed: [one.folder for one in fold_runs if str(one.seed) == seed] for seed in seeds}
        else:
            seeds = {f"fold {one.fold}, seed {one.seed}": [one.folder] for one in fold_runs}
    predicted = [
        [(predict(single), runs.load_info(single).temperature) for single in folders] for folders in seeds.values()
    ]
    return PooledPredictions(
        name,
        info.modality,
        tuple(_concatenated([predictions for predictions, _ in parts]) for parts in predicted),
        tuple(np.concatenate([temper(p.probs, 1 / temperature) for p, temperature in parts]) for parts in predicted),
        tuple(seeds),
        tuple(len(p.ids) for p, _ in predicted[0]) if pooled and pool_folds else (),
    )


def by_seed(predictions: PooledPredictions, seeds: Sequence[int]) -> list[tuple[str, Predictions]]:
    """The predictions of each seed, named after it if there are several."""
    name = predictions.name
    names = [name] if len(seeds) == 1 else [f"{name}, seed {seed}" for seed in seeds]
    return list(zip(names, predictions.runs, strict=True))


def _concatenated(parts: Sequence[Predictions]) -> Predictions:
    """The parts one after the other; embeddings are left out, because those of different networks do not compare."""
    first = parts[0]
    if len(parts) == 1:
        return first
    truths = [part.truth for part in parts]
    members = [m for m in first.members if all(m in part.members for part in parts)]
    return Predictions(
        tuple(i for part in parts for i in part.ids),
        first.labels,
        np.concatenate([part.probs for part in parts]),
        tuple(label for truth in truths for label in truth or ()) if all(truths) else None,
        members={m: np.concatenate([part.members[m] for part in parts]) for m in members},
    )
