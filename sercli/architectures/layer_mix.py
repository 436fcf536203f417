"""A small head on the frames of a speech model: a learned mixture of its layers, then statistics over time."""

from sercli.architectures._layer_mix import Config, LayerMix, search_space
from sercli.architectures._layers import Classifier
from sercli.errors import ConfigError

__all__ = ["Config", "build", "search_space"]


def build(config: Config, n_features: int, n_labels: int) -> Classifier:
    """Make the network for (B, T, n_features) input and n_labels classes.

    Raises:
        ConfigError: a softmax is to mix layers, and the features are not `n_layers` of them side by side.
    """
    if config.mixing == "softmax" and n_features % config.n_layers:
        raise ConfigError(
            f"architecture.n_layers={config.n_layers}: the feature's {n_features} columns are not so many layers side "
            "by side; give the number of feature.layers."
        )
    return LayerMix(config, n_features, n_labels)
