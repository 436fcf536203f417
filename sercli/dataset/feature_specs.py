"""Feature specs: the features of a dataset, each with its configuration, and their names on disk."""

import dataclasses
import hashlib
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import msgspec

from sercli import config, contracts, plugins
from sercli.audio import isolation, variation
from sercli.errors import ConfigError, SerError
from sercli.types import AudioConfig

FeatureSpec = tuple[str, contracts.PluginConfig]
FeatureSpecs = Sequence[FeatureSpec]
"""Features to compute, each with its Config."""


def feature_configs(
    names: str | None, sets: Sequence[str], defaults: Sequence[tuple[str, Mapping[str, object]]]
) -> FeatureSpecs:
    """Return the features to compute, each with its configuration.

    Args:
        names: separated by commas; None: the defaults.
        sets: `feature.KEY=VALUE` pairs; each goes to every chosen feature that has the key. Those of a recogniser
            and a corpus may be among them; see `transcripts.engine_config`.
        defaults: features with their settings.

    Raises:
        SerError: an unknown feature, or a key that no chosen feature has.
    """
    chosen = defaults if names is None else [(name.strip(), {}) for name in names.split(",") if name.strip()]
    if not chosen:
        raise SerError("--features names none; give for example --features lld,words, or leave it out.")
    classes = {name: plugins.feature(name).Config for name, _ in chosen}
    values = config.parse_sets(sets, "ser prepare", ("feature", "asr", "corpus")).get("feature", {})
    given = config.divided(classes, values, "feature")
    return [(name, config.build(classes[name], {**own, **given[name]}, "feature")) for name, own in chosen]


def corpus_config(corpus: str, sets: Sequence[str]) -> contracts.PluginConfig:
    """Return a corpus' configuration; None without settings, for which the corpus need not be imported.

    Raises:
        ConfigError: no such setting, or the corpus has none.
    """
    values = config.parse_sets(sets).get("corpus", {})
    if not values:
        return None
    plugin = plugins.corpus(corpus)
    if not isinstance(plugin, contracts.HasConfig):
        raise ConfigError(f"--set corpus.{next(iter(values))}: {corpus} has no settings; leave it out.")
    return config.build(plugin.Config, values, "corpus")


def shared(feature: str, feature_config: contracts.PluginConfig) -> Hashable:
    """Return what is equal for features that are computed together: the same signals, with or without a network."""
    plugin = plugins.feature(feature)
    if not isinstance(feature_config, AudioConfig):
        return feature, feature_config
    return plugin.INPUT, _sound(feature_config), isinstance(plugin, contracts.UsesDevice)


def _sound(config: AudioConfig) -> AudioConfig:
    """Return what the signals depend on, of all settings of a feature."""
    return AudioConfig(config.sample_rate_hz, config.level_dbfs, config.speed, config.variant)


def title(specs: FeatureSpecs) -> str:
    """Return the name of a feature with its settings; of several that are computed together, those that they share.

    >>> from sercli.features import whisper_encoder
    >>> both = whisper_encoder.Config(model=("base", "tiny.en"), speed=0.9), whisper_encoder.Config(speed=0.9)
    >>> title([("whisper-encoder", both[0])])
    'whisper-encoder (speed 0.9, base + tiny.en)'
    >>> title([("whisper-encoder", config) for config in both])
    'whisper-encoder (speed 0.9)'
    """
    names, configs = zip(*specs, strict=True)
    return _titled(", ".join(dict.fromkeys(names)), configs[0] if len(specs) == 1 else _sound(configs[0]))


def _titled(name: str, feature_config: contracts.PluginConfig) -> str:
    """Return a name with those settings that are not the default."""
    default, parts = type(feature_config)(), []
    for field in dataclasses.fields(feature_config):
        value = getattr(feature_config, field.name)
        if value == getattr(default, field.name):
            continue
        several = value if isinstance(value, tuple) else (value,)
        shown = " + ".join(one.name if isinstance(one, Path) else str(one) for one in several)
        named = "" if all(isinstance(one, str | Path) for one in several) else f"{field.name} "
        parts.append(field.name if value is True else f"{named}{shown}")
    return f"{name} ({', '.join(parts)})" if parts else name


def key(feature: str, feature_config: contracts.PluginConfig) -> str:
    """Return the name of a feature's folder: the same name means the same numbers."""
    plugin = plugins.feature(feature)
    if isinstance(feature_config, AudioConfig):
        feature_config = dataclasses.replace(feature_config, normalise="none")  # which is done after they are read
    settings = config.to_dict(feature_config)
    if isinstance(plugin, contracts.HasIdentity):
        settings = plugin.identity(feature_config)
    content = {"version": plugin.VERSION, "dtype": plugin.DTYPE, "config": settings}
    if plugin.INPUT == "audio":
        content["signal"] = [isolation.VERSION, variation.VERSION]
    return f"{feature}-{hashlib.sha256(msgspec.json.encode(content, order='sorted')).hexdigest()[:12]}"
