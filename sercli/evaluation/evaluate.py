"""Evaluating systems on one test set: everything about them put together, and the result as JSON."""

import errno
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sercli._system.files import write_json
from sercli._system.progress import ProgressFactory
from sercli.dataset.levels import speech_levels
from sercli.errors import MismatchError, SerError
from sercli.evaluation import facts, intervals, metrics, reliability, slices
from sercli.evaluation.inputs import EvaluationInputs
from sercli.evaluation.intervals import Grouped
from sercli.evaluation.mistakes import mistakes
from sercli.evaluation.published import protocols, published
from sercli.evaluation.results import Evaluation, Groups, PooledPredictions, SystemResult
from sercli.evaluation.slices import Part
from sercli.types import Predictions, Report, Utterance


def evaluate(
    inputs: EvaluationInputs,
    *,
    measure_levels: bool,
    hide_words: bool,
    jobs: int,
    command: str,
    progress: ProgressFactory,
) -> Evaluation:
    """The evaluation of everything in the inputs.

    Args:
        inputs: what is scored.
        measure_levels: make slices by speech level as well, for which all recordings are read.
        hide_words: leave out the transcripts of mistakes.
        jobs: processes that read them.
        command: for the report, to repeat the evaluation.
        progress: reports progress.

    Raises:
        MismatchError: see `compare`.
        SerError: the labels of the utterances are not those of the systems.
    """
    dataset, first = inputs.dataset, inputs.runs[0].info
    utterances = dataset.select(inputs.ids) if dataset else facts.bare_utterances(inputs)
    levels = speech_levels(dataset, utterances, jobs=jobs, progress=progress) if measure_levels and dataset else None
    scored = score(
        inputs.systems,
        utterances,
        over="session" if inputs.runs[0].division[-1] == "official" else "speaker",
        train_counts=first.train_counts,
        levels=levels,
        utterance_errors=inputs.utterance_errors,
    )
    training = {run.name: facts.training(run) for run in inputs.runs}
    systems = (
        replace(
            system,
            training=training[system.name],
            mistakes=tuple(replace(one, words=None if hide_words else one.words) for one in system.mistakes),
        )
        for system in scored.systems
    )
    return replace(
        scored,
        systems=tuple(systems),
        question=facts.question(inputs),
        data=facts.data(inputs, utterances),
        protocol={**facts.protocol(inputs), **scored.protocol},
        warnings=(*facts.warnings(inputs), *scored.warnings),
        word_errors=inputs.errors,
        environment={**first.versions, "day of the evaluation": date.today().isoformat()},
        command=command,
        leak=facts.leak(inputs),
        overlap=inputs.seen.overlap if inputs.seen else None,
    )


def score(
    systems: Sequence[PooledPredictions],
    utterances: Sequence[Utterance],
    *,
    over: str = "speaker",
    train_counts: Mapping[str, int] | None = None,
    levels: Mapping[str, float | None] | None = None,
    utterance_errors: Mapping[str, float] | None = None,
) -> Evaluation:
    """The metrics of systems on the same utterances, their differences and slices.

    Args:
        systems: in any order.
        utterances: at least those that were predicted, in any order.
        over: what the intervals are over if there are enough of them; see `intervals.grouping`.
        train_counts: class counts of the train part, from which the majority baseline takes its class.
        levels: id -> level of the active speech, in dBFS.
        utterance_errors: id -> the recogniser's word error rate.

    Raises:
        MismatchError: see `compare`; or an utterance is missing.
        SerError: the labels of the utterances are not those of the systems.
    """
    assert systems, "no system to score"
    _, baselines = compare([(system.name, run) for system in systems for run in system.runs], train_counts or {})
    predicted = _in_order(utterances, systems[0])
    kind, group_of = intervals.grouping(predicted, over)
    groups = Groups(kind, len(set(group_of)))
    subsets = slices.parts(predicted, levels=levels, word_errors=utterance_errors)
    pairs = [(system, intervals.group(system, group_of)) for system in systems]
    pairs.sort(key=lambda pair: (-pair[1].values["ua"].mean(), pair[0].name))
    return Evaluation(
        labels=systems[0].runs[0].labels,
        systems=tuple(_result(system, grouped, predicted, subsets) for system, grouped in pairs),
        baselines=baselines,
        differences=intervals.differences(pairs),
        groups=groups,
        protocol={"intervals": f"95 %, over {groups.n} {groups.kind}s"},
        warnings=(*_cautions(groups, predicted), *slices.notes(subsets), *protocols(systems, predicted)),
    )


def compare(
    named: Sequence[tuple[str, Predictions]], train_counts: Mapping[str, int]
) -> tuple[tuple[Report, ...], tuple[Report, ...]]:
    """The reports of systems on the same utterances, and those of the two baselines.

    Args:
        named: each system's name with its labelled predictions.
        train_counts: class counts of the train part, from which the majority baseline takes its class.

    Raises:
        MismatchError: the systems predict different utterances or labels, or have different true labels for them.
        SerError: the labels of the utterances are not those of the systems.
    """
    (first_name, first), *others = named
    if first.truth is None:
        raise SerError(
            f"{first_name} knows the labels {', '.join(first.labels)}; the dataset has others. "
            "Prepare it with the same --labels."
        )
    for name, predictions in others:
        _check_same(first_name, first, name, predictions)
    reports = tuple(metrics.report_from(predictions, name) for name, predictions in named)
    return reports, metrics.baselines(first.truth, first.labels, train_counts)


def keep(evaluation: Evaluation, inputs: EvaluationInputs) -> list[Path]:
    """Write the report and the confusion matrix of each system into its run, with the name of another dataset.

    Returns:
        the runs that cannot be written to: those of another user, or on a read-only volume.
    """
    from sercli.evaluation.plots import confusion_picture

    reports = {system.name: system.report for system in evaluation.systems}
    elsewhere = f"-{inputs.dataset.folder.resolve().name}" if inputs.dataset and inputs.seen else ""
    refused = []
    for run in inputs.runs:
        end = elsewhere if run.reads == run.info.words else f"{elsewhere}-{run.words}"
        try:
            confusion_picture(reports[run.name], run.folder / f"confusion{end}.png")
            write_json(run.folder / f"report{end}.json", reports[run.name])
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            refused.append(run.folder)
    return refused


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as one JSON object: its dataclasses by their fields, null for what is not a number.

    A system's `wa`, `ua`, `macro_f1`, `macro_f1_all` and `weighted_f1` are plain numbers, as those of a baseline are;
    `figures` has them with their intervals. Counts in `confusion` are the mean over seeds.
    """
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(evaluation))
    for system in plain["systems"]:
        system["figures"] = {metric: system.pop(metric) for metric in (*metrics.METRICS, "macro_f1_all")}
        values = {metric: estimate["value"] for metric, estimate in system["figures"].items()}
        system |= {**system.pop("report"), **values}
    for engine, errors in evaluation.word_errors.items():
        plain["word_errors"][engine]["rate"] = errors.rate
    return plain


def _check_same(first_name: str, first: Predictions, name: str, other: Predictions) -> None:
    if first.labels != other.labels:
        raise MismatchError(
            f"{first_name} and {name} have different labels: {', '.join(first.labels)} against "
            f"{', '.join(other.labels)}; evaluate them one at a time."
        )
    if first.ids != other.ids:
        odd = sorted(set(first.ids) ^ set(other.ids))
        what = f"only one has '{odd[0]}'" if odd else "in another order"
        raise MismatchError(
            f"{first_name} and {name} predict different utterances ({len(first.ids)} and {len(other.ids)}; {what}); "
            "evaluate runs of one split and fold, or one at a time."
        )
    if first.truth is not None and other.truth is not None and first.truth != other.truth:
        triples = zip(first.ids, first.truth, other.truth, strict=True)
        odd_id, one, another = next(triple for triple in triples if triple[1] != triple[2])
        raise MismatchError(
            f"{first_name} and {name} have different true labels for the same utterances ('{odd_id}' is {one} for one, "
            f"{another} for the other); evaluate them on one dataset with --data."
        )


def _in_order(utterances: Sequence[Utterance], system: PooledPredictions) -> list[Utterance]:
    """The utterances in the order of the predictions."""
    by_id = {u.id: u for u in utterances}
    ids = system.runs[0].ids
    missing = [i for i in ids if i not in by_id]
    if missing:
        raise MismatchError(
            f"{system.name} has a prediction for '{missing[0]}', which is not in the dataset "
            f"({len(missing)} of its {len(ids)} utterances are not); evaluate it with the dataset of its predictions."
        )
    return [by_id[i] for i in ids]


def _result(
    system: PooledPredictions, grouped: Grouped, utterances: Sequence[Utterance], subsets: Sequence[Part]
) -> SystemResult:
    truth = np.tile(system.truth, len(system.runs))
    probs = np.concatenate([run.probs for run in system.runs])
    report = system.report()
    absent = [label for label, recall in report.recall.items() if recall is None]
    found = slices.slices(system, [*slices.by_sentence(system), *subsets], grouped.groups)
    folds = intervals.by_fold(system)
    return SystemResult(
        name=system.name,
        modality=system.modality,
        report=report,
        **{metric: grouped.estimate(metric) for metric in (*metrics.METRICS, "macro_f1_all")},
        before=reliability.mean_calibration(system.raw, system.truth),
        after=reliability.mean_calibration([run.probs for run in system.runs], system.truth),
        reliability=reliability.bins(probs, truth),
        risk_coverage=reliability.risk_coverage(probs, truth),
        above=reliability.above(probs, truth),
        slices=slices.shown(found),
        worst=slices.worst(found, len(utterances), absent),
        mistakes=mistakes(system, utterances),
        folds=folds,
        over_folds=intervals.over_folds(folds),
        n_seen=None if system.seen is None else len(system.seen),
        published=published(system, utterances),
        training=None,
    )


def _cautions(groups: Groups, utterances: Sequence[Utterance]) -> list[str]:
    """What a reader must know about intervals."""
    if groups.kind == "utterance" or (groups.kind != "speaker" and all(u.speaker for u in utterances)):
        n = len({u.speaker for u in utterances if u.speaker})
        of = f"the {n} speakers" if n > 1 else "the one speaker" if n else "the speakers"
        return [f"Intervals are over {groups.n} {groups.kind}s: they hold for {of} of the test part, not for others."]
    return []
