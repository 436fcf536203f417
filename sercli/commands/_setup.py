"""What train and tune begin with: the plan, the dataset and its split."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli.dataset.manifest import Dataset
    from sercli.model.spec import Plan
    from sercli.types import Split


def plan_and_split(
    model: str | None,
    config: Path | None,
    sets: list[str] | None,
    data: Path,
    words: str,
    split: str | None,
    folds: int | None,
    fold: int,
    seed: int,
) -> "tuple[Plan, Dataset, Split]":
    """Resolve the settings, open the dataset and divide it as asked, or as its corpus suggests.

    Raises:
        SerError: any of them cannot be; before anything is computed or written.
    """
    from sercli.config import parse_sets
    from sercli.dataset import cache, manifest
    from sercli.dataset.split import make_split
    from sercli.dataset.transcripts import HUMAN
    from sercli.errors import SerError
    from sercli.model import spec

    plan = spec.resolve(model, config, parse_sets(sets or []))
    if words != HUMAN and not cache.reads_text(plan.model.feature):
        raise SerError(f"--words {words} does nothing with {plan.name}, which reads no words; leave it out.")
    dataset = manifest.load(data, words=words)
    kind = split or dataset.info.split
    if folds is not None and kind in ("seed", "official"):
        raise SerError(f"--folds does nothing with --split {kind}, which has one fold; leave it out.")
    return plan, dataset, make_split(dataset.manifest, kind, n_folds=folds or dataset.info.folds, fold=fold, seed=seed)
