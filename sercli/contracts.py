"""What each of the five kinds of plug-ins must provide; CONTRIBUTING.md explains it with an example of each.

A plug-in is a module. What it may provide in addition has a protocol of its own, such as `NeedsExtra`, which is checked
by `isinstance`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from sercli.types import Array, Predictions, Recording, Remark, Transcript, Utterance

if TYPE_CHECKING:
    from torch import Tensor, nn

PluginConfig = Any
"""An instance of the plug-in's own Config."""

NFeatures = Any
"""F of a network's input; for an architecture that `ReadsSeveral`, a tuple with F of each input."""

Setting = bool | int | float | str
SearchSpace = Mapping[str, list[Setting] | tuple[float, float]]
"""Fields of an architecture's Config, each with its choices in a list, or with the least and the largest number.

Numbers between two whole ones are whole.
"""


class Corpus(Protocol):
    """One file per corpus: `sercli/corpora/NAME.py`."""

    HOMEPAGE: str  # where to get the corpus; "" if it is not published
    LICENCE: str
    LABELS: dict[str, str | None]  # native label -> one of the four, or None where `--labels four` drops it
    SPLIT: str  # suggested split: loso, speakers, prompts, official or seed
    FOLDS: int | None  # how many folds; None: one for each session or speaker

    def read(self, root: Path, /) -> Iterator[Utterance | Remark]:
        """Read the utterances below a folder, with a Remark for everything that is left out or odd."""


@runtime_checkable
class ShipsWithSer(Protocol):
    """A corpus whose data comes with its package."""

    def default_root(self) -> Path:
        """Return the folder of the data."""


@runtime_checkable
class ListsRecordings(Protocol):
    """A corpus that is a table, which can also list recordings to predict."""

    ENDINGS: tuple[str, ...]  # of the table's file name, such as ".csv"

    def listed(self, table: Path) -> Iterator[Recording | Remark]:
        """Yield a recording for each row of a table, which needs no label."""


@runtime_checkable
class HasConfig(Protocol):
    """A corpus with settings, `--set corpus.KEY=VALUE`."""

    Config: type[PluginConfig]  # a frozen dataclass with defaults

    def read(self, root: Path, /, config: PluginConfig) -> Iterator[Utterance | Remark]:
        """Read the utterances as `Corpus.read`, as the settings say."""


@runtime_checkable
class HasLanguage(Protocol):
    """A corpus in one language."""

    LANGUAGE: str  # code, such as "en"


@runtime_checkable
class HasMotion(Protocol):
    """A corpus with motion capture."""

    HAS_MOTION: Literal[True]


class Extractor(Protocol):
    """Computes one feature in batches; holds its network, if it has one, on a device."""

    def __call__(self, inputs: Sequence[Any], /) -> list[Array]:
        """Return (T, F) float32, T >= 1, for each of B inputs, as if computed alone.

        An input is a signal (n_samples,) float32, a text, motion (n, 189) float32 with NaN in gaps, or `Spoken`.

        F depends on the configuration only.
        """


class Feature(Protocol):
    """One file per representation: `sercli/features/NAME.py`."""

    INPUT: str  # "audio", "text", "motion", or "aligned" for the sound of each word (`Spoken`)
    VERSION: int  # increase it whenever the same input and Config give other features
    DTYPE: str  # "float16" or "float32": how the cache stores the features
    Config: type[PluginConfig]  # a frozen dataclass with defaults; for audio it extends `AudioConfig`

    def make(self, config: PluginConfig, device: str, /) -> Extractor:
        """Build the extractor of a configuration, with its network, if it has one, on a device."""


class SeveralExtractor(Protocol):
    """Computes several configurations of one feature in batches."""

    def __call__(self, inputs: Sequence[Any], /) -> list[list[Array]]:
        """Return for each configuration what its `Extractor` returns."""


@runtime_checkable
class MakesSeveral(Protocol):
    """A feature whose configurations have work in common, such as the run of a network, which is then done once."""

    def make_several(self, configs: Sequence[PluginConfig], device: str, /) -> SeveralExtractor:
        """Build the extractor of configurations that differ in no field of `AudioConfig`."""


@runtime_checkable
class UsesDevice(Protocol):
    """A feature that computes with a network, which a GPU makes faster."""

    USES_DEVICE: Literal[True]


@runtime_checkable
class HasIdentity(Protocol):
    """A feature that depends on more than its Config, such as the content of a file."""

    def identity(self, config: PluginConfig) -> dict[str, object]:
        """Return what the features depend on, JSON-safe; the cache key uses it instead of the Config."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A feature that reads the user's own files, which a run directory must contain so that it can be moved."""

    FILES: tuple[str, ...]  # names of the files that `export` writes

    def export(self, config: PluginConfig, folder: Path) -> PluginConfig:
        """Copy the files into a run directory; returns the Config that names them relative to it."""

    def localise(self, config: PluginConfig, folder: Path) -> PluginConfig:
        """Return the Config that reads the files which `export` wrote into a folder."""


@runtime_checkable
class HasModule(Protocol):
    """A feature of audio at 16 kHz that torch can compute too, so that `ser export` writes the whole way to ONNX."""

    def module(self, config: PluginConfig) -> "nn.Module":
        """Return a module: (n,) levelled samples, silent at the end, and () their number -> (1, T, F), (1,) frames."""


@runtime_checkable
class HasWordPlaces(Protocol):
    """A feature of text that can tell which word each frame was computed from."""

    def word_places(self, text: str, config: PluginConfig) -> Array:
        """Return, for each of T frames, the place of its word in `text.split()`; -1: none."""


@runtime_checkable
class HasFrameStep(Protocol):
    """A feature of audio whose frames have a fixed length, however long the clip is."""

    def frame_step_s(self, config: PluginConfig) -> float:
        """Return the seconds from one frame to the next; the first begins with the clip."""


@runtime_checkable
class NeedsExtra(Protocol):
    """A plug-in that works only where an extra of ser is installed."""

    EXTRA: str  # name of the extra


class Architecture(Protocol):
    """One file per network: `sercli/architectures/NAME.py`."""

    Config: type[PluginConfig]  # a frozen dataclass with defaults
    SEARCH_SPACE: SearchSpace  # what `ser tune` varies

    def build(self, config: PluginConfig, n_features: NFeatures, n_labels: int, /) -> "nn.Module":
        """Build the untrained network: a `torch.nn.Module` that is a `Network`.

        Parameters that are not to be trained have `requires_grad` off.
        """


@runtime_checkable
class ReadsSeveral(Protocol):
    """An architecture whose network reads several inputs, such as audio and text.

    `build` gets a tuple of numbers of features. Its network has `n_inputs`; `encode`, `forward` and `attend` get
    x (B, T, F) and lengths (B,) of each input in turn, and `attend` returns a tuple with weights or None for each.
    """

    INPUTS: tuple[str, ...]  # `INPUT` of the feature that each input takes, in order; empty: any number of any kind
    OPTIONAL: bool  # whether an utterance may lack inputs, but not all: the length of one that it lacks is 0


@runtime_checkable
class Starts(Protocol):
    """An architecture that initialises its network from the train part, or from pretrained weights."""

    def start(self, module: "nn.Module", features: Iterable[Array], y: Array, /) -> None:
        """Initialise a network that `build` made, before training; not called when a trained run is loaded.

        Args:
            module: the network.
            features: of each utterance, (T, F), scaled as the network gets them.
            y: (N,) class numbers.
        """


@runtime_checkable
class Network(Protocol):
    """What a network must have: an encoder and a linear classifier on top."""

    n_embedding: int  # E
    classifier: "nn.Linear"  # (E -> K)

    def encode(self, x: "Tensor", lengths: "Tensor", /) -> "Tensor":
        """(B, T, F) with (B,) true lengths -> (B, E); frames beyond a length have no influence."""

    def forward(self, x: "Tensor", lengths: "Tensor", /) -> "Tensor":
        """(B, T, F), (B,) -> (B, K) scores before the softmax: the classifier of the embedding."""


@runtime_checkable
class Attends(Protocol):
    """A network with an attention over time."""

    def attend(self, *inputs: "Tensor") -> "tuple[Tensor, Tensor | tuple[Tensor | None, ...] | None]":
        """(B, T, F), (B,) -> (B, E) as `encode`, and (B, T) weights of the frames, which sum to 1; None: no attention.

        Padding, and frames that the network cuts off, have the weight 0.
        """


@runtime_checkable
class HasLoss(Protocol):
    """A network that is trained on a loss of its own instead of the cross-entropy of its scores."""

    def loss(self, targets: "Tensor", *inputs: "Tensor") -> "Tensor":
        """(B, K) targets, smoothed and weighted, then the inputs of `forward` -> scalar."""


class FusionRule(Protocol):
    """One file per fusion rule: `sercli/ensembles/NAME.py`.

    A rule that has only this learns nothing, and may combine models that were trained on different corpora.
    """

    Config: type[PluginConfig]  # a frozen dataclass with defaults

    def combine(self, members: Sequence[Predictions], state: Mapping[str, Array], config: PluginConfig, /) -> Array:
        """Combine the predictions of M members for N utterances to (N, K) probabilities.

        Args:
            members: their predictions; `Predictions.modality` tells what each member reads. Where one has no input for
                an utterance its numbers are NaN; at least one has input.
            state: what the rule learned; empty for a rule that learns nothing.
            config: the rule's Config.
        """


@runtime_checkable
class LearnsFromPredictions(Protocol):
    """A fusion rule that learns from the members' predictions on the validation part."""

    def fit(self, members: Sequence[Predictions], y: Array, config: PluginConfig, /) -> dict[str, Array]:
        """Learn a state of named arrays from the predictions of M members and the (N,) class numbers `y`."""


@runtime_checkable
class TrainsNetwork(Protocol):
    """A fusion rule that is a network on top of the members' encoders; its Config has a field `train_encoders: bool`.

    True: the encoders are trained further, on copies of the members; False: they stay as they are.
    """

    def build(
        self, config: PluginConfig, encoders: "Sequence[nn.Module]", embeddings: Sequence[Array], n_labels: int, /
    ) -> "nn.Module":
        """Build the untrained network.

        Args:
            config: the rule's Config.
            encoders: of M members, each with encode(x, lengths) -> (B, E).
            embeddings: of M members for the train part, each (N, E), to measure a scaling on.
            n_labels: K.

        Returns:
            a module with forward(x, lengths, x, lengths, ...) -> (B, K), one pair for each member.
        """

    def state_of(self, module: "nn.Module", /) -> dict[str, Array]:
        """Return what `combine` needs of the trained network, as named arrays."""


@runtime_checkable
class WeighsConfidence(Protocol):
    """A fusion rule by which text counts the less, the lower its ASR confidence is."""

    WEIGHS_CONFIDENCE: Literal[True]


Transcribe = Callable[[Sequence[Array]], list[Transcript]]
"""B signals (n_samples,) float32 at 16 kHz -> B transcripts."""


class Recogniser(Protocol):
    """One file per speech recogniser: `sercli/asr/NAME.py`."""

    VERSION: int  # increase it whenever the same audio and Config give other words
    Config: type[PluginConfig]  # a frozen dataclass with defaults

    def make(self, config: PluginConfig, device: str, /) -> Transcribe:
        """Load the model; returns a function that transcribes signals."""

    def identity(self, config: PluginConfig, /) -> dict[str, object]:
        """Return the JSON-safe settings that the words depend on; transcripts with others are made again."""


@runtime_checkable
class HasVocabulary(Protocol):
    """A feature of text that does not know every word."""

    def unknown(self, text: str, config: PluginConfig, /) -> tuple[int, int]:
        """Return how many words of a text are not known, and how many it has."""


@runtime_checkable
class AdvisesOnDoubt(Protocol):
    """A recogniser that can tell why its words are doubtful."""

    def advice(self, config: PluginConfig, /) -> str:
        """Return, for words with a low ASR confidence, what they may be and what to do, as a part of a sentence."""
