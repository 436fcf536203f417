"""An ensemble of two models, which predicts like a single model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sercli import plugins
from sercli.errors import SerError
from sercli.model.adaptation import Change
from sercli.model.calibration import temper
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Model, truth_of
from sercli.runs import RunInfo
from sercli.types import Array, Predictions, Utterance

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Ensemble:
    """Two models and a fusion rule."""

    folder: Path
    info: RunInfo
    members: tuple[Model, ...]  # as they were trained; one predicts alone where the other has no input
    encoders: tuple[Model, ...]  # models that the rule combines: the members, or copies that were trained further
    rule: plugins.FusionRule
    config: plugins.PluginConfig  # of the rule
    state: dict[str, Array]  # that the rule learned

    @property
    def labels(self) -> tuple[str, ...]:
        """(K,) in the order of the probabilities."""
        return self.info.labels

    @property
    def device(self) -> torch.device:
        """The device that the networks compute on."""
        return self.members[0].device

    @property
    def features(self) -> "tuple[tuple[str, DataclassInstance], ...]":
        """The features that the members read, with their configurations."""
        return tuple(feature for member in self.members for feature in member.features)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that the member that reads text learned; empty: any."""
        return next((member.languages for member in self.members if member.languages), ())

    @property
    def needs(self) -> frozenset[str]:
        """The kinds of input without which no member can predict."""
        return frozenset.intersection(*(member.needs for member in self.members))

    def lacks(self, utterance: Utterance) -> str | None:
        """Return the input of a member that an utterance lacks, "text" or "audio"; None: it has all."""
        return next((what for member in self.members if (what := member.lacks(utterance))), None)

    def predict(self, utterances: Sequence[Utterance], provider: FeatureProvider) -> Predictions:
        """Return the probabilities of N utterances; where one member has no input, the other predicts alone.

        The probabilities of each member are in `members`, NaN where it had no input.

        Raises:
            SerError: an utterance has neither audio nor text.
        """
        probs = np.zeros((len(utterances), len(self.labels)))
        by_member: dict[str, Array] = {member.info.modality: np.full_like(probs, np.nan) for member in self.members}
        alone = {n: self._alone(u) for n, u in enumerate(utterances) if self.lacks(u) is not None}
        complete = [n for n in range(len(utterances)) if n not in alone]
        if complete:
            predictions = [m.predict([utterances[n] for n in complete], provider) for m in self.encoders]
            probs[complete] = temper(self.rule.combine(predictions, self.state, self.config), self.info.temperature)
            for member, own in zip(self.members, predictions, strict=True):
                by_member[member.info.modality][complete] = own.probs
        for member in self.members:
            if places := [n for n, model in alone.items() if model is member]:
                probs[places] = member.predict([utterances[n] for n in places], provider).probs
                by_member[member.info.modality][places] = probs[places]
        ids, truth = tuple(u.id for u in utterances), truth_of(utterances, self.labels)
        return Predictions(ids, self.labels, probs, truth, members=by_member)

    @property
    def can_adapt(self) -> bool:
        """Whether `adapted` can be called: the acoustic member can, and the rule combines probabilities."""
        return not isinstance(self.rule, plugins.TrainsNetwork) and self._acoustic.can_adapt

    def adapted(self, predictions: Predictions, change: Change) -> Predictions:
        """Return predictions combined anew, with the probabilities of the acoustic member changed.

        Args:
            predictions: with those of the members, NaN where one had no input.
            change: gets the probabilities of the utterances with audio, and the class scores.
        """
        audio, text = (predictions.members[modality] for modality in ("acoustic", "linguistic"))
        heard, read = ~np.isnan(audio[:, 0]), ~np.isnan(text[:, 0])
        members = {"acoustic": audio.copy(), "linguistic": text}
        members["acoustic"][heard] = change(audio[heard], np.array(self._acoustic.info.class_scores))
        probs = np.where(heard[:, None], members["acoustic"], text)
        if (both := heard & read).any():
            confidence = {"linguistic": predictions.asr_confidence, "acoustic": None}
            parts = [
                Predictions(
                    predictions.ids,
                    self.labels,
                    members[m.info.modality][both],
                    asr_confidence=None if (own := confidence[m.info.modality]) is None else own[both],
                    modality=m.info.modality,
                )
                for m in self.members
            ]
            probs[both] = temper(self.rule.combine(parts, self.state, self.config), self.info.temperature)
        return replace(predictions, probs=probs, members=members)

    @property
    def _acoustic(self) -> Model:
        return next(member for member in self.members if member.info.modality == "acoustic")

    def _alone(self, utterance: Utterance) -> Model:
        for member in self.members:
            if member.lacks(utterance) is None:
                return member
        raise SerError(f"'{utterance.id}' has neither audio nor text, and {self.folder} needs one of them.")
