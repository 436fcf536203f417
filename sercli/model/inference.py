"""A trained network in use: the same predictions for evaluation and for `ser predict`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sercli._system import languages
from sercli.dataset import extraction
from sercli.errors import SerError
from sercli.model.adaptation import Change
from sercli.model.batches import Examples, Normaliser, evaluation_batches
from sercli.model.calibration import temper
from sercli.model.feature_provider import FeatureProvider
from sercli.runs import RunInfo
from sercli.types import ASR_CONFIDENCE, LANGUAGE, Array, ModelSpec, Predictions, Utterance

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_BATCH = 32


@dataclass(frozen=True)
class Model:
    """A trained network with everything that it needs to predict."""

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
    def features(self) -> "tuple[tuple[str, DataclassInstance], ...]":
        """The feature that the network reads, with its configuration."""
        return ((self.spec.feature, self.spec.feature_config),)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that the network learned to read; empty: any, or none."""
        return self.info.languages

    def lacks(self, utterance: Utterance) -> str | None:
        """Return the input of the network that an utterance lacks, "text" or "audio"; None: it has it.

        Text in a language that the network never learned is none.
        """
        unread = languages.foreign(utterance.attributes.get(LANGUAGE), self.languages)
        return "text" if unread else extraction.lacks(utterance, self.spec.feature)

    def predict(self, utterances: Sequence[Utterance], provider: FeatureProvider) -> Predictions:
        """Return probabilities and embeddings of N utterances that have the input of the network.

        Raises:
            SerError: the feature is another than in training, or a probability is NaN or infinite.
        """
        inputs = provider(utterances, self.spec.feature, self.spec.feature_config)
        if inputs and inputs[0].shape[1] != self.info.n_features:
            raise SerError(
                f"{self.folder} learned {self.info.n_features} numbers a frame, and '{self.spec.feature}' gives "
                f"{inputs[0].shape[1]} in this version of ser; train the run again."
            )
        probs, embeddings = run_module(self.module, Examples((inputs,), (self.normaliser,)), self.device)
        if not np.isfinite(probs).all():
            raise SerError(f"{self.folder} predicts NaN or infinity: its weights are damaged; copy it again.")
        return Predictions(
            tuple(u.id for u in utterances),
            self.labels,
            temper(probs, self.info.temperature),
            truth_of(utterances, self.labels),
            embeddings,
            self._asr_confidence(utterances),
            self.info.modality,
        )

    @property
    def can_adapt(self) -> bool:
        """Whether `adapted` can be called: the model reads audio, and its validation part has all classes."""
        return self.info.class_scores is not None

    def adapted(self, predictions: Predictions, change: Change) -> Predictions:
        """Return predictions with the probabilities changed; `change` gets them and the class scores."""
        return replace(predictions, probs=change(predictions.probs, np.array(self.info.class_scores)))

    def _asr_confidence(self, utterances: Sequence[Utterance]) -> Array | None:
        """Return the ASR confidence of each utterance, (N,) in [0, 1]; None if no transcript is a recogniser's."""
        confidence = np.array([float(u.attributes.get(ASR_CONFIDENCE, 1.0)) for u in utterances])
        return confidence if extraction.reads_text(self.spec.feature) and (confidence < 1).any() else None


def truth_of(utterances: Sequence[Utterance], labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return the N labels, or None if the model does not know one of them."""
    truth = tuple(u.label for u in utterances if u.label is not None and u.label in labels)
    return truth if len(truth) == len(utterances) else None


@torch.inference_mode()
def run_module(module: torch.nn.Module, examples: Examples, device: torch.device) -> tuple[Array, Array]:
    """Probabilities (N, K) float64 and embeddings (N, E) float32, in the order of the examples."""
    module.eval()
    probs: list[Array] = []
    embeddings: list[Array] = []
    order: list[Array] = []
    for batch in evaluation_batches(examples, _BATCH, device):
        embedding = module.encode(*batch.inputs)  # type: ignore[operator]
        scores = module.classifier(embedding).double()  # type: ignore[operator]
        probs.append(torch.softmax(scores, dim=1).cpu().numpy())
        embeddings.append(embedding.float().cpu().numpy())
        order.append(batch.indices)
    back = np.argsort(np.concatenate(order))
    return np.concatenate(probs)[back], np.concatenate(embeddings)[back]
