"""One run of training, from a prepared dataset to a run directory with its predictions."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.torch import save

from sercli import plugins, runs
from sercli._system import memory
from sercli._system.files import write_atomic
from sercli.dataset import feature_cache
from sercli.dataset.manifest import Dataset
from sercli.dataset.splits import split_hash
from sercli.evaluation.plots import history_picture
from sercli.model import feature_provider, inference
from sercli.model.batches import Examples, Normaliser
from sercli.model.calibration import fit_temperature
from sercli.model.ensemble import System
from sercli.model.feature_provider import FeatureProvider
from sercli.model.spec import ExperimentConfig
from sercli.runs import RunInfo
from sercli.training.trainer import Trainer
from sercli.types import HUMAN, Array, EpochResult, ModelSpec, Split, Utterance

OnEpoch = Callable[[EpochResult, bool], None]
"""Told of each epoch's result and whether its weights are the ones to keep so far."""


def train(
    dataset: Dataset,
    plan: ExperimentConfig,
    split: Split,
    out: Path,
    *,
    rows: FeatureProvider,
    seed: int,
    device: torch.device,
    on_epoch: OnEpoch,
) -> RunInfo:
    """Train a model into a run directory, or go on with one that was killed.

    The test part is opened once, after training, to write its predictions.

    Raises:
        MismatchError: the directory holds a run with other settings.
        SerError: utterances lack the feature's input, or training diverged.
    """
    # All three parts now: what the test part lacks must not come to light after an hour of training.
    feature_provider.check_inputs(dataset.select([*split.train, *split.valid, *split.test]), plan.model.feature)
    initial_info = _initial_info(dataset, plan, split, seed)
    with runs.started(out, initial_info) as info:
        if info.status == "finished":
            return info
        runs.write_split(out, split)
        trainer = make_trainer(dataset, plan, split.train, split.valid, rows, seed, device)
        best = fit(trainer, out, on_epoch)
        normaliser = trainer.train.normalisers[0]
        export_feature(plan.model, out)
        runs.write_arrays(out / "normaliser.npz", {"mean": normaliser.mean, "scale": normaliser.scale})
        write_weights(out, trainer.module)
        info = replace(initial_info, n_features=len(normaliser.mean), best_epoch=best.epoch)
        return finish(inference.Model(out, info, plan.model, trainer.module, normaliser, device), dataset, split, rows)


def _initial_info(dataset: Dataset, plan: ExperimentConfig, split: Split, seed: int) -> RunInfo:
    """What run.json says before there is a network."""
    return RunInfo(
        kind="model",
        name=plan.name,
        status="training",
        labels=dataset.info.labels,
        modality="linguistic" if feature_cache.reads_text(plan.model.feature) else "acoustic",
        settings={**plan.to_dict(), **provenance(dataset, split, seed)},
        data=str(dataset.folder),
        train_counts=dict(Counter(u.label for u in dataset.select(split.train))),
    )


def finish(system: System, dataset: Dataset, split: Split, rows: FeatureProvider) -> RunInfo:
    """Write the answers on the validation part, by which the temperature goes, and, this once, on the test part."""
    runs.check_there(system.folder)
    valid = dataset.select(split.valid)
    temperature = system.info.settings["train"].get("temperature")
    if temperature is None:
        temperature = fit_temperature(system.predict(valid, rows).probs, classes(dataset, valid))
    system = replace(system, info=replace(system.info, temperature=temperature))
    for part, ids in (("valid", split.valid), ("test", split.test)):
        answers = system.predict(dataset.select(ids), rows)
        runs.write_predictions(system.folder, part, answers)
        for modality, probs in answers.members.items():
            runs.write_predictions(system.folder, f"{part}-{modality}", replace(answers, probs=probs))
    info = replace(system.info, status="finished")
    runs.check_there(system.folder)
    runs.write_info(system.folder, info)
    (system.folder / "resume.safetensors").unlink(missing_ok=True)
    return info


def provenance(dataset: Dataset, split: Split, seed: int) -> dict[str, dict[str, Any]]:
    """What a run was made on, as its run.json keeps it."""
    return {
        "data": {"corpus": dataset.info.corpus, "manifest_sha256": dataset.manifest.sha256, **words_read(dataset)},
        "split": {
            "kind": split.kind,
            "fold": split.fold,
            "n_folds": split.n_folds,
            "hash": split_hash(split),
            "leaky": split.leaky,
        },
        "run": {"seed": seed},
    }


def words_read(dataset: Dataset) -> dict[str, str]:
    """Whose words a dataset has, and which. Human ones go without saying, as in runs that knew no others."""
    return {} if dataset.words == HUMAN else {"words": dataset.words, "words_sha256": dataset.words_sha256}


def train_examples(dataset: Dataset, ids: Sequence[str], plan: ExperimentConfig, rows: FeatureProvider) -> Examples:
    """What a network is trained on: these utterances at each speed, and a normaliser measured on them."""
    utterances = dataset.select(ids)
    heard = plan.feature_configs
    inputs = [row for feature_config in heard for row in rows(utterances, plan.model.feature, feature_config)]
    y = np.tile(classes(dataset, utterances), len(heard))
    return Examples((inputs,), (Normaliser.of(inputs, plan.train.scale),), y)


def examples(
    dataset: Dataset, ids: Sequence[str], model: ModelSpec, rows: FeatureProvider, normaliser: Normaliser
) -> Examples:
    """What a network is asked about."""
    utterances = dataset.select(ids)
    inputs = rows(utterances, model.feature, model.feature_config)
    return Examples((inputs,), (normaliser,), classes(dataset, utterances))


def classes(dataset: Dataset, utterances: Sequence[Utterance]) -> Array:
    """(N,) int64: each utterance's label by its place in the dataset's order."""
    return np.array([dataset.info.labels.index(u.label) for u in utterances], np.int64)


def make_trainer(
    dataset: Dataset,
    plan: ExperimentConfig,
    train_ids: Sequence[str],
    valid_ids: Sequence[str],
    rows: FeatureProvider,
    seed: int,
    device: torch.device,
) -> Trainer:
    """A network with its train and validation part; the test part has no way in.

    Raises:
        SerError: utterances lack the feature's input.
    """
    memory.keep_freed()
    train_part = train_examples(dataset, train_ids, plan, rows)
    valid_part = examples(dataset, valid_ids, plan.model, rows, train_part.normalisers[0])
    torch.manual_seed(seed)
    architecture = plugins.load("architecture", plan.model.architecture)
    n_features = len(train_part.normalisers[0].mean)
    module = architecture.build(plan.model.architecture_config, n_features, len(dataset.info.labels))
    if hasattr(architecture, "start"):
        architecture.start(module, train_part.scaled(), train_part.y)
    return Trainer(module, train_part, valid_part, plan.train, seed=seed, device=device)


def fit(trainer: Trainer, out: Path, on_epoch: OnEpoch) -> EpochResult:
    """Train with a resume file after each epoch, taking up the one that is there, and draw the history.

    Returns:
        the epoch whose weights the module now has.
    """
    resume = out / "resume.safetensors"
    if resume.exists():
        trainer.resume(resume)
    with _event_log(out) as log:
        for result in trainer.epochs():
            runs.check_there(out)
            trainer.save(resume)
            write_history(out, trainer.progress.history)
            log(result)
            on_epoch(result, trainer.progress.best is result)
    runs.check_there(out)
    best = trainer.progress.best
    assert best is not None
    history_picture(trainer.progress.history, out / "history.png", best.epoch)
    return best


def write_history(out: Path, history: Sequence[EpochResult]) -> None:
    """Write history.jsonl, an epoch a line."""
    write_atomic(out / "history.jsonl", b"".join(msgspec.json.encode(result) + b"\n" for result in history))


def write_weights(out: Path, module: torch.nn.Module) -> None:
    """Write weights.safetensors."""
    weights = {name: t.detach().cpu().contiguous().clone() for name, t in module.state_dict().items()}
    write_atomic(out / "weights.safetensors", save(weights))


def export_feature(model: ModelSpec, out: Path) -> None:
    """Copy the files that the feature reads (a user's word vectors) into the run directory."""
    plugin = plugins.load("feature", model.feature)
    if isinstance(plugin, plugins.ReadsFiles):
        plugin.export(model.feature_config, out)


@contextmanager
def _event_log(out: Path) -> Iterator[Callable[[EpochResult], None]]:
    """TensorBoard events where tensorboard is installed; otherwise nothing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda result: None
        return
    writer = SummaryWriter(str(out / "tensorboard"))

    def log(result: EpochResult) -> None:
        for name in ("train_loss", "valid_loss", "valid_uar"):
            writer.add_scalar(name, getattr(result, name), result.epoch)

    try:
        yield log
    finally:
        writer.close()
