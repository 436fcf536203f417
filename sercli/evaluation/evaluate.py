"""All that can be said of systems on one test set, put together; and a review as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from sercli.errors import MismatchError
from sercli.evaluation import intervals, metrics, reliability, slices
from sercli.evaluation.comparison import compare
from sercli.evaluation.intervals import Resampled
from sercli.evaluation.mistakes import mistakes
from sercli.evaluation.published import published
from sercli.evaluation.results import Answers, Review, Standing
from sercli.evaluation.slices import Part
from sercli.types import Array, Report, Utterance

Facts = Mapping[str, str | int | float]


def review(
    answers: Sequence[Answers],
    utterances: Sequence[Utterance],
    *,
    question: str = "",
    data: Facts | None = None,
    protocol: Facts | None = None,
    over: str = "speaker",
    leaky: bool = False,
    train_counts: Mapping[str, int] | None = None,
    levels: Mapping[str, float | None] | None = None,
    utterance_errors: Mapping[str, float] | None = None,
    word_errors: Mapping[str, float] | None = None,
    warnings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    command: str = "",
    n_mistakes: int = 20,
) -> Review:
    """Score systems that answered on the same utterances, compare them, and look where they fail.

    Args:
        answers: of each system, in any order.
        utterances: those that were answered, in any order; others among them play no part.
        question: what is asked, in one sentence.
        data: facts of the dataset.
        protocol: facts of how it was tested; what the intervals are over is added to them.
        over: what the intervals are over where there are enough of them; see `uncertainty.grouping`.
        leaky: speakers are shared between parts.
        train_counts: class counts of the train part, from which the majority baseline takes its class.
        levels: of the active speech by utterance, in dBFS.
        utterance_errors: the recogniser's word error rate on each utterance.
        word_errors: of each recogniser on all utterances.
        warnings: what else a reader must know.
        environment: versions of what made it.
        command: that repeats it.
        n_mistakes: of each system, at most.

    Raises:
        MismatchError: the systems answered on different utterances, with other labels, or know another truth; or an
            utterance is not there.
        SerError: the utterances' labels are not the systems'.
    """
    assert answers, "no system to review"
    compared = compare([(one.name, run) for one in answers for run in one.runs], train_counts or {})
    rows = _rows(answers[0], utterances)
    kind, groups = intervals.grouping(rows, over)
    parted = slices.parts(rows, levels=levels, word_errors=utterance_errors)
    pairs = [(one, intervals.resample(one, groups)) for one in answers]
    pairs.sort(key=lambda pair: (-pair[1].values["ua"].mean(), pair[0].name))
    n_groups = len(set(groups))
    return Review(
        question=question,
        labels=answers[0].runs[0].labels,
        data=dict(data or {}),
        protocol={**(protocol or {}), "intervals": f"95 %, bootstrap over {n_groups} {kind}s"},
        systems=tuple(_standing(one, resampled, rows, parted, n_mistakes) for one, resampled in pairs),
        baselines=compared.baselines,
        differences=intervals.differences(pairs),
        word_errors=dict(word_errors or {}),
        warnings=(*warnings, *_cautions(kind, n_groups, rows), *slices.notes(parted)),
        environment=dict(environment or {}),
        command=command,
        leaky=leaky,
    )


def to_json(found: Review) -> dict[str, Any]:
    """A review as one JSON object: its dataclasses by their fields, and each system's figures as plain numbers beside.

    Of a system `wa`, `ua`, `macro_f1` and `weighted_f1` are numbers, as they are of a baseline; `figures` has them with
    their intervals. Counts in `confusion` are summed over seeds.
    """
    plain = _plain(found)
    plain["baselines"] = [metrics.to_json(report) for report in found.baselines]
    plain["systems"] = [_system_json(standing) for standing in found.systems]
    return plain


def _system_json(standing: Standing) -> dict[str, Any]:
    plain = _plain(standing)
    figures = {metric: plain.pop(metric) for metric in intervals.METRICS}
    report = metrics.to_json(standing.report)
    del plain["report"]
    return {**report, **plain, **{metric: f["value"] for metric, f in figures.items()}, "figures": figures}


def _plain(found: Review | Standing) -> dict[str, Any]:
    """Lists in place of tuples, and null for what is not a number."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return plain


def _rows(answers: Answers, utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances in the order of the answers."""
    by_id = {u.id: u for u in utterances}
    ids = answers.runs[0].ids
    missing = [i for i in ids if i not in by_id]
    if missing:
        raise MismatchError(
            f"{answers.name} answered on '{missing[0]}', which is not in the dataset "
            f"({len(missing)} of its {len(ids)} utterances are not); evaluate it with the dataset it was made on."
        )
    return [by_id[i] for i in ids]


def _standing(
    answers: Answers, resampled: Resampled, rows: Sequence[Utterance], parted: Sequence[Part], n_mistakes: int
) -> Standing:
    run = answers.runs[0]
    assert run.truth is not None, f"the utterances of '{answers.name}' have no labels"
    truth = metrics.class_numbers(run.truth, run.labels)
    report = _report(answers)
    pooled = np.concatenate([one.probs for one in answers.runs])
    raw = np.concatenate(answers.raw)
    all_truth = np.tile(truth, len(answers.runs))
    found = slices.slices(answers, parted)
    corpora = {row.corpus for row in rows}
    return Standing(
        name=answers.name,
        modality=answers.modality,
        n_seeds=len(answers.runs),
        report=report,
        wa=resampled.figure("wa"),
        ua=resampled.figure("ua"),
        macro_f1=resampled.figure("macro_f1"),
        weighted_f1=resampled.figure("weighted_f1"),
        before=reliability.calibration(raw, all_truth),
        after=reliability.calibration(pooled, all_truth),
        reliability=reliability.bins(pooled, all_truth),
        risk_coverage=reliability.risk_coverage(pooled, all_truth),
        slices=slices.shown(found),
        worst=slices.worst(found, len(rows), [label for label, recall in report.recall.items() if recall is None]),
        mistakes=mistakes(answers, rows, n_mistakes),
        published=published(answers.name, corpora.pop(), run.labels) if len(corpora) == 1 else None,
    )


def _report(answers: Answers) -> Report:
    """The report of the confusion counts summed over seeds."""
    reports = [metrics.report_from(run, answers.name) for run in answers.runs]
    counts: Array = np.sum([report.confusion for report in reports], axis=0)
    return metrics.from_counts(answers.name, counts, answers.runs[0].labels)


def _cautions(kind: str, n_groups: int, rows: Sequence[Utterance]) -> list[str]:
    """What a reader must know of the intervals."""
    if kind == "utterance" or (kind != "speaker" and all(row.speaker for row in rows)):
        n = len({row.speaker for row in rows if row.speaker})
        of = f"the {n} speakers" if n > 1 else "the one speaker" if n else "the speakers"
        return [f"Intervals are over {n_groups} {kind}s: they hold for {of} of the test part, not for others."]
    if n_groups < intervals.FEW_GROUPS:
        held = 90 if n_groups >= 8 else 85
        return [
            f"Intervals are over {n_groups} {kind}s: with so few they are too narrow "
            f"(of 100 such intervals about {held} hold the true figure, not 95)."
        ]
    return []
