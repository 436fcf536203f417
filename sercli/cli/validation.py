"""Final output of `ser train` and `ser ensemble`: training curves, and scores on the validation part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sercli.cli import options

if TYPE_CHECKING:
    from sercli.types import Predictions

TITLE = "Validation part, on which the epoch and the temperature were chosen; `ser evaluate` scores the test part"


def draw_histories(out: Path) -> None:
    """Draw history.png beside each history.jsonl of a finished run that has a validation part, also those of folds."""
    from sercli import runs
    from sercli.evaluation.plots import history_picture

    for path in sorted(out.rglob("history.jsonl")):
        picture, best_epoch = path.with_name("history.png"), runs.load_info(path.parent).best_epoch
        if best_epoch is None or picture.exists() or path.parent.name == runs.REFIT:
            continue
        history_picture(runs.read_history(path.parent), picture, best_epoch)


def read(named: Mapping[Path, str], seeds: Sequence[int]) -> "list[tuple[str, Predictions]]":
    """The predictions of finished runs on their validation parts, pooled over folds, by name and seed.

    Raises:
        SerError: predictions are missing or damaged.
    """
    from sercli import runs
    from sercli.evaluation import pooling

    pooled = (
        pooling.collect(folder, runs.load_finished(folder), name, lambda single: runs.read_predictions(single, "valid"))
        for folder, name in named.items()
    )
    return [pair for one in pooled for pair in pooling.by_seed(one, seeds)]


def show(named: Mapping[Path, str], seeds: Sequence[int]) -> None:
    """Show the scores of finished runs on their validation parts, not with --quiet.

    Raises:
        SerError: predictions are missing or damaged.
    """
    from sercli import runs
    from sercli.cli import render
    from sercli.evaluation.evaluate import compare

    if options.quiet:
        return
    train_counts = runs.load_info(next(iter(named))).train_counts
    render.systems_table(*compare(read(named, seeds), train_counts), title=TITLE)
