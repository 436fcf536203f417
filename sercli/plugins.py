"""Plug-ins: what each of the five kinds must provide, and how one is found by its name.

A plug-in is a module. Those of ser are the files of their kind's folder; another package adds its own by an entry point
of the group `sercli.corpora`, `sercli.features`, `sercli.asr`, `sercli.architectures` or `sercli.ensembles`. It is
imported only when it is asked for.

The protocols below are the contracts. What a plug-in may provide besides has a protocol of its own, which
`isinstance(plugin, NeedsExtra)` checks.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from sercli.errors import SerError, no_such
from sercli.types import Array, Predictions, Remark, Transcript, Utterance

if TYPE_CHECKING:
    from torch import Tensor, nn

_FOLDERS = {
    "corpus": "corpora",
    "feature": "features",
    "architecture": "architectures",
    "ensemble": "ensembles",
    "asr": "asr",
}


class Corpus(Protocol):
    """One file per corpus: `sercli/corpora/NAME.py`."""

    HOMEPAGE: str  # where the corpus can be had; "" if nowhere
    LICENCE: str
    LABELS: dict[str, str | None]  # native label -> one of the four, or None where `--labels four` drops it
    SPLIT: str  # the split that suits it: loso, speakers, prompts, official or seed
    FOLDS: int | None  # how many folds; None: one for each session or speaker

    def read(self, root: Path) -> Iterator[Utterance | Remark]:
        """Read the utterances below a folder, with a Remark for everything that is left out or odd."""


@runtime_checkable
class ShipsWithSer(Protocol):
    """A corpus whose data comes with its package."""

    def default_root(self) -> Path:
        """Return the folder of the data."""


class Extractor(Protocol):
    """Computes one feature in batches; holds its network, if it has one, on a device."""

    def __call__(self, inputs: Sequence[Any], /) -> list[Array]:
        """Return (T, F) float32, T >= 1, for each of B signals (n_samples,) float32 or B texts, as if computed alone.

        F follows from the configuration alone.
        """


class Feature(Protocol):
    """One file per representation: `sercli/features/NAME.py`."""

    INPUT: Literal["audio", "text"]
    VERSION: int  # raise it whenever the same input and Config give other numbers
    DTYPE: Literal["float16", "float32"]  # as which the cache stores the features
    Config: type[Any]  # a frozen dataclass with defaults; for audio it extends `AudioConfig`

    def make(self, config: Any, device: str) -> Extractor:
        """Build the extractor of a configuration, with its network, if it has one, on a device."""


@runtime_checkable
class UsesDevice(Protocol):
    """A feature that computes with a network, which a GPU makes faster."""

    USES_DEVICE: Literal[True]


@runtime_checkable
class HasIdentity(Protocol):
    """A feature whose numbers depend on something else than its Config: on the content of a file, say."""

    def identity(self, config: Any) -> dict[str, object]:
        """Return what the numbers depend on, JSON-safe; the cache's key has it in place of the Config."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A feature that reads files of the user's own, which a run directory must hold to be moved."""

    FILES: tuple[str, ...]  # names of the files that `export` writes

    def export(self, config: Any, folder: Path) -> Any:
        """Copy the files into a run directory; returns the Config that names them relative to it."""

    def localise(self, config: Any, folder: Path) -> Any:
        """Return the Config that reads the files which `export` wrote into a folder."""


@runtime_checkable
class HasWordPlaces(Protocol):
    """A feature of text that can tell which word each frame was computed from."""

    def word_places(self, text: str, config: Any) -> Array:
        """Return, for each of T frames, the place of its word in `text.split()`; -1: none."""


@runtime_checkable
class HasFrameStep(Protocol):
    """A feature of audio whose frames have a fixed length, however long the clip is."""

    def frame_step_s(self, config: Any) -> float:
        """Return the seconds from one frame to the next; the first begins with the clip."""


@runtime_checkable
class NeedsExtra(Protocol):
    """A plug-in that works only where an extra of ser is installed."""

    EXTRA: str  # name of the extra


class Architecture(Protocol):
    """One file per network: `sercli/architectures/NAME.py`."""

    Config: type[Any]  # a frozen dataclass with defaults

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest values for Config fields to an Optuna trial, each under the name `architecture.FIELD`."""

    def build(self, config: Any, n_features: int, n_labels: int) -> "Network":
        """Build the untrained network."""


class Network(Protocol):
    """What `Architecture.build` returns: a `torch.nn.Module` with an encoder and a linear classifier on top."""

    n_embedding: int  # E
    classifier: "nn.Linear"  # (E -> K)

    def encode(self, x: "Tensor", lengths: "Tensor") -> "Tensor":
        """(B, T, F) with (B,) true lengths -> (B, E); frames behind a length have no influence."""

    def forward(self, x: "Tensor", lengths: "Tensor") -> "Tensor":
        """(B, T, F), (B,) -> (B, K) scores before the softmax."""


class FusionRule(Protocol):
    """One file per fusion rule: `sercli/ensembles/NAME.py`."""

    Config: type[Any]  # a frozen dataclass with defaults

    def combine(self, members: Sequence[Predictions], state: Mapping[str, Array], config: Any) -> Array:
        """Combine the members' predictions for N utterances, any number of members, to (N, K) probabilities."""


@runtime_checkable
class LearnsFromPredictions(Protocol):
    """A fusion rule that learns something from the members' predictions on the validation part."""

    def fit(self, members: Sequence[Predictions], y: Array, config: Any) -> dict[str, Array]:
        """Learn a state of named arrays from M members' predictions and the N class numbers `y`."""


class Recogniser(Protocol):
    """One file per speech recogniser: `sercli/asr/NAME.py`."""

    VERSION: int  # raise it whenever the same audio and Config give other words
    Config: type[Any]  # a frozen dataclass with defaults

    def make(self, config: Any, device: str) -> Callable[[Sequence[Array]], list[Transcript]]:
        """Load the model; returns a function from B signals (n_samples,) float32 at 16 kHz to B transcripts."""

    def identity(self, config: Any) -> dict[str, Any]:
        """Return the JSON-safe settings that the words depend on; transcripts with others are made again."""


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of all plug-ins of a kind, without importing one."""
    folder = str(files(f"sercli.{_FOLDERS[kind]}"))
    found = (module.name for module in pkgutil.iter_modules([folder]))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


@cache
def load(kind: str, name: str) -> ModuleType:
    """Import one plug-in.

    Raises:
        SerError: no plug-in of this kind has this name; the message lists the names.
    """
    if name not in names(kind):
        raise SerError(no_such(kind, name, names(kind)))
    return importlib.import_module(f"sercli.{_FOLDERS[kind]}.{name.replace('-', '_')}")
