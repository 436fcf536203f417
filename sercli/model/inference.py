"""Asking a trained network: one function for evaluation and for predict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from sercli import plugins, runs
from sercli.dataset import feature_cache
from sercli.errors import SerError
from sercli.model import feature_provider, spec
from sercli.model.batches import Examples, Normaliser, evaluation_batches
from sercli.model.calibration import temper
from sercli.model.feature_provider import FeatureProvider
from sercli.runs import RunInfo
from sercli.types import ASR_CONFIDENCE, Array, ModelSpec, Predictions, Utterance

_BATCH = 32


@dataclass(frozen=True)
class Model:
    """A trained network with all that it needs to answer."""

    folder: Path
    info: RunInfo
    spec: ModelSpec
    module: torch.nn.Module
    normaliser: Normaliser
    device: torch.device

    @property
    def labels(self) -> tuple[str, ...]:
        """(K,) in the order of the probabilities."""
        return self.info.labels

    @property
    def features(self) -> tuple[tuple[str, Any], ...]:
        """What the network reads: feature names with their configurations."""
        return ((self.spec.feature, self.spec.feature_config),)

    def lacks(self, utterance: Utterance) -> str | None:
        """Return `text` or `audio` if the utterance lacks what the network reads."""
        return feature_provider.lacks(utterance, self.spec.feature)

    def predict(self, utterances: Sequence[Utterance], rows: FeatureProvider) -> Predictions:
        """Probabilities and embeddings for utterances that have the network's input."""
        inputs = rows(utterances, self.spec.feature, self.spec.feature_config)
        probs, embeddings = run_module(self.module, Examples((inputs,), (self.normaliser,)), self.device)
        if not np.isfinite(probs).all():
            raise SerError(f"{self.folder} answers with what is no number: its weights are damaged; copy it again.")
        known = set(self.labels)
        truth = tuple(u.label for u in utterances) if all(u.label in known for u in utterances) else None
        probs = temper(probs, self.info.temperature)
        return Predictions(
            tuple(u.id for u in utterances), self.labels, probs, truth, embeddings, self._trust(utterances)
        )

    def _trust(self, utterances: Sequence[Utterance]) -> Array | None:
        """(N,) how far what the network read can be relied on; None where all of it can, as sound and human words."""
        trust = np.array([float(u.attributes.get(ASR_CONFIDENCE, 1.0)) for u in utterances])
        return trust if feature_cache.reads_text(self.spec.feature) and (trust < 1).any() else None


def load(folder: Path, device: torch.device) -> Model:
    """Load a finished model run.

    Raises:
        SerError: not a run, an ensemble, unfinished, damaged, or made by a newer version.
    """
    info = runs.load_single(folder)
    if info.kind != "model":
        raise SerError(f"{folder} is an {info.kind}, and a single model is needed here.")
    model = localised(spec.build(info.name, info.settings).model, folder)
    arrays = runs.read_arrays(folder / "normaliser.npz")
    weights = folder / "weights.safetensors"
    try:
        _check_shapes(model, info, weights)
        module = _built(model, info)
        module.load_state_dict(load_file(weights))
        normaliser = _normaliser(arrays, info.n_features)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise SerError(
            f"{folder}: the weights cannot be read ({_first_line(error)}); train the run again, or copy it again."
        ) from None
    return Model(folder, info, model, module.to(device).eval(), normaliser, device)


def _built(model: ModelSpec, info: RunInfo) -> torch.nn.Module:
    architecture = plugins.load("architecture", model.architecture)
    module: torch.nn.Module = architecture.build(model.architecture_config, info.n_features, len(info.labels))
    return module


def _check_shapes(model: ModelSpec, info: RunInfo, weights: Path) -> None:
    """Refuse settings that the weights were not trained with before a network of their size takes up memory.

    Raises:
        ValueError: naming the first tensor that is missing, too many or of another shape.
    """
    with torch.device("meta"):  # where tensors have a shape and nothing else
        expected = {name: list(t.shape) for name, t in _built(model, info).state_dict().items()}
    with safe_open(weights, "pt") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - not a dictionary
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(f"'{name}' has the shape {found.get(name)}, by run.json it would be {expected.get(name)}")


def _normaliser(arrays: Mapping[str, Array], n_features: int) -> Normaliser:
    mean, scale = arrays["mean"], arrays["scale"]
    if any(a.shape != (n_features,) or a.dtype != np.float32 or not np.isfinite(a).all() for a in (mean, scale)):
        raise ValueError(f"normaliser.npz does not hold {n_features} means and scales")
    return Normaliser(mean, scale)


def files_of(model: ModelSpec) -> tuple[str, ...]:
    """What a run directory holds beside its weights so that its model can answer."""
    plugin = plugins.load("feature", model.feature)
    own = plugin.FILES if isinstance(plugin, plugins.ReadsFiles) else ()
    return ("run.json", "split.json", "normaliser.npz", *own)


def localised(model: ModelSpec, folder: Path) -> ModelSpec:
    """The same model with its feature's own files looked for in the run directory."""
    plugin = plugins.load("feature", model.feature)
    if not isinstance(plugin, plugins.ReadsFiles):
        return model
    local = plugin.localise(model.feature_config, folder)
    return ModelSpec(model.feature, local, model.architecture, model.architecture_config)


@torch.inference_mode()
def run_module(module: torch.nn.Module, examples: Examples, device: torch.device) -> tuple[Array, Array]:
    """Probabilities (N, K) float64 and embeddings (N, E) float32, in the examples' order."""
    module.eval()
    probs: list[Array] = []
    embeddings: list[Array] = []
    order: list[Array] = []
    for batch in evaluation_batches(examples, _BATCH, device):
        embedding = module.encode(*batch.inputs)  # type: ignore[operator]
        scores = module.classifier(embedding).double()  # type: ignore[operator]
        probs.append(torch.softmax(scores, dim=1).cpu().numpy())
        embeddings.append(embedding.float().cpu().numpy())
        order.append(batch.rows)
    back = np.argsort(np.concatenate(order))
    return np.concatenate(probs)[back], np.concatenate(embeddings)[back]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
