"""An ensemble of models, which predicts like a single model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sercli import plugins
from sercli.errors import SerError
from sercli.model.adaptation import Change
from sercli.model.calibration import temper
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Model, truth_of
from sercli.runs import RunInfo
from sercli.types import Array, Predictions, Utterance


@dataclass
class Ensemble:
    """Models and a fusion rule; the attributes are those of a `Model`, of all members together."""

    folder: Path
    info: RunInfo
    members: Mapping[str, Model]  # by name, as they were trained; one predicts alone where no other has its input
    encoders: Mapping[str, Model]  # models that the rule combines: the members, or copies that were trained further
    rule: plugins.FusionRule
    config: plugins.PluginConfig  # of the rule
    state: dict[str, Array]  # that the rule learned

    def __post_init__(self) -> None:
        members = list(self.members.values())
        self.labels, self.device = self.info.labels, members[0].device
        self.features = tuple(feature for member in members for feature in member.features)
        self.reads = frozenset[str]().union(*(member.reads for member in members))
        self.needs = frozenset.intersection(*(member.needs for member in members))
        self.languages = next((member.languages for member in members if member.languages), ())
        networks = isinstance(self.rule, plugins.TrainsNetwork)  # they combine embeddings, not probabilities
        self.can_adapt = not networks and any(member.can_adapt for member in members)

    def lacks(self, utterance: Utterance) -> str | None:
        """Return the first input of a member that an utterance lacks, such as "text"; None: it has all."""
        return next((what for member in self.members.values() if (what := member.lacks(utterance))), None)

    def predict(self, utterances: Sequence[Utterance], provider: FeatureProvider) -> Predictions:
        """Return the probabilities of N utterances, each by the members that have their input.

        The probabilities of each member are in `members`, NaN where it had no input.

        Raises:
            SerError: an utterance has the input of no member.
        """
        members = {name: _spread(member, utterances, provider) for name, member in self.members.items()}
        for place, utterance in enumerate(utterances):
            if all(np.isnan(own.probs[place, 0]) for own in members.values()):
                wanted = dict.fromkeys(member.lacks(utterance) for member in self.members.values())
                raise SerError(
                    f"'{utterance.id}' has no {' or '.join(map(str, wanted))}: {self.folder} cannot predict it."
                )
        combined = members
        if self.encoders is not self.members:
            combined = {name: _spread(encoder, utterances, provider) for name, encoder in self.encoders.items()}
        ids, truth = tuple(u.id for u in utterances), truth_of(utterances, self.labels)
        probs = {name: own.probs for name, own in members.items()}
        return Predictions(ids, self.labels, self._combined(list(combined.values()), probs), truth, members=probs)

    def adapted(self, predictions: Predictions, change: Change) -> Predictions:
        """Return predictions combined anew, with the probabilities of the members that can adapt changed.

        Args:
            predictions: with those of the members, NaN where one had no input.
            change: gets the name of each such member, its probabilities of the utterances with its input, and its class
                scores.
        """
        nothing = np.full_like(predictions.probs, np.nan)
        probs = {name: predictions.members.get(name, nothing).copy() for name in self.members}
        for name, member in self.members.items():
            heard = ~np.isnan(probs[name][:, 0])
            if member.can_adapt and heard.any():
                probs[name][heard] = change(name, probs[name][heard], np.array(member.info.class_scores))
        members = [
            replace(predictions, probs=probs[name], modality=member.info.modality, members={})
            for name, member in self.members.items()
        ]
        return replace(predictions, probs=self._combined(members, probs), members=probs)

    def _combined(self, members: Sequence[Predictions], alone: dict[str, Array]) -> Array:
        """(N, K): the rule's probabilities; where one member alone has its input, its own ones."""
        probs = temper(self.rule.combine(members, self.state, self.config), self.info.temperature)
        own = np.stack(list(alone.values()))  # (M, N, K)
        single = (~np.isnan(own[:, :, 0])).sum(axis=0) == 1
        found: Array = np.where(single[:, None], np.nansum(own, axis=0), probs)
        return found


def _spread(member: Model, utterances: Sequence[Utterance], provider: FeatureProvider) -> Predictions:
    """Return a member's predictions for N utterances, NaN where it has no input."""
    there = [place for place, utterance in enumerate(utterances) if member.lacks(utterance) is None]
    if len(there) == len(utterances):
        return member.predict(utterances, provider)
    probs = np.full((len(utterances), len(member.labels)), np.nan)
    n_embedding = int(member.module.n_embedding)  # type: ignore[arg-type]
    embeddings = np.full((len(utterances), n_embedding), np.nan, np.float32)
    confidence = np.ones(len(utterances))
    if there:
        found = member.predict([utterances[place] for place in there], provider)
        probs[there], embeddings[there] = found.probs, found.embeddings
        confidence[there] = 1 if found.asr_confidence is None else found.asr_confidence
    ids = tuple(u.id for u in utterances)
    modality = member.info.modality
    return Predictions(ids, member.labels, probs, None, embeddings, confidence, modality)
