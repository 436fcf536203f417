"""Made-up but plausible evaluations: predictions are drawn at random, and most values are measured on them."""

from dataclasses import replace

import numpy as np

from sercli.dataset.transcripts import WordErrors
from sercli.evaluation import metrics
from sercli.evaluation.results import (
    Bin,
    Calibration,
    Difference,
    Estimate,
    Evaluation,
    FoldResult,
    Groups,
    Mistake,
    Published,
    Slice,
    Spread,
    SystemResult,
    Training,
)

EIGHT = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
FOUR = ("neutral", "happiness", "sadness", "anger")
_SYSTEMS = (
    ("acoustic-whisper", "acoustic", 0.71),
    ("average of sound and words", "both", 0.68),
    ("acoustic-lld-deltas", "acoustic", 0.54),
    ("acoustic-log-mel", "acoustic", 0.53),
    ("linguistic-sentence", "linguistic", 0.50),
    ("acoustic-lld", "acoustic", 0.46),
    ("acoustic-spectrogram", "acoustic", 0.44),
    ("linguistic", "linguistic", 0.30),
)


def evaluation(n_systems=5, labels=EIGHT, n_seeds=3, absent=(), n=480, **changed):
    """An evaluation of the first systems of a list, each with some utterances of every class that is not absent."""
    present = [label for label in labels if label not in absent]
    truth = [present[k % len(present)] for k in range(n)]
    made = [_system(place, labels, truth, n_seeds) for place in range(n_systems)]
    systems = sorted(made, key=lambda system: -system.ua.value)
    pairs = [(a, b) for a in range(n_systems) for b in range(a + 1, n_systems)]
    plain = Evaluation(
        question="Which of these systems tells the emotion best in the voice of an actor whom it never heard?",
        labels=tuple(labels),
        data={"corpus": "RAVDESS", "licence": "CC BY-NC-SA 4.0", "utterances": n, "speakers": 24, "hours": 1.4799}
        | {"manifest_sha256": "3f5a" * 16},
        protocol={"split": "speakers", "folds": 6, "folds_sha256": "09bc" * 16, "trainings": "3 for each fold"}
        | {"intervals": "95 %, over 24 speakers"},
        systems=tuple(systems),
        baselines=tuple(metrics.baselines(truth, labels)),
        differences=tuple(_difference(systems[a], systems[b], len(pairs)) for a, b in pairs),
        groups=Groups("speaker", 24),
        word_errors={"whisper": WordErrors(834, 10_000), "moonshine": WordErrors(127, 1_000)},
        warnings=("No slice by session: the corpus names none.",),
        environment={"ser": "0.3.0", "python": "3.11.2", "torch": "2.13.0", "machine": "x86_64, 2 cores"},
        command="ser evaluate -a runs/acoustic-whisper -a runs/acoustic-lld --report report.html",
    )
    return replace(plain, **changed)


def _system(place, labels, truth, n_seeds):
    name, modality, level = _SYSTEMS[place % len(_SYSTEMS)]
    name += f" {place // len(_SYSTEMS) + 1}" * (place >= len(_SYSTEMS))
    rng = np.random.default_rng(place)
    seeds = [_answers(rng, labels, truth, level) for _ in range(n_seeds)]
    reports = [metrics.report(name, truth, answers, labels) for answers in seeds]
    answers = [answer for seed in seeds for answer in seed]
    counts = metrics.confusion(truth * n_seeds, answers, labels)
    pooled = metrics.from_counts(name, counts, labels, n_seeds)
    right = np.array([a == b for a, b in zip(answers, truth * n_seeds, strict=True)])
    confidence = np.clip(rng.beta(4, 2, len(right)) + 0.12 * right, 0.15, 0.995)
    slices = _slices(rng, pooled)
    return SystemResult(
        name=name,
        modality=modality,
        report=pooled,
        wa=_estimate(reports, "wa"),
        ua=_estimate(reports, "ua"),
        macro_f1=_estimate(reports, "macro_f1"),
        macro_f1_all=_estimate(reports, "macro_f1_all"),
        weighted_f1=_estimate(reports, "weighted_f1"),
        before=Calibration(0.113 + 0.01 * place, 1.652, 0.571),
        after=Calibration(0.042 + 0.004 * place, 1.302, 0.533),
        reliability=_bins(confidence, right),
        risk_coverage=_curve(confidence, right),
        above={percent: _above(confidence, right, percent / 100) for percent in (50, 70, 80, 90)},
        slices=slices,
        worst=min(slices, key=lambda found: found.ua),
        mistakes=_mistakes(truth, answers, confidence, modality),
        n_seen=0,
        training=Training(
            command="ser train -m all --data work/ravdess --out runs",
            hardware="AMD EPYC, 1 thread",
            parameters=123_456 + place,
            seconds=754.2,
            settings={"model.feature": "lld", "model.architecture": "lstm", "train.lr": f"0.00{place + 1}"},
            temperatures=(0.5, 1.46),
        ),
    )


def with_folds(made, n_folds=3):
    """The evaluation with results of folds, each seed a little better than the one before."""
    systems = []
    for system in made.systems:
        results = tuple(
            FoldResult(fold, str(seed), made.systems[0].report.n // n_folds, *[0.5 + fold / 50 + seed / 100] * 4)
            for seed in range(system.report.n_seeds)
            for fold in range(1, n_folds + 1)
        )
        spread = dict.fromkeys(metrics.METRICS, Spread(0.5432, 0.0234))
        systems.append(replace(system, folds=results, over_folds=spread))
    return replace(made, systems=tuple(systems))


def with_sentences(made):
    """The evaluation with 16 utterances whose sentence is new."""
    seen = Slice("sentence", "in training", made.systems[0].report.n - 16, 0.8, 0.81, 0.7, 0.9, 0.02)
    new = Slice("sentence", "new", 16, 0.4, 0.41, 0.3, 0.6, -0.251)
    systems = (replace(s, n_seen=seen.n, slices=(seen, new, *s.slices)) for s in made.systems)
    return replace(made, systems=tuple(systems))


def published(wa, ours):
    """The original study's WA beside ours on session 5."""
    return Published(wa, Slice("session", "Ses05", 1241, ours, 0.6, 0.5, 0.7, 0.0))


def _answers(rng, labels, truth, level):
    """Right as often as `level`, a little more for later classes; else mostly the class before."""
    answers = []
    for label in truth:
        k = labels.index(label)
        drawn = rng.random()
        chance = level + 0.2 * (k / len(labels) - 0.5)
        near = labels[k - 1]
        answers.append(
            label if drawn < chance else near if drawn < chance + 0.15 else labels[rng.integers(len(labels))]
        )
    return answers


def _estimate(reports, name):
    values = [getattr(report, name) for report in reports]
    mean = float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Estimate(mean, max(mean - 0.041, 0.0), min(mean + 0.038, 1.0), deviation)


def _difference(first, second, n_pairs):
    gap = first.ua.value - second.ua.value
    p = float(np.exp(-abs(gap) * 90))
    ua = Estimate(gap, gap - 0.03, gap + 0.03)
    wa = Estimate(first.wa.value - second.wa.value, gap - 0.03, gap + 0.03)
    return Difference(first.name, second.name, ua, wa, p, min(1.0, n_pairs * p), better=(20, 3))


def _bins(confidence, right):
    places = np.ceil(confidence * 15).astype(int)
    return tuple(
        Bin(float(confidence[places == k].mean()), float(right[places == k].mean()), int((places == k).sum()))
        for k in sorted(set(places.tolist()))
    )


def _above(confidence, right, least):
    kept = confidence >= least
    return Bin(float(confidence[kept].mean()), float(right[kept].mean()), int(kept.sum()))


def _curve(confidence, right):
    order = np.argsort(-confidence, kind="stable")
    risks = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    kept = np.unique(np.linspace(0, len(order) - 1, 100).astype(int))
    return tuple((float((k + 1) / len(order)), float(risks[k])) for k in kept)


def _slices(rng, pooled):
    def one(by, value, n, absent=()):
        shift = float(rng.normal(0, 0.06))
        wa, ua = (min(max(level + shift, 0), 1) for level in (pooled.wa, pooled.ua))
        return Slice(by, value, n, wa, ua, max(ua - 0.1, 0), min(ua + 0.1, 1), ua - pooled.ua, absent)

    sexes = [one("sex", "female", 240), one("sex", "male", 240)]
    lengths = [
        one("length", "under 3 s", 71, pooled.labels[:1]),
        one("length", "3 to 4 s", 322),
        one("length", "over 4 s", 87),
    ]
    return (*sexes, *lengths, *(one("speaker", f"actor {k:02}", 20) for k in range(1, 25)))


def _mistakes(truth, answers, confidence, modality):
    wrong = [k for k, label in enumerate(truth) if answers[k] != label]
    surest = sorted(wrong, key=lambda k: -confidence[k])[:10]
    return tuple(
        Mistake(
            id=f"03-01-0{k % 8 + 1}-01-02-01-{k % 24 + 1:02}",
            path=f"Actor_{k % 24 + 1:02}/03-01-0{k % 8 + 1}-01-02-01-{k % 24 + 1:02}.wav",
            start_s=None if k % 2 else 0.4,
            words="Dogs are sitting by the door." if k % 2 else None,
            truth=truth[k],
            answer=answers[k],
            confidence=float(confidence[k]),
            members={"acoustic": (answers[k], 0.81), "linguistic": (truth[k], 0.4)} if modality == "both" else {},
        )
        for k in surest
    )
