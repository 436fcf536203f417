"""What runs answered on their test parts: a single run's, or all those of a cross-validation put together."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sercli import runs
from sercli.evaluation.results import Answers
from sercli.model.calibration import temper
from sercli.runs import CROSS_VALIDATION, RunInfo
from sercli.types import Predictions

Ask = Callable[[Path], Predictions]
"""A run directory -> its answers."""


def collect(folder: Path, info: RunInfo, name: str, ask: Ask | None = None, *, apart: bool = False) -> Answers:
    """Gather a run's answers, seed by seed.

    Args:
        folder: a finished run, or cross-validation.
        info: what it says of itself.
        name: what it is called beside others.
        ask: where the answers of a single run come from; None: those that it wrote after training.
        apart: each fold answered on all utterances, as on another dataset: every run then stands for itself, like a
            seed.

    Raises:
        SerError: predictions are missing or damaged.
    """
    ask = ask or kept
    if info.kind != CROSS_VALIDATION:
        seeds = [[folder]]
    else:
        fold_runs = runs.fold_runs(folder, info.settings)
        seeds = [[fold_run.folder for fold_run in fold_runs if fold_run.seed == seed] for seed in info.settings.seeds]
        seeds = [[single] for folders in seeds for single in folders] if apart else seeds
    answered = [[(ask(single), runs.load_info(single).temperature) for single in folders] for folders in seeds]
    return Answers(
        name,
        info.modality,
        tuple(_pooled([predictions for predictions, _ in parts]) for parts in answered),
        tuple(np.concatenate([temper(p.probs, 1 / temperature) for p, temperature in parts]) for parts in answered),
    )


def by_seed(answers: Answers, seeds: Sequence[int]) -> list[tuple[str, Predictions]]:
    """The answers of each seed under a name of its own, where there are several."""
    names = [answers.name] if len(seeds) == 1 else [f"{answers.name}, seed {seed}" for seed in seeds]
    return list(zip(names, answers.runs, strict=True))


def kept(folder: Path) -> Predictions:
    """What a run wrote of its test part, with its members' answers where it is an ensemble."""
    predictions = runs.read_predictions(folder, "test")
    members = {
        modality: runs.read_predictions(folder, f"test-{modality}").probs
        for modality in ("acoustic", "linguistic")
        if (folder / "predictions" / f"test-{modality}.csv").exists()
    }
    return replace(predictions, members=members)


def _pooled(parts: Sequence[Predictions]) -> Predictions:
    """One after the other; embeddings of several networks have nothing in common and stay behind."""
    first = parts[0]
    if len(parts) == 1:
        return first
    truths = [part.truth for part in parts]
    return Predictions(
        tuple(i for part in parts for i in part.ids),
        first.labels,
        np.concatenate([part.probs for part in parts]),
        tuple(label for truth in truths for label in truth or ()) if all(truths) else None,
        members={m: np.concatenate([part.members[m] for part in parts]) for m in _common(parts)},
    )


def _common(parts: Sequence[Predictions]) -> list[str]:
    """Members that answered in all parts."""
    return [m for m in parts[0].members if all(m in part.members for part in parts)]
