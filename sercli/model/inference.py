"""Trained networks in use, one or an ensemble: the same predictions for evaluation and for `ser predict`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from sercli import contracts, plugins
from sercli._system import languages
from sercli.dataset import extraction
from sercli.errors import SerError
from sercli.model import batches
from sercli.model.adaptation import Change
from sercli.model.batches import Examples, Normaliser
from sercli.model.calibration import temper
from sercli.model.feature_provider import FeatureProvider
from sercli.runs import RunInfo
from sercli.types import ASR_CONFIDENCE, LANGUAGE, Array, ModelSpec, Predictions, Utterance


@dataclass
class Model:
    """A trained network with everything that it needs to predict.

    Attributes:
        labels: (K,) in the order of the probabilities.
        features: names of the features that the network reads, with their configurations.
        reads: the kinds of input, such as "text", that they are computed from.
        needs: those without which the network cannot predict.
        languages: codes of those that it learned to read; empty: any, or none.
        can_adapt: whether `adapted` can be called: it reads audio, and its validation part has all classes.
    """

    folder: Path
    info: RunInfo
    spec: ModelSpec
    module: torch.nn.Module
    normalisers: tuple[Normaliser, ...]  # one for each feature
    device: torch.device

    def __post_init__(self) -> None:
        self.labels, self.features, self.languages = self.info.labels, self.spec.features, self.info.languages
        self._kinds = [extraction.needs(name) for name, _ in self.features]
        self.reads = frozenset(chain.from_iterable(self._kinds))
        plugin = plugins.architecture(self.spec.architecture)
        any_alone = isinstance(plugin, contracts.ReadsSeveral) and plugin.OPTIONAL and len(self.reads) > 1
        self.needs = frozenset[str]() if any_alone else self.reads
        self.can_adapt = self.info.class_scores is not None

    def missing(self, utterance: Utterance) -> list[str | None]:
        """Return for each feature the input that an utterance lacks, such as "text"; None: it lacks none.

        Text in a language that the network never learned is none.
        """
        there = utterance.inputs
        if self.languages and languages.foreign(utterance.attributes.get(LANGUAGE), self.languages):
            there -= {"text"}
        return [next((kind for kind in kinds if kind not in there), None) for kinds in self._kinds]

    def lacks(self, utterance: Utterance) -> str | None:
        """Return the input that an utterance lacks, so that the network cannot predict it; None: it can."""
        missing = self.missing(utterance)
        return next((what for what in missing if what and (all(missing) or what in self.needs)), None)

    def inputs(self, utterances: Sequence[Utterance], provider: FeatureProvider) -> tuple[list[Array], ...]:
        """Return the features of N utterances for each input, (T, F); one that an utterance lacks has no frame.

        Raises:
            SerError: a feature is another than in training.
        """
        found = []
        missing = [self.missing(u) if len(self.features) > 1 else [None] for u in utterances]
        for place, ((name, own), normaliser) in enumerate(zip(self.features, self.normalisers, strict=True)):
            n_features = len(normaliser.mean)
            has = [n for n, lacking in enumerate(missing) if lacking[place] is None]
            arrays = [np.zeros((0, n_features), np.float32)] * len(utterances)
            for n, array in zip(has, provider([utterances[n] for n in has], name, own) if has else (), strict=True):
                arrays[n] = array
            if has and arrays[has[0]].shape[1] != n_features:
                raise SerError(
                    f"{self.folder} learned {n_features} numbers a frame, and '{name}' gives "
                    f"{arrays[has[0]].shape[1]} in this version of ser; train the run again."
                )
            found.append(arrays)
        return tuple(found)

    def predict(self, utterances: Sequence[Utterance], provider: FeatureProvider) -> Predictions:
        """Return probabilities and embeddings of N utterances that have the inputs of the network.

        Raises:
            SerError: a feature is another than in training, or a probability is NaN or infinite.
        """
        examples = Examples(self.inputs(utterances, provider), self.normalisers)
        probs, embeddings = batches.run(self.module, examples, self.device)
        if not np.isfinite(probs).all():
            raise SerError(f"{self.folder} predicts NaN or infinity: its weights are damaged; copy it again.")
        probs = temper(probs, self.info.temperature)
        confidence = np.array([float(u.attributes.get(ASR_CONFIDENCE, 1.0)) for u in utterances])
        return Predictions(
            tuple(u.id for u in utterances),
            self.labels,
            probs,
            _truth_of(utterances, self.labels),
            embeddings,
            confidence if "text" in self.reads and (confidence < 1).any() else None,
            self.info.modality,
        )

    def adapted(self, predictions: Predictions, change: Change) -> Predictions:
        """Return predictions with the probabilities changed; `change` gets them and the class scores."""
        return replace(predictions, probs=change("", predictions.probs, np.array(self.info.class_scores)))


@dataclass
class Ensemble:
    """Models and a fusion rule; the attributes are those of a `Model`, of all members together."""

    folder: Path
    info: RunInfo
    members: Mapping[str, Model]  # by name, as they were trained; one predicts alone where no other has its input
    encoders: Mapping[str, Model]  # models that the rule combines: the members, or copies that were trained further
    rule: contracts.FusionRule
    config: contracts.PluginConfig  # of the rule
    state: dict[str, Array]  # that the rule learned

    def __post_init__(self) -> None:
        members = list(self.members.values())
        self.labels, self.device = self.info.labels, members[0].device
        self.features = tuple(feature for member in members for feature in member.features)
        self.reads = frozenset[str]().union(*(member.reads for member in members))
        self.needs = frozenset.intersection(*(member.needs for member in members))
        self.languages = next((member.languages for member in members if member.languages), ())
        networks = isinstance(self.rule, contracts.TrainsNetwork)  # they combine embeddings, not probabilities
        self.can_adapt = not networks and any(member.can_adapt for member in members)

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
        ids, truth = tuple(u.id for u in utterances), _truth_of(utterances, self.labels)
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
        return np.where(single[:, None], np.nansum(own, axis=0), probs)


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


def _truth_of(utterances: Sequence[Utterance], labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return the N labels, or None if the model does not know one of them."""
    truth = tuple(u.label for u in utterances if u.label is not None and u.label in labels)
    return truth if len(truth) == len(utterances) else None
