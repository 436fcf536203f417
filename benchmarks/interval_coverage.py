"""How often intervals hold the true value, and how often equal systems are told apart, by simulation.

Speakers differ by a normal effect of 0.5 on the logit of accuracy, drawn anew for each of two systems that are equally
good, and speak 40 clips of four classes each. Per number of speakers and level of accuracy the table has the share of
95 % intervals that hold the true value, and of tests with p < .05, which should be .05 or less. It exits with 1 if from
4 speakers on coverage is below .92 or the error of the sign-flip test over .06.

    python benchmarks/interval_coverage.py [RUNS]
"""

import sys

import numpy as np

from sercli.evaluation.intervals import LEVEL, Grouped, differences, group
from sercli.evaluation.metrics import averages
from sercli.evaluation.results import PooledPredictions
from sercli.types import FOUR, Array, Predictions

SPREAD, N_EACH = 0.5, 40
SPEAKERS = (3, 4, 5, 6, 7, 10, 15, 24)
LEVELS = (0.5, 2.0, 3.5)  # logits of accuracy: .62, .87 and .97
METRICS = ("ua", "wa", "macro_f1")
LEAST_COVERAGE, MOST_ERRORS, FROM = 0.92, 0.06, 4


def predicted(rng: np.random.Generator, truth: Array, level: float) -> Array:
    """Predictions (S, C) for speakers with effects of their own; a wrong class is any other."""
    accuracy = 1 / (1 + np.exp(-rng.normal(level, SPREAD, size=(len(truth), 1))))
    wrong = (truth + rng.integers(1, len(FOUR), size=truth.shape)) % len(FOUR)
    return np.where(rng.random(truth.shape) < accuracy, truth, wrong)


def true_values(rng: np.random.Generator, level: float) -> dict[str, float]:
    """The metrics over 50,000 speakers."""
    truth = rng.integers(len(FOUR), size=(50_000, N_EACH))
    answers = predicted(rng, truth, level)
    classes = range(len(FOUR))
    counts = [np.array([where.sum() for where in masks]) for masks in (
        [truth == k for k in classes], [answers == k for k in classes], [(truth == k) & (answers == k) for k in classes]
    )]  # fmt: skip
    return {metric: float(value) for metric, value in averages(*counts).items()}


def system(truth: Array, answers: Array) -> tuple[PooledPredictions, Grouped]:
    """A system with its metrics over speakers."""
    names = tuple(FOUR[k] for k in truth.ravel())
    run = Predictions(tuple(map(str, range(truth.size))), FOUR, np.eye(len(FOUR))[answers.ravel()], names)
    made = PooledPredictions("", "acoustic", (run,), (run.probs,))
    return made, group(made, [f"s{speaker}" for speaker in range(len(truth)) for _ in range(N_EACH)])


def shares(rng: np.random.Generator, n_speakers: int, level: float, true: dict[str, float], runs: int) -> list[float]:
    """The coverage of each metric and of the difference, then the errors of the sign-flip test."""
    hits = np.zeros(len(METRICS) + 2)
    for _ in range(runs):
        truth = rng.integers(len(FOUR), size=(n_speakers, N_EACH))
        pair = [system(truth, predicted(rng, truth, level)) for _ in range(2)]
        (found,) = differences(pair)
        estimates = [pair[0][1].estimate(metric) for metric in METRICS]
        held = [e.low <= true[metric] <= e.high for metric, e in zip(METRICS, estimates, strict=True)]
        hits += [*held, found.ua.low <= 0 <= found.ua.high, found.p_ua < LEVEL]
    return [float(share) for share in hits / runs]


def main(runs: int) -> int:
    """Print the table; return 1 if an aim is missed."""
    rng = np.random.default_rng(0)
    print("| speakers | accuracy | UA | WA | macro-F1 | difference of UA | error of sign flips |")
    print("|---|---|---|---|---|---|---|")
    missed = False
    for level in LEVELS:
        true = true_values(rng, level)
        for n_speakers in SPEAKERS:
            *covered, flips = shares(rng, n_speakers, level, true, runs)
            cells = " | ".join(f"{share:.3f}".removeprefix("0") for share in (true["wa"], *covered, flips))
            print(f"| {n_speakers} | {cells} |", flush=True)
            missed |= n_speakers >= FROM and (min(covered) < LEAST_COVERAGE or flips > MOST_ERRORS)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
