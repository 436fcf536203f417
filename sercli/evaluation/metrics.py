"""Figures that say how good predictions are: pure functions over labels, with every empty class defined."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sercli.errors import MismatchError, SerError
from sercli.types import Array, Predictions, Report

N_BINS = 15
"""Of confidence, where calibration is measured."""


def confusion(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """Count who was taken for whom.

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
    return _count(class_numbers(truth, labels), class_numbers(predicted, labels), len(labels))


def report(name: str, truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Report:
    """All figures of one system.

    A class that never occurs in `truth` has no recall (None) and stays out of `ua` and `macro_f1`, even where it was
    predicted; such predictions still count as errors of the classes that they were taken from. A class that was never
    predicted has no precision (None). F1 is 2 tp / (2 tp + fp + fn), 0 where nothing of the class was found.

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
    """The figures of predictions whose utterances are labelled; the likeliest class is the answer, the first of equals.

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
    """Unweighted average recall on class numbers, quick enough for every epoch of training.

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
    occurs = np.bincount(truth_index, minlength=n_labels)
    right = np.bincount(truth_index[truth_index == predicted_index], minlength=n_labels)
    return float(np.mean(right[occurs > 0] / occurs[occurs > 0]))


def calibration_error(probs: Array, truth_index: Array, n_bins: int = N_BINS) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, by bins of confidence.

    Source: Guo et al. 2017, "On calibration of modern neural networks"; bins of equal width.

    Args:
        probs: (N, K), N at least 1.
        truth_index: (N,) classes.
        n_bins: over (0, 1].

    >>> round(calibration_error(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])), 3)
    0.3
    """
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == truth_index
    bins = np.ceil(confidence * n_bins).astype(np.int64)
    gaps = np.bincount(bins, weights=right - confidence)
    return float(np.abs(gaps).sum() / len(probs))


def baselines(truth: Sequence[str], labels: Sequence[str], train_truth: Sequence[str] | None = None) -> list[Report]:
    """What needs no model: `chance` guesses each class equally often, `majority` always the most frequent one.

    The figures of `chance` are those of its expected confusion matrix, in which each class is spread evenly over all K
    predictions: WA, UA and each recall are 1/K, the precision of a class is its share of the utterances. Its
    `confusion` holds these counts rounded to integers so that each row keeps its sum.

    Args:
        truth: (N,) labels of the utterances to score.
        labels: (K,) the classes in their order.
        train_truth: labels of the train part, which decide what the majority is; None: `truth` does. The first in the
            order of `labels` wins a tie.

    Raises:
        SerError: there is no utterance.
        MismatchError: a label that is not one of `labels`.
    """
    rows = confusion(truth, truth, labels).diagonal()
    even = np.repeat(rows[:, None] / len(labels), len(labels), axis=1)
    known = Counter(truth if train_truth is None else train_truth)
    class_numbers(list(known), labels)
    most = max(labels, key=lambda label: known[label])  # max keeps the first of equals
    return [from_counts("chance", even, labels), report("majority", truth, [most] * len(truth), labels)]


def to_json(report: Report) -> dict[str, Any]:
    """The report as one system of `ser evaluate --json`; None where a class has no recall or precision."""
    return {
        "name": report.name,
        "n": report.n,
        "wa": report.wa,
        "ua": report.ua,
        "macro_f1": report.macro_f1,
        "weighted_f1": report.weighted_f1,
        "recall": dict(report.recall),
        "precision": dict(report.precision),
        "confusion": [list(row) for row in report.confusion],
        "labels": list(report.labels),
    }


def from_counts(name: str, counts: Array, labels: Sequence[str]) -> Report:
    """The report of a confusion matrix (K, K), whole counts or expected ones.

    Raises:
        SerError: there is no utterance.
    """
    occurs, answered, right = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    n = round(float(occurs.sum()))
    if n == 0:
        raise SerError(f"'{name}' cannot be scored: there is no utterance in this part.")
    recall, precision = _share(right, occurs), _share(right, answered)
    f1 = 2 * right / np.maximum(occurs + answered, 1e-300)  # both empty: 0
    present = occurs > 0
    return Report(
        name=name,
        n=n,
        labels=tuple(labels),
        wa=float(right.sum() / occurs.sum()),
        ua=float(recall[present].mean()),
        macro_f1=float(f1[present].mean()),
        weighted_f1=float((f1 * occurs).sum() / occurs.sum()),
        recall=_named(recall, labels),
        precision=_named(precision, labels),
        confusion=_whole(counts).tolist(),
    )


def class_numbers(values: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """The class number of each label, (N,).

    Raises:
        MismatchError: a label that is not one of `labels`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    assert len(numbers) == len(labels), f"a label stands twice in {list(labels)}"
    for value in values:
        if value not in numbers:
            raise MismatchError(
                f"The label '{value}' is not one of the model's: {', '.join(labels)}. "
                "Prepare the dataset with the label set that the model was trained on."
            )
    return np.array([numbers[value] for value in values], dtype=np.int64)


def _count(rows: NDArray[np.int64], columns: NDArray[np.int64], n_labels: int) -> NDArray[np.int64]:
    cells = np.bincount(rows * n_labels + columns, minlength=n_labels**2)
    return cells.reshape(n_labels, n_labels).astype(np.int64)


def _share(part: Array, whole: Array) -> NDArray[np.float64]:
    """Element by element part / whole, NaN (here only) where the whole is empty."""
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _named(values: NDArray[np.float64], labels: Sequence[str]) -> dict[str, float | None]:
    return {
        label: None if np.isnan(value) else float(value) for label, value in zip(labels, values.tolist(), strict=True)
    }


def _whole(counts: Array) -> NDArray[np.int64]:
    """Round each row down and hand its remainder out one by one, so that rows keep their sums.

    Only expected counts have a remainder, and there all cells of a row are equal; going on in the next row with the
    column after the last one served spreads the remainders evenly, so that no class seems to be favoured.
    """
    whole = np.floor(counts + 1e-9).astype(np.int64)
    column = 0
    for row, missing in enumerate(np.rint(counts.sum(axis=1)).astype(np.int64) - whole.sum(axis=1)):
        for _ in range(missing):
            whole[row, column % len(whole)] += 1
            column += 1
    return whole
