"""One training run, from a prepared dataset to a run directory with its predictions."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from msgspec import structs
from safetensors.torch import save

from sercli import plugins, runs
from sercli._system import arrays, devices, limits
from sercli._system.files import write_atomic
from sercli.dataset import extraction, same_sounds
from sercli.dataset.manifest import Dataset
from sercli.dataset.soft_targets import dimensions_of, soft_targets
from sercli.dataset.splits import split_hash
from sercli.evaluation.metrics import class_numbers
from sercli.evaluation.overlap import write_train_part
from sercli.model import adaptation, spec
from sercli.model.batches import Examples, Normaliser
from sercli.model.calibration import fit_temperature
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Ensemble, Model
from sercli.model.loading import normaliser_arrays
from sercli.model.spec import ExperimentConfig
from sercli.runs import RunInfo
from sercli.runs.settings import DataSettings, RunSettings, SplitSettings
from sercli.training.trainer import Trainer
from sercli.types import HUMAN, Array, EpochResult, Split, Utterance

KILLED = (
    "A process was killed, perhaps because memory ran out; give fewer --jobs. The same command continues from here."
)
"""The error message of commands that can be resumed."""

OnEpoch = Callable[[EpochResult, bool], None]
"""Called after each epoch with its result and whether its weights are the ones to keep so far."""


def train(
    dataset: Dataset,
    config: ExperimentConfig,
    split: Split,
    out: Path,
    *,
    provider: FeatureProvider,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch,
) -> RunInfo:
    """Train a model into a run directory, or resume a training that was killed.

    The test part is read once, after training, to write its predictions.

    Raises:
        MismatchError: the directory holds a run with other settings.
        SerError: utterances lack the input of the feature, or training diverged.
    """
    # All three parts now: missing input in the test part must not be found after an hour of training.
    extraction.check_inputs(dataset.select([*split.train, *split.valid, *split.test]), *_names(config))
    settings = provenance(dataset, split_settings(split), (seed,))
    initial_info = initial_run_info("model", config, dataset, settings, [split])
    with runs.started(out, initial_info) as info:
        if info.status == "finished":
            return info
        runs.write_split(out, split)
        write_train_part(out, dataset.select(split.train), dataset.folder)
        trainer = make_trainer(dataset, config, split.train, split.valid, provider, seed, device)
        best = fit(trainer, out, on_epoch)
        normalisers = trainer.train.normalisers
        for name, own in config.model.features:
            plugin = plugins.feature(name)
            if isinstance(plugin, plugins.ReadsFiles):
                plugin.export(own, out)
        arrays.write(out / "normaliser.npz", normaliser_arrays(normalisers))
        write_weights(out, trainer.module)
        n_features, hardware = sum(len(own.mean) for own in normalisers), devices.hardware(device)
        info = replace(initial_info, n_features=n_features, best_epoch=best.epoch, hardware=hardware)
        model = Model(out, info, config.model, trainer.module, normalisers, device)
        return finish(model, dataset, split, provider, temperature=config.train.temperature)


def initial_run_info(
    kind: Literal["model", "cross-validation"],
    config: ExperimentConfig,
    dataset: Dataset,
    settings: RunSettings,
    folds: Sequence[Split],
) -> RunInfo:
    """The info of a run before its network is trained; `settings` say what it is trained on."""
    reads_text = any(map(extraction.reads_text, _names(config)))
    return RunInfo(
        kind=kind,
        name=config.name,
        status="training",
        labels=dataset.info.labels,
        modality=extraction.modality(_names(config)),
        languages=dataset.languages if reads_text else (),
        settings=structs.replace(settings, **config.to_dict()),
        data=str(dataset.folder),
        train_counts=dict(Counter(u.true_label for split in folds for u in dataset.select(split.train))),
    )


def finish(
    predictor: Model | Ensemble,
    dataset: Dataset,
    split: Split,
    provider: FeatureProvider,
    *,
    temperature: float | None,
) -> RunInfo:
    """Write the predictions on the validation part and, this once, on the test part; then mark the run as finished.

    Args:
        predictor: the trained model or ensemble, in its run directory.
        dataset: that it was trained on.
        split: of the dataset.
        provider: of the features.
        temperature: of the probabilities; None: fitted on the validation part.
    """
    runs.check_there(predictor.folder)
    if temperature is None:
        valid = dataset.select(split.valid)
        temperature = fit_temperature(predictor.predict(valid, provider).probs, classes(dataset, valid))
    predictor = replace(predictor, info=replace(predictor.info, temperature=temperature))
    class_scores = None
    for part, ids in (("valid", split.valid), ("test", split.test)):
        predictions = predictor.predict(dataset.select(ids), provider)
        if part == "valid" and isinstance(predictor, Model) and predictor.info.modality == "acoustic":
            class_scores = adaptation.class_scores(predictions.probs, classes(dataset, dataset.select(ids)))
        runs.write_predictions(predictor.folder, part, predictions)
        for name, probs in predictions.members.items():
            runs.write_predictions(predictor.folder, f"{part}-{name}", replace(predictions, probs=probs))
    rounded = None if class_scores is None else tuple(tuple(row) for row in class_scores.round(4).tolist())
    info = replace(predictor.info, status="finished", class_scores=rounded)
    runs.check_there(predictor.folder)
    runs.write_info(predictor.folder, info)
    (predictor.folder / "resume.safetensors").unlink(missing_ok=True)
    return info


def provenance(dataset: Dataset, split: SplitSettings, seeds: Sequence[int]) -> RunSettings:
    """The settings that say on what a run was trained."""
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


def split_settings(split: Split) -> SplitSettings:
    """One fold, as run.json keeps it."""
    return SplitSettings(
        kind=split.kind,
        leaky=split.leaky,
        test_apart=split.test_apart,
        fold=split.fold,
        n_folds=split.n_folds,
        hash=split_hash(split),
        same_sounds=same_sounds.named(split.same_sounds),
    )


def classes(dataset: Dataset, utterances: Sequence[Utterance]) -> Array:
    """(N,) int64: the class of each utterance as its position among the labels of the dataset."""
    return class_numbers([u.true_label for u in utterances], dataset.info.labels)


def make_trainer(
    dataset: Dataset,
    config: ExperimentConfig,
    train_ids: Sequence[str],
    valid_ids: Sequence[str],
    provider: FeatureProvider,
    seed: int,
    device: torch.device,
) -> Trainer:
    """A trainer of a new network on the train and validation part; it never gets the test part.

    Raises:
        SerError: utterances lack the input of the feature.
    """
    limits.keep_freed()
    model, labels = config.model, dataset.info.labels
    train, valid = dataset.select(train_ids), dataset.select(valid_ids)
    copies = [[provider(train, *feature) for feature in features] for features in config.copies]
    inputs = tuple([x for part in parts for x in part] for parts in zip(*copies, strict=True))
    normalisers = tuple(Normaliser.of(one, config.train.scale) for one in inputs)
    y = np.tile(classes(dataset, train), len(copies))
    targets = soft_targets(dataset, train) if config.train.targets == "soft" else None
    targets = None if targets is None else np.tile(targets, (len(copies), 1))
    second = dimensions_of(train) if config.train.dimensions else None
    second = None if second is None else np.tile(second, (len(copies), 1))
    train_part = Examples(inputs, normalisers, y, targets, second)
    valid_inputs = tuple(provider(valid, *feature) for feature in model.features)
    valid_part = Examples(valid_inputs, normalisers, classes(dataset, valid))
    torch.manual_seed(seed)
    architecture = plugins.architecture(model.architecture)
    module = spec.network(model, [len(normaliser.mean) for normaliser in normalisers], len(labels))
    if isinstance(architecture, plugins.Starts):
        architecture.start(module, train_part.scaled(), train_part.y)
    return Trainer(module, train_part, valid_part, config.train, seed=seed, device=device)


def fit(trainer: Trainer, out: Path, on_epoch: OnEpoch) -> EpochResult:
    """Train with a resume file after each epoch, or go on from the existing one, and write the history.

    Returns:
        the epoch whose weights the module has at the end.
    """
    resume = out / "resume.safetensors"
    if resume.exists():
        trainer.resume(resume)
    with _event_log(out) as log:
        for result in trainer.epochs():
            runs.check_there(out)
            trainer.save(resume)
            runs.write_history(out, trainer.state.history)
            log(result)
            on_epoch(result, trainer.state.best is result)
    runs.check_there(out)
    assert trainer.state.best is not None
    return trainer.state.best


def _names(config: ExperimentConfig) -> list[str]:
    return [name for name, _ in config.model.features]


def write_weights(out: Path, module: torch.nn.Module) -> None:
    """Write weights.safetensors."""
    weights = {name: t.detach().cpu().contiguous().clone() for name, t in module.state_dict().items()}
    write_atomic(out / "weights.safetensors", save(weights))


@contextmanager
def _event_log(out: Path) -> Iterator[Callable[[EpochResult], None]]:
    """TensorBoard events where tensorboard is installed; otherwise nothing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda result: None
        return

    def log(result: EpochResult) -> None:
        for name in ("train_loss", "valid_loss", "valid_uar"):
            writer.add_scalar(name, getattr(result, name), result.epoch)

    with SummaryWriter(str(out / "tensorboard")) as writer:
        yield log
