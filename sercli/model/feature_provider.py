"""Feature providers: where a model gets the features of utterances from."""

from collections.abc import Callable, Sequence

import numpy as np

from sercli._system.progress import ProgressFactory
from sercli.dataset import extraction, feature_cache, feature_specs
from sercli.dataset.manifest import Dataset
from sercli.errors import SerError
from sercli.types import Array, AudioConfig, Utterance

FeatureProvider = Callable[[Sequence[Utterance], str, object], list[Array]]
"""(utterances, name of a feature, its Config) -> a (T, F) array for each utterance."""


def cached_features(dataset: Dataset, *, jobs: int, device: str = "cpu", progress: ProgressFactory) -> FeatureProvider:
    """Return a provider of a prepared dataset's features, which computes those that are missing and opens each once."""
    stores: dict[str, feature_cache.FeatureStore] = {}
    means: dict[tuple[str, str], Array] = {}  # (F,) by feature and speaker

    def features(utterances: Sequence[Utterance], feature: str, config: object) -> list[Array]:
        extraction.check_inputs(utterances, feature)
        key = feature_specs.key(feature, config)
        if key not in stores:
            stores[key] = feature_cache.ensure(dataset, feature, config, jobs=jobs, device=device, progress=progress)
        rows = stores[key].rows([u.id for u in utterances])
        if not isinstance(config, AudioConfig) or config.normalise == "none":
            return rows
        for u in utterances:
            if (key, u.speaker or "") not in means:
                means[key, u.speaker or ""] = _speaker_mean(dataset, stores[key], u)
        return [frames - means[key, u.speaker or ""] for u, frames in zip(utterances, rows, strict=True)]

    return features


def _speaker_mean(dataset: Dataset, store: feature_cache.FeatureStore, utterance: Utterance) -> Array:
    """Return the mean frame (F,) float32 of all utterances of an utterance's speaker."""
    if utterance.speaker is None:
        raise SerError(
            f"feature.normalise=speaker needs the speaker of each utterance, and '{utterance.id}' has none; "
            "give feature.normalise=none."
        )
    own = [u.id for u in dataset.manifest.utterances if u.speaker == utterance.speaker and u.audio is not None]
    rows = store.rows(own)
    total = np.sum([frames.sum(axis=0, dtype=np.float64) for frames in rows], axis=0)
    mean: Array = (total / sum(map(len, rows))).astype(np.float32)
    return mean
