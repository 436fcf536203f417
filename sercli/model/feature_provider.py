"""Feature providers: where a model gets the features of utterances from."""

from collections.abc import Callable, Sequence

from sercli._system.progress import ProgressFactory
from sercli.dataset import extraction, feature_cache, feature_specs
from sercli.dataset.manifest import Dataset
from sercli.types import Array, Utterance

FeatureProvider = Callable[[Sequence[Utterance], str, object], list[Array]]
"""(utterances, name of a feature, its Config) -> a (T, F) array for each utterance."""


def cached_features(dataset: Dataset, *, jobs: int, device: str = "cpu", progress: ProgressFactory) -> FeatureProvider:
    """Return a provider of a prepared dataset's features, which computes those that are missing and opens each once."""
    stores: dict[str, feature_cache.FeatureStore] = {}

    def features(utterances: Sequence[Utterance], feature: str, config: object) -> list[Array]:
        extraction.check_inputs(utterances, feature)
        key = feature_specs.key(feature, config)
        if key not in stores:
            stores[key] = feature_cache.ensure(dataset, feature, config, jobs=jobs, device=device, progress=progress)
        return stores[key].rows([u.id for u in utterances])

    return features
