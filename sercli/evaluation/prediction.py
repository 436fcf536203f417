"""The inputs of an evaluation on a given dataset, predicted anew."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sercli import runs
from sercli._system import devices
from sercli._system.progress import ProgressFactory
from sercli.dataset import manifest
from sercli.dataset.manifest import Dataset
from sercli.errors import SerError
from sercli.evaluation import inputs, overlap, pooling
from sercli.evaluation.inputs import EvaluatedRun, EvaluationInputs
from sercli.evaluation.overlap import SeenUtterances
from sercli.evaluation.results import PooledPredictions
from sercli.model.feature_provider import cached_features
from sercli.model.loading import load_run
from sercli.types import Predictions


def predict(
    chosen: Sequence[EvaluatedRun],
    data: Path,
    *,
    words: Sequence[str] = (),
    drop_seen: bool = False,
    device: str,
    jobs: int,
    progress: ProgressFactory,
) -> EvaluationInputs:
    """Each run's predictions on a dataset: its own test part if it was trained there, else every utterance.

    Args:
        chosen: the runs.
        data: the prepared dataset.
        words: whose transcripts are read, each choice as a system; empty: those that the run was trained on.
        drop_seen: leave out utterances of another dataset whose recording or speaker is in a train or validation part.
        device: the value of `--device`.
        jobs: processes that compute features.
        progress: reports progress.

    Raises:
        SerError: `drop_seen` leaves nothing or has no effect, or utterances lack the input of a run.
    """
    torch_device = devices.pick_device(device)
    dataset = manifest.load(data)
    each = inputs.named(
        [
            replace(run, words=whose)
            for run in chosen
            for whose in (dict.fromkeys(words) if words and run.info.modality in ("linguistic", "both") else [None])
        ]
    )
    seen = _seen(each, dataset, dropped=drop_seen)
    if drop_seen and seen is None:
        raise SerError(
            f"--drop-seen has no effect: the runs were trained on {data} and only their test part is scored."
        )
    every = [u.id for u in dataset.manifest.utterances if not (drop_seen and seen and u.id in seen.ids)]
    if not every:
        raise SerError(
            f"--drop-seen leaves nothing of {data}: the recording or the speaker of each utterance is in a train or "
            "validation part. Give another dataset, or leave the option out to score what the systems have seen."
        )
    views = {whose: manifest.with_words(dataset, whose) for whose in sorted({run.reads for run in each})}
    features = {whose: cached_features(v, jobs=jobs, device=device, progress=progress) for whose, v in views.items()}

    def predictions_of(run: EvaluatedRun) -> PooledPredictions:
        own = run.trained_on(dataset)

        def of_single(folder: Path) -> Predictions:
            ids = runs.read_split(folder).test if own else every
            return load_run(folder, torch_device).predict(views[run.reads].select(ids), features[run.reads])

        return pooling.collect(run.folder, run.info, run.name, of_single, pool_folds=own)

    systems = tuple(predictions_of(run) for run in each)
    return inputs.described(each, systems, dataset, seen)


def _seen(every: Sequence[EvaluatedRun], dataset: Dataset, *, dropped: bool) -> SeenUtterances | None:
    """The utterances in the train part of a run of other data; None: there is no such run."""
    parts = {run.name: overlap.read_train_part(run.folder) for run in every if not run.trained_on(dataset)}
    if not parts:
        return None
    listed = [part for part in parts.values() if part is not None]
    unlisted = tuple(name for name, part in parts.items() if part is None)
    utterances = dataset.manifest.utterances
    found = overlap.find_seen(utterances, listed, overlap.audio_of(utterances, dataset.folder))
    return replace(found, dropped=dropped, unlisted=unlisted)
