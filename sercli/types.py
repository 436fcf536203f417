"""The types that the packages of sercli exchange: frozen dataclasses with little logic.

Legend of shapes, used in every docstring: B batch, T time, F features, E embedding, K classes, N utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FOUR = ("neutral", "happiness", "sadness", "anger")
"""The label set of the original study; `happiness` is happy and excited together."""

SAMPLE_RATE_HZ = 16_000
"""The rate at which speech is detected and transcribed, and that audio features use by default."""

# Bounds that a configuration field can carry; config.py checks them and names the value that breaks one.
PositiveInt = Annotated[int, Meta(ge=1)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
# Values that alone can exhaust time or memory have an upper bound, because a run directory may come from anyone.
Depth = Annotated[int, Meta(ge=1, le=64)]  # stacked layers
Bands = Annotated[int, Meta(ge=1, le=1024)]
RateHz = Annotated[int, Meta(ge=1000, le=384_000)]
PictureSide = Annotated[int, Meta(ge=1, le=16_384)]
WindowS = Annotated[float, Meta(gt=0, le=10)]
Speed = Annotated[float, Meta(ge=0.5, le=2)]
Variant = Annotated[int, Meta(ge=0, le=16)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Dropout = Annotated[float, Meta(ge=0, lt=1)]

Array = NDArray[Any]

CLEAR = 0.25
"""ASR confidence below which words are guesses, or another language."""

Modality = Literal["acoustic", "linguistic", "motion", "both"]
"""What a model reads: audio, text, motion capture, or several of them."""

Way = Literal["none", "auto", "full"]
"""How predictions are adapted to a group of utterances: not at all, carefully, or by the mean of the group."""

Group = Literal["recording", "folder", "speaker"]
"""What utterances of the same voice or room have in common."""

UNSURE = "unsure"
"""The label of a prediction whose probability is below `min_confidence`."""

NEUTRAL = "neutral"
"""The class of speech without emotion."""

HUMAN = "human"
"""The key of a transcript that a person wrote; other keys are names of recognisers."""


@dataclass(frozen=True)
class Utterance:
    """One turn of speech: its audio file, transcripts, speaker and label."""

    id: str  # unique in its corpus
    corpus: str
    # After `read`: the corpus' own label, spelt out; in a manifest: one of Manifest.labels; None: to be predicted.
    label: str | None
    speaker: str | None = None  # unique in its corpus
    session: str | None = None
    prompt: str | None = None  # script or sentence id: utterances with the same prompt have the same text
    audio: str | None = None  # path below the corpus root, "/" between folders
    start_s: float | None = None  # begin and end of the utterance in the file; None: the file's start
    end_s: float | None = None  # None: the file's end
    # `HUMAN`, a recogniser's name, "recognised" or "given" -> what was said
    transcripts: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)  # JSON-safe: sex, style, part, valence, votes, ...
    digest: str | None = None  # of the audio file's bytes; `prepare` fills it in
    duration_s: float | None = None  # `prepare` fills it in

    @property
    def true_label(self) -> str:
        """The label of an utterance that has one, as every utterance of a corpus."""
        assert self.label is not None, f"'{self.id}' has no label"
        return self.label

    @property
    def text(self) -> str | None:
        """The transcript that models read: the only one, whoever it is from; None without one."""
        return next(iter(self.transcripts.values()), None)

    @property
    def inputs(self) -> frozenset[str]:
        """The kinds of input that the utterance has, of "text", "audio" and "motion"."""
        given = {"text": self.text, "audio": self.audio, "motion": self.attributes.get(MOTION)}
        return frozenset(kind for kind, value in given.items() if value is not None)


@dataclass(frozen=True)
class Word:
    """A recognised word with its times and probability."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class Spoken:
    """An utterance's speech with its words, for features that read both."""

    signal: Array  # (n_samples,)
    text: str
    parts: Array  # (words of the text, 2) start and end of each, as shares of the speech


@dataclass(frozen=True)
class Transcript:
    """What a recogniser returns for a piece of audio."""

    text: str  # "" if no words were recognised
    words: tuple[Word, ...] = ()  # empty if the recogniser gives no times
    confidence: float = 1.0  # ASR confidence in [0, 1]; low for a language that the recogniser does not know
    no_speech: float = 0.0  # probability that nobody speaks
    language: str | None = None  # code of the language that the text is in, such as "de"; None: not reported
    language_probability: float | None = None  # that it is spoken; None: not reported, or the recogniser knows no other


@dataclass(frozen=True)
class Remark:
    """A corpus reader's note: something that it skipped, or a warning."""

    kind: Literal["skipped", "warning"]
    source: str  # the file, file:line or id that the remark is about
    reason: str  # a short phrase, the same for all remarks of one kind, so that they can be counted


ASR_CONFIDENCE = "asr_confidence"
"""The attribute of an utterance with the ASR confidence of its transcript, in [0, 1]; absent: 1."""

WORD_TIMES = "word_times"
"""The attribute of an utterance with start and end in seconds of each word of its text; absent: not known."""

MOTION = "motion"
"""The attribute of an utterance with its motion capture: `files` (path below the corpus root -> bytes, in the order of
`MOCAP`), and `start_s` and `end_s` in them."""

MOCAP = {"rotated": 165, "head": 6, "hand": 18}
"""Numbers in a frame of motion capture: 55 markers on the face, the head's rotation and shift, and 6 on the hands."""

LANGUAGE = "language"
"""The attribute of an utterance with the language of its transcript, a code or an English name; absent: not known."""


@dataclass(frozen=True)
class Manifest:
    """The utterances of a prepared dataset with their ordered label set."""

    utterances: Sequence[Utterance]  # read-only
    labels: tuple[str, ...]
    sha256: str  # of utterances and labels: two datasets with the same hash are the same


ALL = "all"
"""The kind of split of a model that is trained on the utterances of all folds: it has a train part alone."""


@dataclass(frozen=True)
class Split:
    """Which utterance is in which part, by id, in manifest order."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    kind: str  # seed | loso | speakers | prompts | official | file | all
    group_by: str  # what never spans two parts: session, speaker or part; "none" where the split leaks
    fold: int  # counted from 1
    n_folds: int
    seed: int
    leaky: bool = False  # True: parts share speakers or sounds, so scores are too good
    test_apart: bool = False  # of a leaky split: the test part shares no speaker with the others
    same_sounds: tuple[str, ...] = ()  # "ID = ID" for each sound that is in several parts


@dataclass(frozen=True)
class AudioConfig:
    """How a recording becomes the signal of an audio feature; the Config of each audio feature extends it."""

    sample_rate_hz: RateHz = SAMPLE_RATE_HZ
    level_dbfs: float | None = -26.0  # level of the active speech after normalisation; null: as recorded
    speed: Speed = 1.0  # playback speed: 1.1 is 10 % faster and all pitches 10 % higher; see train.speeds
    # 0: as recorded; n: the n-th random variation of voice, microphone, room and noise; see train.variants
    variant: Variant = 0
    # speaker: from each frame the mean over all frames of the speaker in the dataset is subtracted, also in the test
    # part (transductive); for corpora with many clips a speaker, whose speakers are in one part each. speaker-z: the
    # result is also divided by their standard deviation
    normalise: Literal["none", "speaker", "speaker-z"] = "none"


@dataclass(frozen=True)
class ModelSpec:
    """Features and an architecture, each with the Config of its own plugin."""

    features: "tuple[tuple[str, DataclassInstance], ...]"  # one for each input of the network, in its order
    architecture: str
    architecture_config: "DataclassInstance"


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained."""

    epochs: PositiveInt = 200  # upper bound; early stopping usually ends training sooner
    patience: PositiveInt = 30  # epochs without a better validation loss before stopping
    # Which epoch's weights are kept: "best" has the lowest validation loss; "last" turns early stopping off and suits a
    # cosine schedule. On a small validation part the lowest loss is largely chance.
    keep: Literal["best", "last"] = "best"
    batch_size: PositiveInt = 32
    # like-length pads little; random also mixes long with short utterances, and so corpora and voices, in each batch:
    # with mixup, a network that is trained on several corpora does better on another one
    batches: Literal["like-length", "random"] = "like-length"
    # sgd has a momentum of 0.9
    optimiser: Literal["adamw", "sgd"] = "adamw"
    lr: Positive = 1e-3  # learning rate; sgd needs a larger one than adamw, up to 1 for a network of one layer
    schedule: Literal["constant", "cosine"] = "constant"  # of the learning rate; cosine: falls to zero at `epochs`
    weight_decay: NonNegative = 0.0  # decoupled in adamw (Loshchilov and Hutter 2019), L2 in sgd
    # Multiply matrices in bfloat16 on a CPU that has instructions for it; false: the same weights on more CPUs
    bfloat16: bool = True
    clip_norm: NonNegative = 5.0  # upper bound of the norm of the gradient; 0: no clipping
    class_weights: bool = False  # weight the loss by inverse class frequency in the train part
    balanced: bool = False  # draw all classes equally often: rare ones repeatedly, and not all of the others each epoch
    # Weight of a second target, activation and valence, where utterances have these attributes (IEMOCAP); 0: none
    dimensions: NonNegative = 0.0
    label_smoothing: Dropout = 0.0
    # What the network is to predict: "hard", the class of each utterance, or "soft", the distribution of its raters'
    # votes over the classes, where the corpus has votes. The validation part and all metrics stay with the class.
    targets: Literal["hard", "soft"] = "hard"
    # Standardise each of the F features by itself, or all by one mean and deviation; measured on the train part only.
    scale: Literal["feature", "global", "none"] = "feature"
    feature_noise: NonNegative = 0.0  # standard deviation of Gaussian noise added to the scaled features
    # Probability that a frame is set to zero: of text, that a word is left out (Iyyer et al. 2015, "word dropout")
    frame_dropout: Dropout = 0.0
    time_masks: NonNegativeInt = 0  # SpecAugment (Park et al. 2019): number of masked stretches of time
    time_mask_fraction: Fraction = 0.1  # longest mask, as a share of the utterance
    feature_masks: NonNegativeInt = 0  # SpecAugment: number of masked bands of features
    feature_mask_fraction: Fraction = 0.15  # widest mask, as a share of F
    # Speeds of further copies of the train part, such as 0.9 and 1.1; each is cached as a feature of its own
    # (Ko et al. 2015, "Audio augmentation for speech recognition").
    speeds: Annotated[tuple[Speed, ...], Meta(max_length=16)] = ()
    # Number of further copies of the train part, each a random variation of voice, microphone, room and noise
    variants: Variant = 0
    stretch: Dropout = 0.0  # largest random change of tempo, as a share (0.15: 0.85 to 1.15)
    # Vocal tract length perturbation (Jaitly and Hinton 2013): largest random stretch of the frequency axis, as a share
    warp: Dropout = 0.0
    shift: NonNegativeInt = 0  # largest random shift along F (on a mel axis: of pitch and formants)
    # Temperature of the probabilities; null: fitted on the validation part. Set a higher one for recordings out of
    # domain, where a network is overconfident.
    temperature: Positive | None = None
    mixup: NonNegative = 0.0  # alpha of the Beta distribution (Zhang et al. 2018); 0: no mixup


@dataclass(frozen=True)
class EpochResult:
    """Losses and validation UA of one epoch of training; None without a validation part."""

    epoch: int  # counted from 1
    train_loss: float
    valid_loss: float | None
    valid_uar: float | None
    seconds: float


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for some utterances, as models, ensembles, evaluation and predict exchange them."""

    ids: tuple[str, ...]  # (N,)
    labels: tuple[str, ...]  # (K,)
    probs: Array  # (N, K) float64, each row sums to 1
    truth: tuple[str, ...] | None = None  # (N,) where the utterances are labelled
    embeddings: Array | None = None  # (N, E) float32
    asr_confidence: Array | None = None  # (N,) in [0, 1], of the text that was read; None: all 1
    modality: Modality = "both"  # of the model, as in its run's info
    members: dict[str, Array] = field(default_factory=dict)  # of an ensemble: name -> probs (N, K); NaN: no input


@dataclass(frozen=True)
class Recording:
    """A recording to predict, with its options."""

    name: str  # becomes `Prediction.path`
    path: Path | None = None  # None: the audio is in memory or a stream
    text: str | None = None  # its transcript; None: the recogniser transcribes it
    min_confidence: float = 0.0  # below this probability the label is UNSURE
    start_s: float | None = None  # the stretch to predict; None: from the file's start
    end_s: float | None = None  # None: to the file's end
    speaker: str | None = None  # who speaks, if that is known; becomes `Prediction.speaker`
    row: dict[str, object] = field(default_factory=dict)  # the table row that lists it; becomes `Prediction.row`
    track: int | None = None  # sound track, from 1; None: the one flagged default, else the first with speech


@dataclass(frozen=True)
class Adapted:
    """What a prediction was adapted to: the group of utterances with the same voice or room."""

    group: str  # "recording", "folder" or "speaker"; "voice" for clips at rest
    n: int  # utterances in the group, or clips at rest
    how: str  # "auto" or "full"; "neutral" for clips at rest; "neutral, auto" for both


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one utterance: a clip, or a stretch of a long recording."""

    path: str  # of the recording; "" for audio that is in memory
    start_s: float  # in the recording
    end_s: float
    label: str | None = None  # the most probable class, or "unsure"; None if there is no speech or no text to read
    confidence: float | None = None  # probability of the likeliest class
    probabilities: dict[str, float] = field(default_factory=dict)  # sums to 1; empty where there is no label
    text: str | None = None  # the transcript, recognised or given
    words: tuple[Word, ...] = ()  # the words of the text with times in the recording, if the recogniser gives them
    # of an ensemble: name of a member, such as "acoustic" -> its probabilities alone; absent where it had no input
    members: dict[str, dict[str, float]] = field(default_factory=dict)
    asr_confidence: float | None = None  # ASR confidence of the text, in [0, 1]; None without text
    language: str | None = None  # code of the recognised text's language; None: not reported, or no recognised text
    # As a table names it, or A, B, ... in order of first appearance; None: speakers were not told apart.
    speaker: str | None = None
    reason: str | None = None  # why there is no label, or which input was missing
    adapted: Adapted | None = None  # what the probabilities were adapted to; None: each utterance by itself
    unadapted: dict[str, float] | None = None  # the probabilities without it
    row: dict[str, object] = field(default_factory=dict)  # column -> cell of the table row that lists the recording
    remarks: tuple[str, ...] = ()  # what was left out of the recording so far, guessed, or cannot be known

    def labelled(self, probabilities: dict[str, float], min_confidence: float) -> "Prediction":
        """Return the prediction with probabilities and their likeliest label, "unsure" below a probability."""
        label, confidence = max(probabilities.items(), key=itemgetter(1))
        label = label if confidence >= min_confidence else UNSURE
        return replace(self, label=label, confidence=confidence, probabilities=probabilities)

    @property
    def clear_text(self) -> str:
        """The text if its ASR confidence is at least `CLEAR`; else ""."""
        sure = self.asr_confidence is None or self.asr_confidence >= CLEAR
        return (self.text or "") if sure else ""

    @property
    def doubt(self) -> str:
        """What stands behind the text where its ASR confidence is below 1, such as "(ASR confidence 0.45)"; else ""."""
        sure = self.asr_confidence is None or self.asr_confidence >= 0.995  # 1.00 as it would be shown
        return "" if sure else f"(ASR confidence {self.asr_confidence:.2f})"


@dataclass(frozen=True)
class Report:
    """The metrics of predictions. An absent class has no recall (None) and is left out of `ua` and `macro_f1`."""

    name: str
    n: int  # utterances
    labels: tuple[str, ...]  # (K,)
    wa: float  # weighted accuracy: share of all utterances that are predicted correctly
    ua: float  # unweighted accuracy: mean recall over the classes that occur
    macro_f1: float  # mean F1 over the classes that occur
    macro_f1_all: float  # over those that are predicted, too, as scikit-learn has it
    weighted_f1: float
    recall: dict[str, float | None]
    precision: dict[str, float | None]  # None where the class was never predicted
    f1: dict[str, float | None]  # None where the class does not occur
    confusion: list[list[float]]  # (K, K) rows truth, columns prediction; the mean over seeds
    n_seeds: int = 1  # trainings whose predictions were counted together
