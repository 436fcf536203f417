"""What raters say beside the majority's class, as targets of training: their votes, and activation and valence."""

from collections.abc import Sequence

import numpy as np

from sercli.dataset.manifest import Dataset
from sercli.errors import SerError
from sercli.types import Array, Utterance


def soft_targets(dataset: Dataset, utterances: Sequence[Utterance]) -> Array:
    """Return the share of votes of each class, (N, K) float32; each row sums to 1.

    The attribute `votes` of an utterance has what each rater wrote, of which `labels` are native labels. A rater has
    one vote, in equal parts for all labels that they chose; parts for labels that the dataset leaves out do not count.

    Args:
        dataset: whose labels are the classes.
        utterances: (N,) of the dataset.

    Raises:
        SerError: an utterance has no vote for any class.
    """
    number = {label: k for k, label in enumerate(dataset.info.labels)}
    of_native = {**number}
    for u in dataset.manifest.utterances:
        of_native[u.attributes.get("native_label", u.true_label)] = number[u.true_label]
    targets = np.zeros((len(utterances), len(number)), np.float32)
    for row, u in zip(targets, utterances, strict=True):
        for labels in _ballots(u):
            for label in labels:
                if label in of_native:
                    row[of_native[label]] += 1 / len(labels)
        if not row.any():
            raise SerError(
                f"train.targets=soft needs raters' votes, and '{u.id}' of {dataset.info.corpus} has none for a class "
                "of the dataset; leave the setting out."
            )
    return targets / targets.sum(axis=1, keepdims=True)


def _ballots(utterance: Utterance) -> list[list[str]]:
    """The labels that each rater chose."""
    votes = utterance.attributes.get("votes")
    if not isinstance(votes, list):
        return []
    return [vote["labels"] for vote in votes if isinstance(vote, dict) and isinstance(vote.get("labels"), list)]


def dimensions_of(utterances: Sequence[Utterance]) -> Array | None:
    """Return activation and valence, (N, 2) float32, with mean 0 and deviation 1; NaN: not known; None: no value."""
    raw = [[u.attributes.get(name) for name in ("activation", "valence")] for u in utterances]
    values = np.array([[v if isinstance(v, int | float) else np.nan for v in row] for row in raw], np.float32)
    if not np.isfinite(values).any(axis=0).all():
        return None
    return (values - np.nanmean(values, axis=0)) / np.maximum(np.nanstd(values, axis=0), 1e-6)
