"""Feature providers: where a model gets the features of utterances from."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sercli._system.progress import ProgressFactory
from sercli.dataset import extraction, feature_cache, feature_specs
from sercli.dataset.manifest import Dataset
from sercli.errors import SerError
from sercli.model.batches import Normaliser
from sercli.types import Array, AudioConfig, Utterance

FeatureProvider = Callable[[Sequence[Utterance], str, object], list[Array]]
"""(utterances, name of a feature, its Config) -> a (T, F) array for each utterance."""


def cached_features(dataset: Dataset, *, jobs: int, device: str = "cpu", progress: ProgressFactory) -> FeatureProvider:
    """Return a provider of a prepared dataset's features, which computes those that are missing and opens each once."""
    stores: dict[str, feature_cache.FeatureStore] = {}
    voices: dict[tuple[str, str, str], Normaliser] = {}  # by feature, kind and speaker

    def features(utterances: Sequence[Utterance], feature: str, config: object) -> list[Array]:
        extraction.check_inputs(utterances, feature)
        key = feature_specs.key(feature, config)
        if key not in stores:
            stores[key] = feature_cache.ensure(dataset, feature, config, jobs=jobs, device=device, progress=progress)
        rows = [stores[key][u.id] for u in utterances]
        if not isinstance(config, AudioConfig) or config.normalise == "none":
            return rows
        found = []
        for u, frames in zip(utterances, rows, strict=True):
            voice = (key, config.normalise, u.speaker or "")
            if voice not in voices:
                voices[voice] = _of_speaker(dataset, stores[key], u, config.normalise)
            found.append((frames - voices[voice].mean) * voices[voice].scale)
        return found

    return features


def _of_speaker(dataset: Dataset, store: feature_cache.FeatureStore, utterance: Utterance, kind: str) -> Normaliser:
    """Return the normaliser of all frames of an utterance's speaker."""
    if utterance.speaker is None:
        raise SerError(
            f"feature.normalise={kind} needs the speaker of each utterance, and '{utterance.id}' has none; "
            "give feature.normalise=none."
        )
    own = [u for u in dataset.manifest.utterances if u.speaker == utterance.speaker and u.audio is not None]
    voice = Normaliser.of([store[u.id] for u in own], "feature")
    return voice if kind == "speaker-z" else replace(voice, scale=np.ones_like(voice.scale))
