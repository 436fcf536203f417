"""A trained run of either kind, a single model or an ensemble of two, loaded and asked in one way."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from sercli import plugins, runs
from sercli.errors import SerError
from sercli.model import inference
from sercli.model.calibration import temper
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Model
from sercli.runs import RunInfo
from sercli.types import Array, Predictions, Utterance


@dataclass(frozen=True)
class Ensemble:
    """Two models with a rule; asked like a single model."""

    folder: Path
    info: RunInfo
    members: tuple[Model, ...]  # as they were trained: who answers alone where the other has no input
    encoders: tuple[Model, ...]  # whose answers the rule combines: the members, or their encoders trained on
    rule: ModuleType
    state: dict[str, Array]

    @property
    def labels(self) -> tuple[str, ...]:
        """(K,) in the order of the probabilities."""
        return self.info.labels

    @property
    def device(self) -> torch.device:
        """Where the networks compute."""
        return self.members[0].device

    @property
    def features(self) -> tuple[tuple[str, Any], ...]:
        """What the members read: feature names with their configurations."""
        return tuple(feature for member in self.members for feature in member.features)

    def lacks(self, utterance: Utterance) -> str | None:
        """`text` or `audio` where the utterance lacks what one of the members reads."""
        return next((what for member in self.members if (what := member.lacks(utterance))), None)

    def predict(self, utterances: Sequence[Utterance], rows: FeatureProvider) -> Predictions:
        """Probabilities; an utterance without one member's input is answered by the other alone.

        Beside them the members' own stand in `members`, NaN where a member had no input.

        Raises:
            SerError: an utterance has no member's input.
        """
        probs = np.zeros((len(utterances), len(self.labels)))
        own_probs: dict[str, Array] = {member.info.modality: np.full_like(probs, np.nan) for member in self.members}
        whole = [n for n, u in enumerate(utterances) if self.lacks(u) is None]
        if whole:
            chosen = [utterances[n] for n in whole]
            answers = [m.predict(chosen, rows) for m in self.encoders]
            probs[whole] = temper(self.rule.combine(answers, self.state), self.info.temperature)
            for member, answer in zip(self.members, answers, strict=True):
                own_probs[member.info.modality][whole] = answer.probs
        others = {n: self._alone(u) for n, u in enumerate(utterances) if self.lacks(u) is not None}
        for member in self.members:
            own = [n for n, who in others.items() if who is member]
            if own:
                probs[own] = member.predict([utterances[n] for n in own], rows).probs
                own_probs[member.info.modality][own] = probs[own]
        truth = tuple(u.label for u in utterances)
        return Predictions(
            tuple(u.id for u in utterances),
            self.labels,
            probs,
            truth if set(truth) <= set(self.labels) else None,
            members=own_probs,
        )

    def _alone(self, utterance: Utterance) -> Model:
        for member in self.members:
            if member.lacks(utterance) is None:
                return member
        raise SerError(f"'{utterance.id}' has neither the sound nor the words that {self.folder} needs.")


System = Model | Ensemble
"""What can be asked: both have labels, features, lacks(utterance) and predict(utterances, rows)."""


def load(folder: Path, device: torch.device) -> System:
    """Load a finished run, whichever kind it is.

    Raises:
        SerError: not a run, unfinished, damaged, or made by a newer version.
    """
    info = runs.load_single(folder)
    if info.kind == "model":
        return inference.load(folder, device)
    members = tuple(inference.load(folder / "members" / part, device) for part in ("acoustic", "linguistic"))
    runs.check_labels([folder, *(m.folder for m in members)], [info, *(m.info for m in members)])
    tuned = folder / "encoders"
    encoders = tuple(inference.load(tuned / m.info.modality, device) for m in members) if tuned.is_dir() else members
    return Ensemble(
        folder, info, members, encoders, plugins.load("ensemble", info.name), runs.read_arrays(folder / "state.npz")
    )
