"""Several systems scored side by side on the same utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sercli.errors import MismatchError, SerError
from sercli.evaluation import metrics
from sercli.types import Predictions, Report


@dataclass(frozen=True)
class Comparison:
    """Reports of systems with the two baselines."""

    systems: tuple[Report, ...]
    baselines: tuple[Report, ...]

    def to_json(self) -> dict[str, Any]:
        """One object, as `ser evaluate --json` prints it."""
        return {
            "systems": [metrics.to_json(report) for report in self.systems],
            "baselines": [metrics.to_json(report) for report in self.baselines],
        }


def compare(named: Sequence[tuple[str, Predictions]], train_counts: Mapping[str, int]) -> Comparison:
    """Score systems that answered on the same utterances.

    Args:
        named: each system's name with its predictions, which carry the truth.
        train_counts: class counts of the train part, from which the majority baseline takes its class.

    Raises:
        MismatchError: the systems answered on different utterances, with other labels, or know another truth.
        SerError: the utterances' labels are not the systems'.
    """
    (first_name, first), *others = named
    if first.truth is None:
        raise SerError(
            f"{first_name} knows the labels {', '.join(first.labels)}; the dataset's are others. "
            "Prepare it with the same --labels."
        )
    for name, predictions in others:
        _check_same(first_name, first, name, predictions)
    train_truth = [label for label, count in train_counts.items() for _ in range(count)]
    return Comparison(
        tuple(metrics.report_from(predictions, name) for name, predictions in named),
        tuple(metrics.baselines(first.truth, first.labels, train_truth or None)),
    )


def _check_same(first_name: str, first: Predictions, name: str, other: Predictions) -> None:
    if first.labels != other.labels:
        raise MismatchError(
            f"{first_name} and {name} have other labels: {', '.join(first.labels)} against {', '.join(other.labels)}; "
            "evaluate them one at a time."
        )
    if first.ids != other.ids:
        odd = sorted(set(first.ids) ^ set(other.ids))
        what = f"only one has '{odd[0]}'" if odd else "in another order"
        raise MismatchError(
            f"{first_name} and {name} answered on different utterances ({len(first.ids)} and {len(other.ids)}; {what});"
            " evaluate runs of one split and fold, or one at a time."
        )
    if first.truth is not None and other.truth is not None and first.truth != other.truth:
        pairs = zip(first.ids, first.truth, other.truth, strict=True)
        odd_id, one, another = next(pair for pair in pairs if pair[1] != pair[2])
        raise MismatchError(
            f"{first_name} and {name} know the same utterances by other labels ('{odd_id}' is {one} for one, "
            f"{another} for the other); evaluate them on one dataset with --data."
        )
