"""The records of an evaluation, as the report page, its tables and `--json` show them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sercli.dataset.transcripts import WordErrors
from sercli.evaluation.metrics import class_numbers, count_pairs, from_counts
from sercli.types import Array, Predictions, Report


@dataclass(frozen=True)
class PooledPredictions:
    """The predictions of one system on a test set, pooled over folds, once for each training seed."""

    name: str
    modality: str  # as in run.json
    runs: tuple[Predictions, ...]  # (S,) one per seed, with the same ids, labels and truth; at least one
    raw: tuple[Array, ...]  # (S,) of (N, K): the probabilities before temperature scaling
    seeds: tuple[str, ...] = ("0",)  # (S,) names of the runs, such as "0", or "fold 2, seed 0" on other data
    folds: tuple[int, ...] = ()  # utterances of each fold, in their order; empty: not pooled over folds
    seen: frozenset[str] | None = None  # ids whose sentence a training utterance has; None: not known

    @cached_property
    def truth(self) -> Array:
        """(N,) the true class numbers."""
        assert self.runs[0].truth is not None, f"the utterances of '{self.name}' have no labels"
        return class_numbers(self.runs[0].truth, self.runs[0].labels)

    @cached_property
    def predicted(self) -> Array:
        """(S, N) the predicted class numbers."""
        return np.array([run.probs.argmax(axis=1) for run in self.runs])

    def report(self, indices: Array | slice = slice(None)) -> Report:
        """The metrics on all utterances or some of them, the mean over seeds.

        Class counts are the same for each seed, so that WA and UA of the summed counts are the means over seeds.
        """
        labels, predicted = self.runs[0].labels, self.predicted[:, indices]
        truth = np.broadcast_to(self.truth[indices], predicted.shape)
        counts = count_pairs(truth.ravel(), predicted.ravel(), len(labels))
        return from_counts(self.name, counts, labels, len(self.runs))


@dataclass(frozen=True)
class Estimate:
    """A metric with its uncertainty."""

    value: float  # mean over seeds
    low: float  # 95 % interval over groups of utterances; see intervals.py
    high: float
    deviation: float | None = None  # standard deviation over seeds; None: one seed


@dataclass(frozen=True)
class Calibration:
    """How well confidence matches accuracy; lower is better for all three."""

    ece: float  # expected calibration error, 15 bins
    nll: float  # mean negative log-likelihood, nats
    brier: float  # mean squared distance of the probabilities from the truth, 0 to 2


@dataclass(frozen=True)
class Bin:
    """The predictions within a range of confidence."""

    confidence: float  # mean
    accuracy: float
    n: int


@dataclass(frozen=True)
class FoldResult:
    """The metrics of one training on the utterances that it was tested on."""

    fold: int | None  # counted from 1; None: not pooled over folds
    seed: str
    n: int
    wa: float
    ua: float
    macro_f1: float
    weighted_f1: float


@dataclass(frozen=True)
class Spread:
    """A metric over the folds of a cross-validation, each the mean over seeds."""

    mean: float
    deviation: float  # standard deviation


@dataclass(frozen=True)
class Slice:
    """The metrics on some of the utterances."""

    by: str  # what they have in common: sex, speaker, style, length, ...
    value: str  # female, 2 to 4 s, ...
    n: int
    wa: float
    ua: float  # over the classes that occur in it; of one class: its recall, which is the WA as well
    low: float  # 95 % interval of the UA, over groups of utterances if there are at least 3, else over utterances
    high: float
    gap: float  # the UA minus that of all utterances, over the same classes
    absent: tuple[str, ...] = ()  # classes that do not occur
    recall: dict[str, float | None] = field(default_factory=dict)  # of each class; None: it does not occur
    counts: dict[str, int] = field(default_factory=dict)  # utterances of each class
    n_groups: int = 1  # speakers, or whatever the intervals are over
    worse: bool = False  # than all utterances, by an interval that is corrected for the number of slices


@dataclass(frozen=True)
class Mistake:
    """A confident wrong prediction."""

    id: str
    path: str | None
    start_s: float | None
    words: str | None
    truth: str
    answer: str  # the predicted class
    confidence: float
    members: dict[str, tuple[str, float]] = field(default_factory=dict)  # name -> its class and confidence
    speaker: str | None = None


@dataclass(frozen=True)
class Published:
    """The WA that the original study reports for a system, and ours on the same utterances."""

    wa: float
    ours: Slice


@dataclass(frozen=True)
class Training:
    """How a system was made."""

    command: str  # "": not known
    hardware: str  # "": not known, or no network was trained
    parameters: int  # of the networks that predict together; without those that compute features
    seconds: float  # of all epochs of all folds and seeds; members of an ensemble have their own
    settings: dict[str, str]
    name: str = ""  # of the preset, or "custom"; of an ensemble the rule
    words: str = ""  # whose transcripts it reads; "": none
    temperatures: tuple[float, ...] = ()  # of each fold and seed


@dataclass(frozen=True)
class SystemResult:
    """All results of one system."""

    name: str
    modality: str
    report: Report  # the mean over seeds
    wa: Estimate
    ua: Estimate
    macro_f1: Estimate
    macro_f1_all: Estimate
    weighted_f1: Estimate
    before: Calibration  # without temperature scaling
    after: Calibration  # with it, as the system predicts
    reliability: tuple[Bin, ...]
    risk_coverage: tuple[tuple[float, float], ...]  # coverage -> risk, the most confident predictions first
    slices: tuple[Slice, ...]
    above: dict[int, Bin]  # confidence in percent -> the predictions that have at least that, where there are any
    worst: Slice | None  # of those with enough utterances and an interval below the UA of all
    mistakes: tuple[Mistake, ...]
    folds: tuple[FoldResult, ...] = ()  # of each fold and seed, if there are several
    over_folds: dict[str, Spread] = field(default_factory=dict)  # metric -> its mean over folds; empty: one fold
    n_seen: int | None = None  # utterances whose sentence a training utterance has; None: not known
    published: Published | None = None  # the result of the original study for this system
    training: Training | None = None


@dataclass(frozen=True)
class Difference:
    """Two systems on the same utterances."""

    first: str  # the one with the higher UA
    second: str
    ua: Estimate  # first minus second
    wa: Estimate
    p_ua: float  # sign-flip test over groups of utterances, two-sided
    p_holm: float  # p_ua, corrected for all comparisons of the evaluation
    better: tuple[int, int]  # groups in which the first, and the second, recognises more


@dataclass(frozen=True)
class Overlap:
    """What another dataset shares with the train parts of the systems."""

    recordings: int  # distinct recordings that are in a train or validation part, by digest
    speakers: tuple[str, ...]  # corpus/speaker
    dropped: int  # utterances left out of the evaluation


@dataclass(frozen=True)
class Groups:
    """What intervals and tests are over."""

    kind: str  # speaker | dialogue | session | utterance
    n: int


Facts = dict[str, str | int | float]


@dataclass(frozen=True)
class Evaluation:
    """A whole evaluation. What `score` cannot know of it has a default and is filled in by `evaluate`."""

    labels: tuple[str, ...]
    systems: tuple[SystemResult, ...]  # highest UA first
    baselines: tuple[Report, ...]
    differences: tuple[Difference, ...]
    groups: Groups
    protocol: Facts  # split, folds, hash of the split, trainings, what the intervals are over, ...
    warnings: tuple[str, ...]  # shared speakers, slices that could not be made, ...
    question: str = ""  # what the evaluation answers, in one sentence
    data: Facts = field(default_factory=dict)  # corpus, licence, utterances, speakers, hours, class counts, hash, ...
    word_errors: dict[str, WordErrors] = field(default_factory=dict)  # recogniser -> its errors on these utterances
    environment: dict[str, str] = field(default_factory=dict)  # versions that trained the first system, and the day
    command: str = ""  # that repeats it
    leak: str = ""  # what parts share and which metrics are too good for it: the page says so before anything else
    overlap: Overlap | None = None  # with the train parts, where another dataset is evaluated
