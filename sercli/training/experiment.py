"""One training run, from a prepared dataset to a run directory with its predictions."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from msgspec import structs

from sercli import contracts, plugins, runs
from sercli._system import arrays, devices, limits, processes
from sercli._system.progress import nothing
from sercli.dataset import extraction, same_sounds
from sercli.dataset.manifest import Dataset
from sercli.dataset.soft_targets import dimensions_of, soft_targets
from sercli.dataset.splits import folds_hash, split_hash
from sercli.evaluation.metrics import class_numbers
from sercli.evaluation.overlap import write_train_part
from sercli.model import adaptation, spec
from sercli.model.batches import Examples, Normaliser
from sercli.model.calibration import fit_temperature, temper
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Ensemble, Model
from sercli.model.loading import normaliser_arrays
from sercli.model.spec import ExperimentConfig
from sercli.runs import RunInfo
from sercli.runs.settings import DataSettings, RunSettings, SplitSettings
from sercli.training.trainer import Trainer, write_tensors
from sercli.types import HUMAN, Array, EpochResult, Predictions, Split, Utterance

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

WEIGHTS = "weights.safetensors"

KILLED = (
    f"A process was killed, perhaps because memory ran out; give {processes.FEWER}. The same command continues from "
    "here."
)
"""The error message of commands that can be resumed."""

OnEpoch = Callable[[EpochResult, bool], None]
"""Called after each epoch with its result and whether its weights are the ones to keep so far."""


@dataclass(frozen=True)
class Context:
    """What a model or an ensemble is trained with."""

    dataset: Dataset
    provider: FeatureProvider
    seed: int
    device: torch.device
    on_epoch: OnEpoch = nothing


def train(
    config: ExperimentConfig, split: Split, out: Path, context: Context, *, held_out: Predictions | None = None
) -> RunInfo:
    """Train a model into a run directory, or resume a training that was killed.

    The test part is read once, after training, to write its predictions.

    Args:
        config: settings.
        split: of the dataset.
        out: the run directory.
        context: of the training.
        held_out: as `finish`.

    Raises:
        MismatchError: the directory holds a run with other settings.
        SerError: utterances lack the input of the feature, or training diverged.
    """
    dataset, device = context.dataset, context.device
    # All three parts now: missing input in the test part must not be found after an hour of training.
    extraction.check_inputs(dataset.select([*split.train, *split.valid, *split.test]), *config.feature_names)
    initial_info = initial_run_info(config, dataset, [split], [context.seed])
    with runs.started(out, initial_info) as info:
        if info.status == "finished":
            return info
        runs.write_split(out, split)
        write_train_part(out, dataset.select(split.train), dataset.folder, dataset.select(split.valid))
        trainer = make_trainer(config, split.train, split.valid, context)
        best = fit(trainer, out, context.on_epoch)
        normalisers = trainer.train.normalisers
        for name, own in config.model.features:
            plugin = plugins.feature(name)
            if isinstance(plugin, contracts.ReadsFiles):
                plugin.export(own, out)
        arrays.write(out / "normaliser.npz", normaliser_arrays(normalisers))
        write_tensors(out / WEIGHTS, trainer.module.state_dict())
        n_features, hardware = sum(len(own.mean) for own in normalisers), devices.hardware(device)
        info = replace(initial_info, n_features=n_features, best_epoch=best.epoch, hardware=hardware)
        model = Model(out, info, config.model, trainer.module, normalisers, device)
        return finish(model, split, context, temperature=config.train.temperature, held_out=held_out)


def initial_run_info(
    config: ExperimentConfig, dataset: Dataset, folds: Sequence[Split], seeds: Sequence[int], *, crossed: bool = False
) -> RunInfo:
    """The info of a run on one fold, or of a cross-validation, before its network is trained."""
    reads_text = any(map(extraction.reads_text, config.feature_names))
    return RunInfo(
        kind=runs.CROSS_VALIDATION if crossed else "model",
        name=config.name,
        status="training",
        labels=dataset.info.labels,
        modality=extraction.modality(config.feature_names),
        languages=dataset.languages if reads_text else (),
        settings=structs.replace(provenance(dataset, folds, seeds, crossed=crossed), **config.to_dict()),
        data=str(dataset.folder),
        train_counts=dict(Counter(u.true_label for split in folds for u in dataset.select(split.train))),
    )


def finish(
    predictor: Model | Ensemble,
    split: Split,
    context: Context,
    *,
    temperature: float | None,
    held_out: Predictions | None = None,
) -> RunInfo:
    """Write the predictions on the validation part and, this once, on the test part; then mark the run as finished.

    Args:
        predictor: the trained model or ensemble, in its run directory.
        split: of the dataset.
        context: that it was trained with.
        temperature: of the probabilities; None: fitted on `held_out`.
        held_out: labelled predictions of temperature 1, of utterances that the predictor, or one like it, was not
            trained on; None: its own on the validation part.
    """
    runs.check_there(predictor.folder)
    parts = {part: context.dataset.select(ids) for part, ids in (("valid", split.valid), ("test", split.test)) if ids}
    acoustic, scores = isinstance(predictor, Model) and predictor.info.modality == "acoustic", None
    if acoustic or temperature is None:
        held_out = held_out or predictor.predict(parts["valid"], context.provider)
        y = class_numbers(held_out.truth or (), context.dataset.info.labels)
        temperature = fit_temperature(held_out.probs, y) if temperature is None else temperature
        scores = adaptation.class_scores(temper(held_out.probs, temperature), y) if acoustic else None
    rounded = None if scores is None else tuple(map(tuple, scores.round(4).tolist()))
    predictor = replace(predictor, info=replace(predictor.info, temperature=temperature, class_scores=rounded))
    info = replace(predictor.info, status="finished")
    for part, utterances in parts.items():
        predictions = predictor.predict(utterances, context.provider)
        runs.write_predictions(predictor.folder, part, predictions)
        for name, probs in predictions.members.items():
            runs.write_predictions(predictor.folder, f"{part}-{name}", replace(predictions, probs=probs))
    runs.check_there(predictor.folder)
    runs.write_info(predictor.folder, info)
    (predictor.folder / "resume.safetensors").unlink(missing_ok=True)
    return info


def provenance(dataset: Dataset, folds: Sequence[Split], seeds: Sequence[int], *, crossed: bool = False) -> RunSettings:
    """The settings that say on what a run was trained: one fold, or a cross-validation's folds."""
    leaks = [split for split in folds if split.leaky]
    first = folds[0]
    split = SplitSettings(
        kind=first.kind,
        leaky=bool(leaks),
        test_apart=bool(leaks) and all(split.test_apart for split in leaks),
        fold=None if crossed else first.fold,
        n_folds=len(folds) if crossed else first.n_folds,
        hash=folds_hash(folds) if crossed else split_hash(first),
        same_sounds=same_sounds.named(sorted({pair for split in folds for pair in split.same_sounds})),
        anonymous=first.kind in ("official", "file")
        and any(u.audio and not u.speaker for u in dataset.manifest.utterances),
    )
    return RunSettings(data=data_settings(dataset), split=split, seeds=tuple(seeds))


def data_settings(dataset: Dataset) -> DataSettings:
    """The dataset with the transcripts that are read, as run.json keeps it."""
    return DataSettings(
        corpus=dataset.info.corpus,
        manifest_sha256=dataset.manifest.sha256,
        words=dataset.words,
        words_sha256="" if dataset.words == HUMAN else dataset.words_sha256,
        classes=dataset.info.classes,
    )


def classes(dataset: Dataset, utterances: Sequence[Utterance]) -> Array:
    """(N,) int64: the class of each utterance as its position among the labels of the dataset."""
    return class_numbers([u.true_label for u in utterances], dataset.info.labels)


def make_trainer(
    config: ExperimentConfig, train_ids: Sequence[str], valid_ids: Sequence[str], context: Context
) -> Trainer:
    """A trainer of a new network on the train and validation part; it never gets the test part.

    Raises:
        SerError: utterances lack the input of the feature.
    """
    limits.keep_freed()
    dataset, provider, model = context.dataset, context.provider, config.model
    train, valid = dataset.select(train_ids), dataset.select(valid_ids)
    copies = [[provider(train, *feature) for feature in features] for features in config.copies]
    inputs = tuple([x for part in parts for x in part] for parts in zip(*copies, strict=True))
    normalisers = tuple(Normaliser.of(one, config.train.scale) for one in inputs)
    targets = soft_targets(dataset, train) if config.train.targets == "soft" else None
    second = dimensions_of(train) if config.train.dimensions else None
    tiled = [None if one is None else np.tile(one, (len(copies), 1)) for one in (targets, second)]
    train_part = Examples(inputs, normalisers, np.tile(classes(dataset, train), len(copies)), *tiled)
    valid_inputs = tuple(provider(valid, *feature) for feature in model.features)
    valid_part = Examples(valid_inputs, normalisers, classes(dataset, valid))
    torch.manual_seed(context.seed)
    architecture = plugins.architecture(model.architecture)
    module = spec.network(model, [len(normaliser.mean) for normaliser in normalisers], len(dataset.info.labels))
    if isinstance(architecture, contracts.Starts):
        architecture.start(module, train_part.scaled(), train_part.y)
    return Trainer(module, train_part, valid_part, config.train, seed=context.seed, device=context.device)


def fit(trainer: Trainer, out: Path, on_epoch: OnEpoch) -> EpochResult:
    """Train with a resume file after each epoch, or go on from the existing one, and write the history.

    Returns:
        the epoch whose weights the module has at the end.
    """
    resume = out / "resume.safetensors"
    if resume.exists():
        trainer.resume(resume)
    with _event_log(out) as events:
        for result in trainer.epochs():
            runs.check_there(out)
            trainer.save(resume)
            runs.write_history(out, trainer.history)
            if events is not None:
                for name in ("train_loss", "valid_loss", "valid_uar"):
                    events.add_scalar(name, getattr(result, name), result.epoch)
            on_epoch(result, trainer.best is result)
            processes.go_on()
    runs.check_there(out)
    return trainer.best


def _event_log(out: Path) -> "AbstractContextManager[SummaryWriter | None]":
    """TensorBoard's events where tensorboard is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return nullcontext()
    return SummaryWriter(str(out / "tensorboard"))
