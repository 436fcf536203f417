"""From a preset, a configuration file and `--set` to one full specification of a model and its training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from sercli import config, plugins
from sercli.errors import ConfigError, SerError, no_such
from sercli.types import ModelSpec, TrainConfig

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ExperimentConfig:
    """What is to be trained, and how."""

    name: str  # of the preset, or "custom"
    model: ModelSpec
    train: TrainConfig

    @property
    def feature_configs(self) -> tuple[Any, ...]:
        """Of all that the network is trained on: the feature as it answers with, then at each of `train.speeds`."""
        heard = self.model.feature_config
        return (heard, *(replace(heard, speed=speed) for speed in self.train.speeds))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The same as sections of a configuration file, defaults included."""
        return {
            "model": {"feature": self.model.feature, "architecture": self.model.architecture},
            "feature": config.to_dict(self.model.feature_config),
            "architecture": config.to_dict(self.model.architecture_config),
            "train": config.to_dict(self.train),
        }


def presets() -> tuple[str, ...]:
    """Names of the presets that ship: the .toml files in sercli/presets."""
    folder = files("sercli") / "presets"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def preset_sections(name: str) -> dict[str, dict[str, Any]]:
    """The settings of a preset.

    Raises:
        SerError: no such preset; the message lists those that exist.
    """
    if name not in presets():
        raise SerError(no_such("preset", name, presets()))
    return config.read_file(Path(str(files("sercli") / "presets" / f"{name}.toml")))


def preset_features() -> list[tuple[str, dict[str, Any]]]:
    """The features that the presets use, each with its settings; none twice, and none that needs an extra.

    By what their files say: to make a plan of each, torch would have to be imported.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    for name in presets():
        sections = preset_sections(name)
        feature, own = str(sections["model"]["feature"]), sections.get("feature", {})
        copies = [{**own, "speed": speed} for speed in sections.get("train", {}).get("speeds", [])]
        if not isinstance(plugins.feature(feature), plugins.NeedsExtra):
            found += [(feature, settings) for settings in (own, *copies) if (feature, settings) not in found]
    return found


def resolve(preset: str | None, file: Path | None, sets: Sections) -> ExperimentConfig:
    """Lay the sources over each other, the later winning: preset, file, `--set`; then check every key and value.

    Settings of a preset's feature or architecture are dropped when a later source names another one.

    Raises:
        ConfigError: unknown key, wrong type, out of range, or neither preset nor file names the model.
    """
    layers: list[Sections] = [preset_sections(preset)] if preset else []
    layers += [config.read_file(file)] if file else []
    merged: dict[str, dict[str, Any]] = {section: {} for section in config.SECTIONS}
    for layer in [*layers, sets]:
        _lay_over(merged, layer)
    if merged["ensemble"]:
        raise ConfigError(f"ensemble.{next(iter(merged['ensemble']))} is a setting of `ser ensemble`, not of a model.")
    if merged["asr"]:
        raise ConfigError(f"asr.{next(iter(merged['asr']))} is a setting of `ser prepare --asr` and `ser predict`.")
    return build(preset or "custom", merged)


def build(name: str, sections: Sections) -> ExperimentConfig:
    """Make a plan from full sections, as a run directory keeps them.

    Raises:
        ConfigError: as `resolve`.
    """
    chosen = dict(sections.get("model", {}))
    for key in chosen:
        if key not in ("feature", "architecture"):
            raise ConfigError(config.no_such_setting("model", key, ("feature", "architecture")))
    if len(chosen) < 2:
        raise ConfigError("No model chosen: give a preset with -m, or model.feature and model.architecture.")
    feature, architecture = str(chosen["feature"]), str(chosen["architecture"])
    train = config.build(TrainConfig, sections.get("train", {}), "train")
    heard = config.build(plugins.feature(feature).Config, sections.get("feature", {}), "feature")
    _check_speeds(feature, heard, train.speeds)
    built = plugins.architecture(architecture).Config
    shape = config.build(built, sections.get("architecture", {}), "architecture")
    return ExperimentConfig(name, ModelSpec(feature, heard, architecture, shape), train)


def _check_speeds(feature: str, heard: Any, speeds: tuple[float, ...]) -> None:
    given = f"train.speeds={list(speeds)}"
    if not speeds:
        return
    if plugins.feature(feature).INPUT == "text":
        raise ConfigError(f"{given}: '{feature}' reads words, which have no speed; give train.speeds=[].")
    if len({heard.speed, *speeds}) <= len(speeds):
        raise ConfigError(
            f"{given}: each speed is given once, and {heard.speed:g} not at all, at which all is heard anyway."
        )


def _lay_over(merged: dict[str, dict[str, Any]], layer: Sections) -> None:
    for kind in ("feature", "architecture"):
        named = layer.get("model", {}).get(kind)
        if named is not None and named != merged["model"].get(kind, named):
            merged[kind] = {}
    for section, values in layer.items():
        merged[section].update(values)
