"""Making an ensemble: two trained models become one, at decision level or at feature level."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from sercli import config, plugins, runs
from sercli.dataset.manifest import Dataset
from sercli.errors import ConfigError, MismatchError
from sercli.model import inference
from sercli.model.batches import Examples, Normaliser
from sercli.model.ensemble import Ensemble
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Model
from sercli.runs import RunInfo
from sercli.training import experiment
from sercli.training.trainer import Trainer
from sercli.types import Array, Split, TrainConfig, Utterance

_WORDS = ("words", "words_sha256")  # what the settings of a run say of whose words it read


def rule_configs(rules: Sequence[str], sets: Sequence[str]) -> dict[str, tuple[Any, TrainConfig]]:
    """Each rule's configuration, and how it is trained where it is.

    An `ensemble.KEY` goes to every chosen rule that has the key.

    Raises:
        SerError: an unknown rule, a key that no chosen rule has, or a section that plays no part.
    """
    sections = config.parse_sets(sets)
    for section in sorted(sections.keys() - {"ensemble", "train"}):
        raise ConfigError(f"--set {section}.… does nothing in `ser ensemble`, which takes ensemble.KEY and train.KEY.")
    loaded = {rule: plugins.load("ensemble", rule) for rule in rules}
    if "train" in sections and not any(hasattr(plugin, "build") for plugin in loaded.values()):
        raise ConfigError(f"--set train.… does nothing with --rule {', '.join(rules)}: no network is trained there.")
    classes = {rule: plugin.Config for rule, plugin in loaded.items()}
    fields = {rule: {f.name for f in dataclasses.fields(cls)} for rule, cls in classes.items()}
    values = sections.get("ensemble", {})
    for key in values:
        if not any(key in known for known in fields.values()):
            raise ConfigError(config.no_such_setting("ensemble", key, set().union(*fields.values())))
    train_config = config.build(TrainConfig, sections.get("train", {}), "train")
    if train_config.speeds:
        raise ConfigError(
            f"--set train.speeds={list(train_config.speeds)} does nothing in `ser ensemble`, which hears each "
            "recording as it is; give it to `ser train`."
        )
    return {
        rule: (config.build(cls, {k: v for k, v in values.items() if k in fields[rule]}, "ensemble"), train_config)
        for rule, cls in classes.items()
    }


@dataclass(frozen=True)
class FusionContext:
    """What making an ensemble works with."""

    dataset: Dataset
    rows: FeatureProvider
    seed: int
    device: torch.device
    on_epoch: experiment.OnEpoch


def fuse(
    members: tuple[Model, ...],
    rule: str,
    out: Path,
    context: FusionContext,
    *,
    rule_config: Any,
    train_config: TrainConfig,
) -> RunInfo:
    """Make an ensemble of an acoustic and a linguistic model into a run directory of its own.

    What a rule learns it learns on the validation part (decision level) or on train and validation (feature level).

    Raises:
        MismatchError: the members differ in labels, split or data, or the directory holds another ensemble.
    """
    split = check_members(members, context.dataset)
    plugin = plugins.load("ensemble", rule)
    trained = hasattr(plugin, "build")
    sections = experiment.provenance(context.dataset, split, context.seed)
    new = initial_info(
        [m.info for m in members], rule, rule_config, train_config, sections, data=str(context.dataset.folder)
    )
    with runs.started(out, new) as info:
        if info.status == "finished":
            return info
        runs.write_split(out, split)
        for member in members:
            _copy_member(member, out / "members" / member.info.modality)
        encoders = members
        if trained:
            state, encoders = _train_rule(members, plugin, rule_config, train_config, split, out, context)
        else:
            valid = context.dataset.select(split.valid)
            answers = [m.predict(valid, context.rows) for m in members]
            state = plugin.fit(answers, experiment.classes(context.dataset, valid), rule_config)
        runs.write_arrays(out / "state.npz", state)
        return experiment.finish(
            Ensemble(out, new, members, encoders, plugin, state), context.dataset, split, context.rows
        )


def join(members: tuple[Model, ...], rule: str, out: Path, *, rule_config: Any) -> RunInfo:
    """Make an ensemble of models that were trained on different corpora, by a rule that learns nothing.

    There is no data on which it could be scored, so it has no split and no predictions of its own.

    Raises:
        MismatchError: the members differ in labels or are not one acoustic and one linguistic model, or the directory
            holds another ensemble.
        ConfigError: the rule learns from data.
    """
    plugin = plugins.load("ensemble", rule)
    if getattr(plugin, "LEARNS", True):
        able = [
            name for name in plugins.names("ensemble") if not getattr(plugins.load("ensemble", name), "LEARNS", True)
        ]
        raise ConfigError(f"--rule {rule} learns from data: give --data, or take one of {', '.join(able)}.")
    runs.check_labels([m.folder for m in members], [m.info for m in members])
    _check_modalities(members)
    sections: dict[str, dict[str, Any]] = {
        "data": {"corpus": "none", "manifest_sha256": ""},
        "split": {"kind": "none", "leaky": any(m.info.settings["split"]["leaky"] for m in members)},
    }
    new = initial_info([m.info for m in members], rule, rule_config, TrainConfig(), sections, data="")
    with runs.started(out, new) as info:
        if info.status == "finished":
            return info
        for member in members:
            _copy_member(member, out / "members" / member.info.modality)
        runs.write_arrays(out / "state.npz", plugin.fit([], np.zeros(0, np.int64), rule_config))
        info = replace(new, status="finished")
        runs.write_info(out, info)
        return info


def initial_info(
    members: Sequence[RunInfo],
    rule: str,
    rule_config: Any,
    train_config: TrainConfig,
    sections: Mapping[str, Mapping[str, Any]],
    *,
    data: str,
) -> RunInfo:
    """What run.json says of an ensemble before there is one.

    Args:
        members: what the runs say of themselves.
        rule: its name.
        rule_config: its configuration.
        train_config: how it is trained; a rule without a network leaves it out.
        sections: what it is made on, as `experiment.provenance` says it.
        data: where the dataset lies.
    """
    trained = hasattr(plugins.load("ensemble", rule), "build")
    return RunInfo(
        kind="ensemble",
        name=rule,
        status="training",
        labels=members[0].labels,
        modality="both",
        settings={
            "ensemble": {"rule": rule, **config.to_dict(rule_config)},
            "train": config.to_dict(train_config) if trained else {},
            "members": {info.modality: info.settings for info in members},
            **sections,
        },
        data=data,
        train_counts=members[0].train_counts,
    )


def check_members(members: Sequence[Model], dataset: Dataset) -> Split:
    """Refuse members that cannot be combined honestly.

    Returns:
        the split that they share.

    Raises:
        MismatchError: other labels, other data, other words, another split, or not one acoustic and one linguistic
            model.
    """
    first, second = members
    runs.check_labels([m.folder for m in members], [m.info for m in members])
    for section in ("data", "split"):
        found = config.differences(_shared(first, section), _shared(second, section), f"{section}.")
        if found:
            raise MismatchError(
                f"{first.folder} and {second.folder} were not trained on the same {section}: {'; '.join(found)}. "
                "Train both with the same --data, --split and --fold."
            )
    _check_modalities(members)
    trained_on = first.info.settings["data"]["manifest_sha256"]
    if trained_on != dataset.manifest.sha256:
        raise MismatchError(
            f"{first.folder} was trained on other data than {dataset.folder}: manifest {trained_on[:12]} against "
            f"{dataset.manifest.sha256[:12]}. Give the --data that the runs were trained on."
        )
    data = second.info.settings["data"]
    own = {key: data[key] for key in _WORDS if key in data}
    if found := config.differences(own, experiment.words_read(dataset), "data."):
        raise MismatchError(
            f"{second.folder} was trained on other words than these: {'; '.join(found)}. Give --words "
            f"{second.info.words} as when it was trained, or train it again."
        )
    return runs.read_split(first.folder)


def _shared(member: Model, section: str) -> dict[str, Any]:
    """What members must have in common of a section of their settings: not the words, which one of them never reads."""
    return {key: value for key, value in member.info.settings[section].items() if key not in _WORDS}


def _check_modalities(members: Sequence[Model]) -> None:
    first, second = members
    if [m.info.modality for m in members] != ["acoustic", "linguistic"]:
        raise MismatchError(
            f"-a takes an acoustic run and -l a linguistic one; {first.folder} is {first.info.modality}, "
            f"{second.folder} is {second.info.modality}."
        )


class _Given(torch.nn.Module):
    """Stands in for a frozen encoder: its input is the embedding itself, as a sequence of one."""

    def encode(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, 1, E) -> (B, E)."""
        return x[:, 0]


def _train_rule(
    members: tuple[Model, ...],
    plugin: ModuleType,
    rule_config: Any,
    train_config: TrainConfig,
    split: Split,
    out: Path,
    context: FusionContext,
) -> tuple[dict[str, Array], tuple[Model, ...]]:
    """Train the network on top: its state, and the models whose embeddings it reads."""
    train, valid = context.dataset.select(split.train), context.dataset.select(split.valid)
    embedded = _embeddings(members, train, context)
    if rule_config.train_encoders:
        encoders = tuple(replace(m, module=copy.deepcopy(m.module)) for m in members)
        modules = [m.module for m in encoders]
        fed, checked = (_whole(members, part, context) for part in (train, valid))
    else:
        encoders = members
        modules = [_Given() for _ in members]
        fed = _given(embedded, train, context)
        checked = _given(_embeddings(members, valid, context), valid, context)
    torch.manual_seed(context.seed)
    network = plugin.build(rule_config, modules, embedded, len(members[0].labels))
    trainer = Trainer(network, fed, checked, train_config, seed=context.seed, device=context.device)
    experiment.fit(trainer, out, context.on_epoch)
    if rule_config.train_encoders:
        for encoder in encoders:
            _copy_member(encoder, out / "encoders" / encoder.info.modality)
    state: dict[str, Array] = plugin.state_of(trainer.module)
    return state, encoders


def _embeddings(members: Sequence[Model], part: Sequence[Utterance], context: FusionContext) -> list[Array]:
    """(N, E) of each member."""
    found = [m.predict(part, context.rows).embeddings for m in members]
    return [embeddings for embeddings in found if embeddings is not None]


def _given(embedded: Sequence[Array], part: Sequence[Utterance], context: FusionContext) -> Examples:
    """What a network on frozen encoders is fed from: embeddings (N, E), each a sequence of one."""
    inputs = tuple(list(embeddings[:, None]) for embeddings in embedded)
    normalisers = tuple(Normaliser.of(rows, "none") for rows in inputs)
    return Examples(inputs, normalisers, experiment.classes(context.dataset, part))


def _whole(members: Sequence[Model], part: Sequence[Utterance], context: FusionContext) -> Examples:
    """What encoders that are trained on are fed from: the members' own features, scaled as they were."""
    inputs = tuple(context.rows(part, m.spec.feature, m.spec.feature_config) for m in members)
    return Examples(inputs, tuple(m.normaliser for m in members), experiment.classes(context.dataset, part))


def _copy_member(member: Model, folder: Path) -> None:
    """A member's files into the ensemble's directory, with the weights that its network has now."""
    runs.copy_files(member.folder, folder, inference.files_of(member.spec))
    experiment.write_weights(folder, member.module)
