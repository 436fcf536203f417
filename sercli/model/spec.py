"""The configuration of a model and its training, built from a preset, a file and `--set`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sercli import config, contracts, plugins
from sercli.config import Section, Sections
from sercli.errors import ConfigError, SerError, no_such
from sercli.model.papers import PAPERS
from sercli.types import AudioConfig, ModelSpec, TrainConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import nn

    Features = tuple[tuple[str, DataclassInstance], ...]

_PRESETS = Path(str(files("sercli") / "presets"))
# Sections that no model has, with the commands that read them.
_ELSEWHERE = {
    "ensemble": "`ser ensemble`, not of a model",
    "corpus": "`ser prepare`",
    "asr": "`ser prepare --asr` and `ser predict`",
}


@dataclass(frozen=True)
class ExperimentConfig:
    """The configuration of one experiment: a model and how it is trained."""

    name: str  # of the preset, or "custom"
    model: ModelSpec
    train: TrainConfig

    @property
    def feature_names(self) -> list[str]:
        """The names of the model's features, in the order of its inputs."""
        return [name for name, _ in self.model.features]

    @property
    def copies(self) -> "tuple[Features, ...]":
        """The features of each copy of the train part: as in prediction, then with recordings that are changed."""
        features = self.model.features
        changes: list[Callable[[AudioConfig], AudioConfig]] = [replace]
        changes += [partial(replace, speed=speed) for speed in self.train.speeds]
        changes += [partial(replace, variant=n + 1) for n in range(self.train.variants)]
        return tuple(
            tuple((name, change(own) if isinstance(own, AudioConfig) else own) for name, own in features)
            for change in changes
        )

    def to_dict(self) -> Sections:
        """Return the configuration as sections of a file, defaults included."""
        names = self.feature_names
        feature = names if len(names) > 1 else names[0]
        return {
            "model": {"feature": feature, "architecture": self.model.architecture},
            "feature": _to_section(self.model.features),
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


def features_of(sections: Mapping[str, Section]) -> list[str]:
    """The features that a model reads, by the section `model`: one name, or several in a list or between commas."""
    chosen = sections["model"].get("feature", "")
    names = chosen if isinstance(chosen, list) else str(chosen).split(",")
    return [str(name).strip() for name in names]


def reads_text(preset: str) -> bool:
    """Whether a feature of a preset is made from text."""
    return any(plugins.feature(feature).INPUT == "text" for feature in features_of(preset_sections(preset)))


def preset_features() -> list[tuple[str, Section]]:
    """The features of ser's own presets with their settings, each once; without features that need an extra.

    Features of the presets of `PAPERS`, and copies at other speeds or with variations, are computed when they are
    trained.

    Read from the files alone: building the configurations would import torch.
    """
    found: list[tuple[str, Section]] = []
    for name in presets():
        if name in PAPERS:
            continue
        sections = preset_sections(name)
        own = _by_feature(features_of(sections), sections.get("feature", {}))
        needed = [one for one in own.items() if not isinstance(plugins.feature(one[0]), contracts.NeedsExtra)]
        found += [one for one in needed if one not in found]
    return found


def resolve(preset: str | None, file: Path | None, sets: Sections) -> ExperimentConfig:
    """Return the checked configuration merged from preset, file and `--set`; later ones override earlier ones.

    Settings of a feature or architecture are dropped when a later source names another one. A preset whose feature or
    architecture `--set` replaces is "custom".

    Raises:
        ConfigError: unknown key, wrong type, out of range, neither preset nor file names the model, or the file holds
            another model than the preset.
    """
    own, changes = preset_sections(preset) if preset else {}, config.read_file(file) if file else {}
    if preset and file and "model" in changes:
        _check_file(preset, file, changes)
    merged = _merged(own, changes, sets)
    for section, command in _ELSEWHERE.items():
        for key in merged[section]:
            raise ConfigError(f"{section}.{key} is a setting of {command}; leave it out.")
    kept = preset and merged["model"] == own["model"]
    return build(preset if preset and kept else "custom", merged)


def build(name: str, sections: Mapping[str, Section]) -> ExperimentConfig:
    """The configuration that sections describe, such as those in a run directory.

    Raises:
        ConfigError: as `resolve`.
    """
    model = model_of(sections)
    train = config.build(TrainConfig, sections.get("train", {}), "train")
    _check_copies(model.features, train)
    return ExperimentConfig(name, model, train)


def model_of(sections: Mapping[str, Section]) -> ModelSpec:
    """The model that sections describe.

    Raises:
        ConfigError: as `resolve`.
    """
    chosen = sections.get("model", {})
    for key in chosen:
        if key not in ("feature", "architecture"):
            raise ConfigError(config.no_such_setting("model", key, ("feature", "architecture")))
    if len(chosen) < 2:
        raise ConfigError("No model chosen: give a preset with -m, or model.feature and model.architecture.")
    names, architecture = features_of(sections), str(chosen["architecture"])
    _check_inputs(names, architecture)
    features = _features(names, sections.get("feature", {}))
    shape = config.build(plugins.architecture(architecture).Config, sections.get("architecture", {}), "architecture")
    return ModelSpec(features, architecture, shape)


def network(model: ModelSpec, n_features: Sequence[int], n_labels: int) -> "nn.Module":
    """Build the untrained network of a model, with F of each input and K classes."""
    plugin = plugins.architecture(model.architecture)
    several = isinstance(plugin, contracts.ReadsSeveral)
    return plugin.build(model.architecture_config, tuple(n_features) if several else n_features[0], n_labels)


def _check_inputs(features: Sequence[str], architecture: str) -> None:
    """Refuse features that are not the inputs of the architecture."""
    plugin = plugins.architecture(architecture)
    if not isinstance(plugin, contracts.ReadsSeveral):
        if len(features) > 1:
            raise ConfigError(
                f"model.feature={','.join(features)}: the architecture '{architecture}' reads one feature; give one, "
                "or another model.architecture."
            )
        return
    kinds = tuple(plugins.feature(feature).INPUT for feature in features)
    if len(set(features)) < len(features) or plugin.INPUTS not in ((), kinds):
        wanted = ", ".join(plugin.INPUTS) or "any, each once"
        raise ConfigError(
            f"model.feature={','.join(features)}: the architecture '{architecture}' reads features of {wanted}; these "
            f"are of {', '.join(kinds)}."
        )


def _features(names: Sequence[str], section: Section) -> "Features":
    """Return features with their configurations."""
    found = []
    for name, own in _by_feature(names, section).items():
        prefix = f"feature.{name}" if len(names) > 1 else "feature"
        found.append((name, config.build(plugins.feature(name).Config, own, prefix)))
    return tuple(found)


def _to_section(features: "Features") -> Section:
    """Return the section `feature` with the settings of features, defaults included: `_features` reversed."""
    own: Section = {name: config.to_dict(settings) for name, settings in features}
    return own if len(features) > 1 else config.to_dict(features[0][1])


def _by_feature(names: Sequence[str], section: Section) -> dict[str, Section]:
    """Return the settings of each feature.

    Those of several features are in a section of each name (`feature.lld.deltas`); a setting without a name is for all
    features that have it.

    Raises:
        ConfigError: no feature has the setting.
    """
    if len(names) == 1:
        return {names[0]: section}
    found: dict[str, Section] = {name: {} for name in names}
    known = {name: {f.name for f in fields(plugins.feature(name).Config)} for name in names}
    for key, value in section.items():
        name, _, setting = key.partition(".")
        own = value if isinstance(value, dict) else {setting or key: value}
        takers = [name] if name in names else [name for name in names if key in known[name]]
        if not takers:
            raise ConfigError(config.no_such_setting("feature", key, set().union(*known.values())))
        for taker in takers:
            found[taker].update(own)
    return found


def _check_copies(features: "Features", train: TrainConfig) -> None:
    """Refuse speeds and variants for features of text alone, and speeds that are there already."""
    given = list(train.speeds)
    audio = [own for _, own in features if isinstance(own, AudioConfig)]
    names = ",".join(name for name, _ in features)
    if given and not audio:
        raise ConfigError(
            f"train.speeds={given}: the feature '{names}' reads text, which has no speed; give train.speeds=[]."
        )
    if train.variants and not audio:
        raise ConfigError(f"train.variants={train.variants}: the feature '{names}' reads text, not audio; give 0.")
    if train.warp and len(audio) < len(features):
        raise ConfigError(f"train.warp={train.warp}: not each of '{names}' has a frequency axis; give 0.")
    for own in audio:
        if len({own.speed, *given}) <= len(given):
            raise ConfigError(
                f"train.speeds={given}: list each speed once and leave out {own.speed:g}, which is always included."
            )


def _check_file(preset: str, file: Path, content: Sections) -> None:
    """Refuse a file that holds the model of another preset, which would be trained under the name of this one.

    Two presets may differ in the settings of their feature alone, which `ser tune` does not search.

    Raises:
        ConfigError: naming what differs, and the preset that fits if there is one.
    """
    found = _changes(preset, content)
    model = {**preset_sections(preset)["model"], **content["model"]}
    alike = [other for other in presets() if found and preset_sections(other)["model"] == model]
    fitting = [other for other in alike if not _changes(other, content)]
    if fitting or any(change.startswith("model.") for change in found):
        instead = f"give -m {' or '.join(fitting)}" if fitting else "leave out -m"
        raise ConfigError(f"{file} holds another model than {preset}: {'; '.join(found)}; {instead}.")


def _changes(preset: str, content: Sections) -> list[str]:
    """Return what a file changes of a preset's model, or else of the settings of its features."""
    own = preset_sections(preset)
    before, after = (
        {"model": merged["model"], "feature": _to_section(_features(features_of(merged), merged["feature"]))}
        for merged in (_merged(own), _merged(own, content))
    )
    found = config.differences(before["model"], after["model"], "model.")
    return found or config.differences(before["feature"], after["feature"], "feature.")


def _merged(*layers: Sections) -> Sections:
    """Return sections with the values of each layer over those before it."""
    merged: Sections = {section: {} for section in config.SECTIONS}
    for layer in layers:
        for kind in ("feature", "architecture"):
            named = layer.get("model", {}).get(kind)
            if named is not None and named != merged["model"].get(kind, named):
                merged[kind] = {}
        for section, values in layer.items():
            if section != "feature":
                merged[section].update(values)
        names, own = features_of(merged), layer.get("feature", {})
        if len(names) == 1:
            merged["feature"].update(own)
        else:
            kept, changed = (_by_feature(names, section) for section in (merged["feature"], own))
            merged["feature"] = {name: {**kept[name], **changed[name]} for name in names}
    return merged
