"""The configuration of a model and its training, built from a preset, a file and `--set`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sercli import config, plugins
from sercli.config import Section, Sections
from sercli.errors import ConfigError, SerError, no_such
from sercli.types import AudioConfig, ModelSpec, TrainConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_PRESETS = Path(str(files("sercli") / "presets"))


@dataclass(frozen=True)
class ExperimentConfig:
    """The configuration of one experiment: a model and how it is trained."""

    name: str  # of the preset, or "custom"
    model: ModelSpec
    train: TrainConfig

    @property
    def feature_configs(self) -> "tuple[DataclassInstance, ...]":
        """Configurations of the features in the train part: as in prediction, then the copies that are changed."""
        own = self.model.feature_config
        if not isinstance(own, AudioConfig):
            return (own,)
        speeds = (replace(own, speed=speed) for speed in self.train.speeds)
        return (own, *speeds, *(replace(own, variant=n + 1) for n in range(self.train.variants)))

    def to_dict(self) -> Sections:
        """Return the configuration as sections of a file, defaults included."""
        return {
            "model": {"feature": self.model.feature, "architecture": self.model.architecture},
            "feature": config.to_dict(self.model.feature_config),
            "architecture": config.to_dict(self.model.architecture_config),
            "train": config.to_dict(self.train),
        }


def presets() -> tuple[str, ...]:
    """Names of the presets that come with ser: the .toml files in sercli/presets."""
    return tuple(sorted(path.stem for path in _PRESETS.glob("*.toml")))


def described_presets() -> dict[str, str]:
    """What each preset is: the first line of its file."""
    return {name: (_PRESETS / f"{name}.toml").read_text("utf-8").splitlines()[0].strip("# .") for name in presets()}


def preset_sections(name: str) -> Sections:
    """The sections of a preset.

    Raises:
        SerError: no such preset; the message lists the existing ones.
    """
    if name not in presets():
        raise SerError(no_such("preset", name, presets()))
    return config.read_file(_PRESETS / f"{name}.toml")


def preset_feature(name: str) -> str:
    """The feature that a preset reads."""
    return str(preset_sections(name)["model"]["feature"])


def reads_text(preset: str) -> bool:
    """Whether the feature of a preset is made from text."""
    return plugins.feature(preset_feature(preset)).INPUT == "text"


def preset_features() -> list[tuple[str, Section]]:
    """The features of the presets with their settings, each once; without features that need an extra.

    Read from the files alone: building the configurations would import torch.
    """
    found: list[tuple[str, Section]] = []
    for name in presets():
        sections = preset_sections(name)
        feature, own = preset_feature(name), sections.get("feature", {})
        train = sections.get("train", {})
        speeds, variants = train.get("speeds", []), train.get("variants", 0)
        assert isinstance(speeds, list)
        assert isinstance(variants, int)
        if not isinstance(plugins.feature(feature), plugins.NeedsExtra):
            changed = [{"speed": speed} for speed in speeds] + [{"variant": n + 1} for n in range(variants)]
            copies = (own, *({**own, **change} for change in changed))
            found += [(feature, settings) for settings in copies if (feature, settings) not in found]
    return found


def resolve(preset: str | None, file: Path | None, sets: Sections) -> ExperimentConfig:
    """Return the checked configuration merged from preset, file and `--set`; later ones override earlier ones.

    Settings of a feature or architecture are dropped when a later source names another one. A preset whose feature or
    architecture `--set` replaces is "custom".

    Raises:
        ConfigError: unknown key, wrong type, out of range, neither preset nor file names the model, or the file holds
            another model than the preset.
    """
    merged: Sections = {section: {} for section in config.SECTIONS}
    own, changes = preset_sections(preset) if preset else {}, config.read_file(file) if file else {}
    if preset and file and "model" in changes:
        _check_file(preset, file, changes)
    for layer in (own, changes, sets):
        _merge(merged, layer)
    for key in merged["ensemble"]:
        raise ConfigError(f"ensemble.{key} is a setting of `ser ensemble`, not of a model; leave it out.")
    for key in merged["asr"]:
        raise ConfigError(f"asr.{key} is a setting of `ser prepare --asr` and `ser predict`; leave it out.")
    kept = preset and merged["model"] == own["model"]
    return build(preset if preset and kept else "custom", merged)


def build(name: str, sections: Mapping[str, Section]) -> ExperimentConfig:
    """The configuration that sections describe, such as those in a run directory.

    Raises:
        ConfigError: as `resolve`.
    """
    chosen = sections.get("model", {})
    for key in chosen:
        if key not in ("feature", "architecture"):
            raise ConfigError(config.no_such_setting("model", key, ("feature", "architecture")))
    if len(chosen) < 2:
        raise ConfigError("No model chosen: give a preset with -m, or model.feature and model.architecture.")
    feature, architecture = str(chosen["feature"]), str(chosen["architecture"])
    train = config.build(TrainConfig, sections.get("train", {}), "train")
    own = config.build(plugins.feature(feature).Config, sections.get("feature", {}), "feature")
    _check_speeds(feature, own, train.speeds)
    if train.variants and not isinstance(own, AudioConfig):
        raise ConfigError(f"train.variants={train.variants}: the feature '{feature}' reads text, not audio; give 0.")
    shape = config.build(plugins.architecture(architecture).Config, sections.get("architecture", {}), "architecture")
    return ExperimentConfig(name, ModelSpec(feature, own, architecture, shape), train)


def _check_speeds(feature: str, own: "DataclassInstance", speeds: Iterable[float]) -> None:
    given = list(speeds)
    if given and not isinstance(own, AudioConfig):
        raise ConfigError(
            f"train.speeds={given}: the feature '{feature}' reads text, which has no speed; give train.speeds=[]."
        )
    if isinstance(own, AudioConfig) and len({own.speed, *given}) <= len(given):
        raise ConfigError(
            f"train.speeds={given}: list each speed once and leave out {own.speed:g}, which is always included."
        )


def _check_file(preset: str, file: Path, content: Sections) -> None:
    """Refuse a file that holds the model of another preset, which would be trained under the name of this one.

    Two presets may differ in the settings of their feature alone, which `ser tune` does not search.

    Raises:
        ConfigError: naming what differs, and the preset that fits if there is one.
    """
    asked, held = _with(preset, content)
    found = config.differences(asked["model"], held["model"], "model.")
    found = found or config.differences(asked["feature"], held["feature"], "feature.")
    alike = [other for other in presets() if found and preset_sections(other)["model"] == held["model"]]
    fitting = [other for other in alike if _agree(other, content)]
    if asked["model"] != held["model"] or fitting:
        instead = f"give -m {' or '.join(fitting)}" if fitting else "leave out -m"
        raise ConfigError(f"{file} holds another model than {preset}: {'; '.join(found)}; {instead}.")


def _agree(preset: str, content: Sections) -> bool:
    """Return whether a file's model and feature are those of a preset."""
    asked, held = _with(preset, content)
    return asked == held


def _with(preset: str, content: Sections) -> tuple[Sections, Sections]:
    """Return the sections of a preset, defaults included, without and with the content of a file."""
    merged: Sections = {section: {} for section in config.SECTIONS}
    _merge(merged, preset_sections(preset))
    before = _filled(merged)
    _merge(merged, content)
    return before, _filled(merged)


def _filled(sections: Sections) -> Sections:
    """Return the model and the settings of its feature, defaults included."""
    feature = plugins.feature(str(sections["model"]["feature"])).Config
    return {
        "model": {**sections["model"]},
        "feature": config.to_dict(config.build(feature, sections["feature"], "feature")),
    }


def _merge(merged: Sections, layer: Sections) -> None:
    for kind in ("feature", "architecture"):
        named = layer.get("model", {}).get(kind)
        if named is not None and named != merged["model"].get(kind, named):
            merged[kind] = {}
    for section, values in layer.items():
        merged[section].update(values)
