"""Making an ensemble of trained models, at decision level or at feature level."""

import copy
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from msgspec import structs

from sercli import config, contracts, plugins, runs
from sercli._system import arrays, devices
from sercli._system.files import write_atomic
from sercli.dataset.manifest import Dataset
from sercli.dataset.soft_targets import soft_targets
from sercli.errors import ConfigError, MismatchError
from sercli.model.batches import Examples, Normaliser
from sercli.model.inference import Ensemble, Model
from sercli.model.loading import files_of
from sercli.runs import RunInfo
from sercli.runs.settings import DataSettings, RunSettings, SplitSettings
from sercli.training import experiment
from sercli.training.experiment import Context
from sercli.training.trainer import Trainer, write_tensors
from sercli.types import ALL, FOUR, Array, Modality, Predictions, Split, TrainConfig, Utterance


@dataclass(frozen=True)
class RuleConfig:
    """A fusion rule with its configuration."""

    rule: str
    config: contracts.PluginConfig
    train: TrainConfig  # without effect where the rule trains no network

    @property
    def plugin(self) -> contracts.FusionRule:
        """The rule itself."""
        return plugins.fusion_rule(self.rule)

    @property
    def trains(self) -> bool:
        """Whether the rule trains a network on top of the members' encoders."""
        return isinstance(self.plugin, contracts.TrainsNetwork)


def rule_configs(rules: Sequence[str], sets: Sequence[str]) -> dict[str, RuleConfig]:
    """The configuration of each rule.

    An `ensemble.KEY` applies to every chosen rule that has the key.

    Raises:
        SerError: an unknown rule, a key that no chosen rule has, or a section without effect.
    """
    sections = config.parse_sets(sets)
    for section in sorted(sections.keys() - {"ensemble", "train"}):
        raise ConfigError(f"--set {section}.… does nothing in `ser ensemble`, which takes ensemble.KEY and train.KEY.")
    train = config.build(TrainConfig, sections.get("train", {}), "train")
    for name, given in (("speeds", list(train.speeds)), ("variants", train.variants)):
        if given:
            raise ConfigError(
                f"--set train.{name}={given} does nothing in `ser ensemble`, which reads each recording as it is; give "
                "it to `ser train`."
            )
    classes = {rule: plugins.fusion_rule(rule).Config for rule in rules}
    own = config.divided(classes, sections.get("ensemble", {}), "ensemble")
    configs = {rule: RuleConfig(rule, config.build(cls, own[rule], "ensemble"), train) for rule, cls in classes.items()}
    if "train" in sections and not any(rule.trains for rule in configs.values()):
        raise ConfigError(f"--set train.… does nothing with --rule {', '.join(rules)}: no network is trained there.")
    return configs


def fits(rule: RuleConfig, modalities: Sequence[Modality]) -> None:
    """Refuse a rule that learns nothing for members that it cannot combine.

    Raises:
        MismatchError: as the rule's own.
    """
    if not plugins.learns(rule.plugin):
        none = [Predictions((), FOUR, np.zeros((0, len(FOUR))), modality=modality) for modality in modalities]
        rule.plugin.combine(none, {}, rule.config)


def fuse(members: tuple[Model, ...], rule: RuleConfig, out: Path, context: Context) -> RunInfo:
    """Make an ensemble of models into a run directory of its own.

    A rule learns from the validation part (decision level) or from train and validation part (feature level).

    Raises:
        MismatchError: the members differ in labels, split or data, or the directory holds another ensemble.
    """
    dataset = context.dataset
    split = check_members(members, dataset)
    settings = experiment.provenance(dataset, [split], [context.seed])
    new = initial_run_info([m.info for m in members], rule, settings, data=str(dataset.folder))
    with runs.started(out, new) as info:
        if info.status == "finished":
            return info
        runs.write_split(out, split)
        named = dict(zip(new.settings.members, members, strict=True))
        _copy_models(named, out / "members")
        plugin, state = rule.plugin, dict[str, Array]()
        encoders: Mapping[str, Model] = named
        if isinstance(plugin, contracts.TrainsNetwork):
            state, encoders, epoch = _train_rule(named, plugin, rule, split, out, context)
            new = replace(new, best_epoch=epoch, hardware=devices.hardware(context.device))
        elif isinstance(plugin, contracts.LearnsFromPredictions):
            valid = dataset.select(split.valid)
            predictions = [m.predict(valid, context.provider) for m in members]
            state = plugin.fit(predictions, experiment.classes(dataset, valid), rule.config)
        if plugins.learns(rule.plugin):
            arrays.write(out / "state.npz", state)
        ensemble = Ensemble(out, new, named, encoders, rule.plugin, rule.config, state)
        temperature = rule.train.temperature if rule.trains else None
        return experiment.finish(ensemble, split, context, temperature=temperature)


def join(members: tuple[Model, ...], rule: RuleConfig, out: Path) -> RunInfo:
    """Make an ensemble of models that were trained on different corpora, by a rule that learns nothing.

    There is no data to score it on, so it has no split and no predictions of its own.

    Raises:
        MismatchError: the members differ in labels, or the directory holds another ensemble.
        ConfigError: the rule learns from data.
    """
    if plugins.learns(rule.plugin):
        able = (name for name in plugins.names("ensemble") if not plugins.learns(plugins.fusion_rule(name)))
        raise ConfigError(f"--rule {rule.rule} learns from data: give --data, or choose one of {', '.join(able)}.")
    infos = [m.info for m in members]
    runs.check_labels([m.folder for m in members], infos)
    settings = RunSettings(
        data=DataSettings(corpus="none", manifest_sha256=""),
        split=SplitSettings(kind="none", leaky=any(info.settings.split.leaky for info in infos)),
        seeds=(0,),
    )
    new = initial_run_info(infos, rule, settings, data="")
    with runs.started(out, new) as info:
        if info.status == "finished":
            return info
        _copy_models(dict(zip(new.settings.members, members, strict=True)), out / "members")
        info = replace(new, status="finished")
        runs.write_info(out, info)
        return info


def initial_run_info(members: Sequence[RunInfo], rule: RuleConfig, settings: RunSettings, *, data: str) -> RunInfo:
    """The info of an ensemble before it is made.

    Args:
        members: info of the members.
        rule: the rule.
        settings: on what it is made.
        data: folder of the dataset.
    """
    modalities = [info.modality for info in members]
    named = {}
    for place, info in enumerate(members):
        number = f"-{1 + modalities[:place].count(info.modality)}" if modalities.count(info.modality) > 1 else ""
        named[f"{info.modality}{number}"] = info.settings
    return RunInfo(
        kind="ensemble",
        name=rule.rule,
        status="training",
        labels=members[0].labels,
        modality=modalities[0] if len({*modalities}) == 1 else "both",
        settings=structs.replace(
            settings,
            rule=rule.rule,
            ensemble=config.to_dict(rule.config),
            train=config.to_dict(rule.train) if rule.trains else {},
            members=named,
        ),
        data=data,
        train_counts=members[0].train_counts,
    )


def check_members(members: Sequence[Model], dataset: Dataset) -> Split:
    """Refuse members whose combination could not be scored honestly.

    Returns:
        the split that they share.

    Raises:
        MismatchError: other labels, data, transcripts or split.
    """
    first, *others = members
    if first.info.settings.split.kind == ALL:
        raise MismatchError(
            f"{first.folder} was trained on the utterances of all folds, which leaves none to score an ensemble on; "
            f"give {first.folder.parent}, or leave out --data."
        )
    runs.check_labels([m.folder for m in members], [m.info for m in members])
    for section, other in product(("data", "split"), others):
        before, now = (structs.asdict(getattr(m.info.settings, section)) for m in (first, other))
        found = config.differences(before, now, f"{section}.")
        # Not all members read transcripts; those that do are compared below.
        if found := [change for change in found if not change.startswith("data.words")]:
            raise MismatchError(
                f"{first.folder} and {other.folder} were not trained on the same {section}: {'; '.join(found)}. "
                "Train all with the same --data, --split and --fold."
            )
    trained_on = first.info.settings.data.manifest_sha256
    if trained_on != dataset.manifest.sha256:
        raise MismatchError(
            f"{first.folder} was trained on other data than {dataset.folder}: manifest {trained_on[:12]} against "
            f"{dataset.manifest.sha256[:12]}. Give the --data that the runs were trained on."
        )
    given = structs.asdict(experiment.data_settings(dataset))
    for reader in (m for m in members if "text" in m.reads):
        if found := config.differences(structs.asdict(reader.info.settings.data), given, "data."):
            raise MismatchError(
                f"{reader.folder} was trained on other words than these: {'; '.join(found)}. Give --words "
                f"{reader.info.words} as when it was trained, or train it again."
            )
    return runs.read_split(first.folder)


class _Frozen(torch.nn.Module):
    """In place of a frozen encoder: the input is the embedding itself, as a sequence of one frame."""

    def encode(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, 1, E) -> (B, E)."""
        return x[:, 0]


def _train_rule(
    named: Mapping[str, Model],
    plugin: contracts.TrainsNetwork,
    rule: RuleConfig,
    split: Split,
    out: Path,
    context: Context,
) -> tuple[dict[str, Array], Mapping[str, Model], int]:
    """Train the network of a rule: its state, the models whose embeddings it reads, and the epoch that was kept."""
    members = list(named.values())
    train, valid = context.dataset.select(split.train), context.dataset.select(split.valid)
    embeddings, further = _embeddings(members, train, context), rule.config.train_encoders
    encoders = {n: replace(m, module=copy.deepcopy(m.module)) for n, m in named.items()} if further else named
    modules = [m.module if further else _Frozen() for m in encoders.values()]
    train_part = _examples(members, train, None if further else embeddings, context)
    valid_part = _examples(members, valid, None if further else _embeddings(members, valid, context), context)
    if rule.train.targets == "soft":
        train_part = replace(train_part, targets=soft_targets(context.dataset, train))
    torch.manual_seed(context.seed)
    network = plugin.build(rule.config, modules, embeddings, len(members[0].labels))
    trainer = Trainer(network, train_part, valid_part, rule.train, seed=context.seed, device=context.device)
    best = experiment.fit(trainer, out, context.on_epoch)
    if further:
        _copy_models(encoders, out / "encoders")
    return plugin.state_of(trainer.module), encoders, best.epoch


def _embeddings(members: Sequence[Model], part: Sequence[Utterance], context: Context) -> list[Array]:
    """(N, E) of each member."""
    found = [m.predict(part, context.provider).embeddings for m in members]
    return [embeddings for embeddings in found if embeddings is not None]


def _examples(
    members: Sequence[Model], part: Sequence[Utterance], embeddings: Sequence[Array] | None, context: Context
) -> Examples:
    """The input of a rule's network.

    On frozen encoders it is their embeddings (N, E), each as a sequence of one frame. Encoders that are trained further
    get the members' features, scaled as for the members.
    """
    if embeddings is None:
        inputs = [one for m in members for one in m.inputs(part, context.provider)]
        normalisers = [one for m in members for one in m.normalisers]
    else:
        inputs = [list(array[:, None]) for array in embeddings]
        normalisers = [Normaliser.of(arrays, "none") for arrays in inputs]
    return Examples(tuple(inputs), tuple(normalisers), experiment.classes(context.dataset, part))


def _copy_models(models: Mapping[str, Model], folder: Path) -> None:
    """Copy the files of each model to a folder of its name, with the current weights of its network."""
    for called, model in models.items():
        target = folder / called
        target.mkdir(parents=True, exist_ok=True)
        for name in files_of(model.spec):
            if (model.folder / name).is_file():
                write_atomic(target / name, partial(shutil.copyfile, model.folder / name))
        write_tensors(target / experiment.WEIGHTS, model.module.state_dict())
        runs.write_record(target, model.info)
