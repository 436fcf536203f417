"""What train and tune begin with: the plans, the dataset and its folds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli.dataset.manifest import Dataset
    from sercli.model.spec import ExperimentConfig
    from sercli.types import Split

ALL = "all"
"""What stands for every fold, and for every preset."""


@dataclass(frozen=True)
class Setup:
    """What is to be trained or searched."""

    plans: "tuple[ExperimentConfig, ...]"  # one a fold
    dataset: "Dataset"
    folds: "tuple[Split, ...]"  # one, or all that the split has
    repeated: bool  # whether all of them were asked for


def setup(
    model: str | None,
    config: Path | None,
    sets: list[str] | None,
    data: Path,
    words: str,
    split: str | None,
    folds: int | None,
    fold: str,
    seed: int,
) -> Setup:
    """Resolve the settings, open the dataset and divide it as asked, or as its corpus suggests.

    Raises:
        SerError: any of them cannot be; before anything is computed or written.
    """
    from sercli.config import parse_sets
    from sercli.dataset import feature_cache, manifest
    from sercli.errors import SerError
    from sercli.model import spec
    from sercli.types import HUMAN

    number = _number(fold)
    changes = parse_sets(sets or [])
    by_fold = config is not None and config.is_dir()
    if by_fold and number is not None:
        config, by_fold = _of_fold(config, number), False
    plan = spec.resolve(model, None if by_fold else config, changes)
    if words != HUMAN and not feature_cache.reads_text(plan.model.feature):
        raise SerError(f"--words {words} does nothing with {plan.name}, which reads no words; leave it out.")
    dataset = manifest.load(data, words=words)
    parts = _divide(dataset, split or dataset.info.split, folds, number, seed)
    if by_fold:
        plans = tuple(spec.resolve(model, _of_fold(config, part.fold), changes) for part in parts)
    else:
        plans = (plan,) * len(parts)
    return Setup(plans, dataset, parts, number is None)


def trainable(data: Path, words: str) -> list[str]:
    """The presets that a dataset can train: it has the sound or the words that they read, and they need no extra.

    Raises:
        SerError: not a prepared dataset.
    """
    from sercli import plugins
    from sercli.cli import render
    from sercli.dataset import feature_cache, manifest
    from sercli.model import spec

    utterances = manifest.load(data, words=words).manifest.utterances
    found = []
    for name in spec.presets():
        feature = spec.preset_sections(name)["model"]["feature"]
        plugin = plugins.feature(feature)
        lacking = next((u for u in utterances if not feature_cache.has_input(u, feature)), None)
        if isinstance(plugin, plugins.NeedsExtra):
            render.note(f"{name} is left out: it needs the extra `{plugin.EXTRA}`; train it by its name.")
        elif lacking:
            what = "words" if feature_cache.reads_text(feature) else "sound"
            render.note(f"{name} is left out: not every utterance has {what}, such as '{lacking.id}'.")
        else:
            found.append(name)
    return found


def reads_text(preset: str) -> bool:
    """Whether a preset reads words."""
    from sercli.dataset import feature_cache
    from sercli.model import spec

    return feature_cache.reads_text(spec.preset_sections(preset)["model"]["feature"])


def _number(fold: str) -> int | None:
    """The fold's number, or None for all."""
    from sercli.errors import SerError

    if fold == ALL:
        return None
    if not fold.isascii() or not fold.isdigit() or int(fold) < 1:
        raise SerError(f"--fold {fold}: give a number, counted from 1, or all.")
    return int(fold)


def _of_fold(folder: Path | None, number: int) -> Path:
    """What a search on one of all folds found."""
    assert folder is not None
    return folder / f"fold-{number}" / "best.json"


def _divide(dataset: "Dataset", kind: str, n_folds: int | None, number: int | None, seed: int) -> "tuple[Split, ...]":
    from sercli.dataset import folds, splits
    from sercli.errors import SerError

    alone = kind in ("seed", "official")
    if n_folds is not None and (alone or kind.startswith(folds.FILE)):
        has = "has one fold" if alone else "has the folds of the file"
        raise SerError(f"--folds does nothing with --split {kind}, which {has}; leave it out.")
    if kind.startswith(folds.FILE):
        every = folds.read(Path(kind.removeprefix(folds.FILE)), dataset.manifest)
        if number is None:
            return every
        splits.check_fold(number, len(every), kind)
        return (every[number - 1],)
    n_folds = n_folds or dataset.info.folds
    if number is None:
        return splits.make_folds(dataset.manifest, kind, n_folds=n_folds, seed=seed)
    return (splits.make_split(dataset.manifest, kind, n_folds=n_folds, fold=number, seed=seed),)
