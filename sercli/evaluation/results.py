"""What an evaluation finds, as the report page, its tables and `--json` show it: dataclasses alone."""

from dataclasses import dataclass, field

from sercli.types import Array, Predictions, Report


@dataclass(frozen=True)
class Answers:
    """What one system answered on a test set: pooled over folds, once for each seed it was trained with."""

    name: str
    modality: str  # acoustic | linguistic | both
    runs: tuple[Predictions, ...]  # (S,) one a seed, the same ids, labels and truth in each; at least one
    raw: tuple[Array, ...]  # (S,) of (N, K): the probabilities before the temperature


@dataclass(frozen=True)
class Figure:
    """A figure with its uncertainty."""

    value: float  # mean over seeds
    low: float  # 95 % interval by bootstrap over groups of utterances
    high: float
    deviation: float | None = None  # standard deviation over seeds; None: one seed


@dataclass(frozen=True)
class Calibration:
    """How far probabilities mean what they say: lower is better, of all three."""

    ece: float  # expected calibration error, 15 bins
    nll: float  # mean negative log-likelihood, nats
    brier: float  # mean squared distance of the probabilities from the truth, 0 to 2


@dataclass(frozen=True)
class Bin:
    """The answers within a range of confidence."""

    confidence: float  # mean
    accuracy: float
    n: int


@dataclass(frozen=True)
class Slice:
    """The figures on some of the utterances."""

    by: str  # what they have in common: sex, speaker, style, length, ...
    value: str  # female, 2 to 4 s, ...
    n: int
    wa: float
    ua: float  # over the classes that occur in it
    absent: tuple[str, ...] = ()  # classes that do not


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that was given with confidence."""

    id: str
    path: str | None
    start_s: float | None
    words: str | None
    truth: str
    answer: str
    confidence: float
    members: dict[str, tuple[str, float]] = field(default_factory=dict)  # modality -> answer and its confidence


@dataclass(frozen=True)
class Standing:
    """All that is known of one system."""

    name: str
    modality: str
    n_seeds: int
    report: Report  # confusion counts summed over seeds
    wa: Figure
    ua: Figure
    macro_f1: Figure
    weighted_f1: Figure
    before: Calibration  # without the temperature
    after: Calibration  # with it, as the system answers
    reliability: tuple[Bin, ...]
    risk_coverage: tuple[tuple[float, float], ...]  # share answered, the surest first -> share of those that are wrong
    slices: tuple[Slice, ...]
    worst: Slice | None  # of those with enough utterances
    mistakes: tuple[Mistake, ...]
    published: float | None = None  # WA in the original study's table, where this is one of its systems on its corpus


@dataclass(frozen=True)
class Difference:
    """Two systems on the same utterances."""

    first: str  # the one with the higher UA
    second: str
    ua: Figure  # first minus second
    wa: Figure
    p_ua: float  # paired bootstrap, two-sided
    p_mcnemar: float  # exact, on which utterances each got right
    p_holm: float  # of p_ua, corrected for all the comparisons of the evaluation


@dataclass(frozen=True)
class Review:
    """A whole evaluation."""

    question: str  # what is asked, in one sentence
    labels: tuple[str, ...]
    data: dict[str, str | int | float]  # corpus, licence, utterances, speakers, hours, class counts, hash, ...
    protocol: dict[str, str | int | float]  # split, folds, hash of the folds, seeds, what the intervals are over, ...
    systems: tuple[Standing, ...]  # highest UA first
    baselines: tuple[Report, ...]
    differences: tuple[Difference, ...]
    word_errors: dict[str, float]  # recogniser -> word error rate on these utterances
    warnings: tuple[str, ...]  # leaks, slices that could not be made, ...
    environment: dict[str, str]  # versions of what made it
    command: str  # that repeats it
    leaky: bool = False  # speakers are shared between parts: the page says so before anything else
