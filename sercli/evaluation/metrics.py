"""Measures of how good predictions are: pure functions over labels and counts that define every empty class."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sercli.errors import MismatchError, SerError
from sercli.types import Array, Predictions, Report

METRICS = ("wa", "ua", "macro_f1", "weighted_f1")  # averages over classes that every table shows; fields of a report


def confusion(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """The confusion matrix.

    Args:
        truth: (N,) labels.
        predicted: (N,) labels, in the same order of utterances.
        labels: (K,) the classes in the order of rows and columns.

    Returns:
        (K, K) counts, rows truth and columns prediction; zeros where there are no utterances.

    Raises:
        MismatchError: a label that is not one of `labels`.

    >>> confusion(["sad", "sad", "joy"], ["sad", "joy", "joy"], ["joy", "sad"]).tolist()
    [[1, 0], [1, 1]]
    """
    assert len(truth) == len(predicted), f"{len(truth)} true labels and {len(predicted)} predicted ones"
    return count_pairs(class_numbers(truth, labels), class_numbers(predicted, labels), len(labels))


def count_pairs(truth_index: Array, predicted_index: Array, n_labels: int) -> NDArray[np.int64]:
    """The confusion matrix (K, K) of class numbers (N,)."""
    cells = np.bincount(truth_index * n_labels + predicted_index, minlength=n_labels**2)
    return cells.reshape(n_labels, n_labels).astype(np.int64)


def report(name: str, truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Report:
    """All metrics of one system.

    A class that never occurs in `truth` has no recall and no F1 (None) and is left out of `ua` and `macro_f1`, even if
    it was predicted; such predictions still count as errors of the true classes. `macro_f1_all` has it with an F1 of 0
    if it was predicted, as scikit-learn does. A class that was never predicted has no precision (None). F1 is
    2 tp / (2 tp + fp + fn).

    Args:
        name: of the system, as tables show it.
        truth: (N,) labels.
        predicted: (N,) labels.
        labels: (K,) the classes in their order.

    Raises:
        SerError: there is no utterance.
        MismatchError: a label that is not one of `labels`.

    >>> result = report("text", ["sad", "sad", "joy"], ["sad", "joy", "joy"], ["joy", "sad", "fear"])
    >>> result.ua, result.recall
    (0.75, {'joy': 1.0, 'sad': 0.5, 'fear': None})
    """
    return from_counts(name, confusion(truth, predicted, labels), labels)


def report_from(predictions: Predictions, name: str) -> Report:
    """The metrics of labelled predictions; the likeliest class is the predicted one, the first of equals.

    Raises:
        SerError: the utterances have no labels, or there is none.
        MismatchError: a true label that is not one of the model's.
    """
    if predictions.truth is None:
        raise SerError(f"'{name}' cannot be scored: its utterances have no labels; evaluate on a prepared dataset.")
    assert np.isfinite(predictions.probs).all(), f"'{name}' gave probabilities that are not numbers"
    predicted = [predictions.labels[k] for k in predictions.probs.argmax(axis=1)]
    return report(name, predictions.truth, predicted, predictions.labels)


def uar(truth_index: Array, predicted_index: Array, n_labels: int) -> float:
    """Unweighted average recall of class numbers, fast enough for every epoch of training.

    Args:
        truth_index: (N,) integers below `n_labels`, N > 0.
        predicted_index: (N,) integers below `n_labels`.
        n_labels: K.

    Returns:
        The mean recall over the classes that occur: `report(...).ua`.

    >>> uar(np.array([0, 0, 2]), np.array([0, 1, 2]), 3)
    0.75
    """
    assert len(truth_index) > 0, "no utterance to score"
    counts = count_pairs(truth_index, predicted_index, n_labels)
    return float(averages(counts.sum(axis=1), counts.sum(axis=0), counts.diagonal())["ua"])


def baselines(
    truth: Sequence[str], labels: Sequence[str], train_counts: Mapping[str, int] | None = None
) -> tuple[Report, Report]:
    """Reports of two baselines without a model: `chance` picks a class at random, `majority` always the most frequent.

    The metrics of `chance` are those of its expected confusion matrix, in which each class is spread evenly over all K
    predictions: WA, UA and each recall are 1/K, the precision of a class is its share of the utterances.

    Args:
        truth: (N,) labels of the utterances to score.
        labels: (K,) the classes in their order.
        train_counts: class counts of the train part, which decide what the majority is; without: `truth` does. The
            first in the order of `labels` wins a tie.

    Raises:
        SerError: there is no utterance.
        MismatchError: a label that is not one of `labels`.
    """
    totals = confusion(truth, truth, labels).diagonal()
    even = np.repeat(totals[:, None] / len(labels), len(labels), axis=1)
    known = Counter(train_counts or truth)
    class_numbers(list(known), labels)
    most = max(labels, key=lambda label: known[label])  # max keeps the first of equals
    return from_counts("chance", even, labels), report("majority", truth, [most] * len(truth), labels)


def from_counts(name: str, counts: Array, labels: Sequence[str], n_seeds: int = 1) -> Report:
    """The report of a confusion matrix (K, K), whose counts may be expected values, or summed over seeds.

    Raises:
        SerError: there is no utterance.
    """
    occurs, predicted, right = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    if not occurs.any():
        raise SerError(f"'{name}' cannot be scored: there is no utterance in this part.")
    averaged = averages(occurs, predicted, right)
    f1 = _f1(occurs, predicted, right).tolist()
    return Report(
        name=name,
        n=round(float(occurs.sum()) / n_seeds),
        labels=tuple(labels),
        **{metric: float(value) for metric, value in averaged.items()},
        recall=_shares(right, occurs, labels),
        precision=_shares(right, predicted, labels),
        f1={label: value if n else None for label, value, n in zip(labels, f1, occurs.tolist(), strict=True)},
        confusion=(counts / n_seeds if n_seeds > 1 else counts).tolist(),
        n_seeds=n_seeds,
    )


def averages(occurs: Array, predicted: Array, right: Array) -> dict[str, Array]:
    """The `METRICS` of counts per class, and `macro_f1_all`, the mean over all classes that are true or predicted.

    A class that does not occur is left out of `ua` and `macro_f1`.

    Args:
        occurs: (..., K) how often each class is true; at least one utterance in each row.
        predicted: (..., K) how often it is predicted.
        right: (..., K) how often both.

    Returns:
        (...) of each metric.
    """
    n, n_classes = occurs.sum(axis=-1), (occurs > 0).sum(axis=-1)
    f1 = _f1(occurs, predicted, right)
    return {
        "wa": right.sum(axis=-1) / n,
        "ua": (right / np.maximum(occurs, 1)).sum(axis=-1) / n_classes,
        "macro_f1": f1.sum(axis=-1) / n_classes,
        "macro_f1_all": f1.sum(axis=-1) / (occurs + predicted > 0).sum(axis=-1),
        "weighted_f1": (f1 * occurs).sum(axis=-1) / n,
    }


def as_count(n: float) -> str:
    """A count, or the mean of several with one decimal.

    >>> as_count(1048), as_count(45.0), as_count(13 + 1 / 3)
    ('1048', '45', '13.3')
    """
    return f"{n:.1f}".removesuffix(".0")


def class_numbers(values: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """The class number of each label, (N,).

    Raises:
        MismatchError: a label that is not one of `labels`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    assert len(numbers) == len(labels), f"a label occurs twice in {list(labels)}"
    for value in values:
        if value not in numbers:
            raise MismatchError(
                f"The label '{value}' is not one of the model's: {', '.join(labels)}. "
                "Prepare the dataset with the label set that the model was trained on."
            )
    return np.array([numbers[value] for value in values], dtype=np.int64)


def _f1(occurs: Array, predicted: Array, right: Array) -> Array:
    """(..., K): 0 where a class neither occurs nor is predicted."""
    return 2 * right / np.maximum(occurs + predicted, 1)  # 1: a class that does not occur is never right


def _shares(part: Array, whole: Array, labels: Sequence[str]) -> dict[str, float | None]:
    """The share of each class; None where the whole is empty."""
    pairs = zip(labels, part.tolist(), whole.tolist(), strict=True)
    return {label: float(some / every) if every else None for label, some, every in pairs}
