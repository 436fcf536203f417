import json
import re
from dataclasses import replace

import numpy as np
import pytest

from sercli.errors import MismatchError
from sercli.evaluation.evaluate import score, to_json
from sercli.evaluation.metrics import report
from sercli.evaluation.reliability import calibration
from sercli.evaluation.results import Groups, PooledPredictions
from sercli.types import FOUR, Predictions, Utterance

N = 160
RNG = np.random.default_rng(0)
TRUTH = RNG.integers(4, size=N)
ROWS = [
    Utterance(
        f"u{i:03}",
        "iemocap",
        FOUR[k],
        speaker=f"s{i % 16}",
        audio=f"{i}.wav",
        duration_s=float(1 + i % 5),
        transcripts={"human": "a word " * (i % 4)},
        attributes={"sex": "fm"[i % 2], "dialogue": f"d{i // 8}"},
    )
    for i, k in enumerate(TRUTH)
]


def predicted(name, skill, n_seeds=1, modality="acoustic"):
    """A system that is the better the more skill it has, and whose temperature makes it less sure."""
    runs, raw = [], []
    for _ in range(n_seeds):
        scores = RNG.standard_normal((N, 4)) + skill * np.eye(4)[TRUTH]
        tempered, sure = (np.exp(scores * sharpness) for sharpness in (1.0, 3.0))
        probs = tempered / tempered.sum(axis=1, keepdims=True)
        runs.append(Predictions(tuple(u.id for u in ROWS), FOUR, probs, tuple(u.label for u in ROWS)))
        raw.append(sure / sure.sum(axis=1, keepdims=True))
    return PooledPredictions(name, modality, tuple(runs), tuple(raw))


FOLDS = {1: slice(0, 100), 2: slice(100, 160)}
SYSTEMS = [
    predicted("linguistic", 0.8, 1, "linguistic"),
    replace(predicted("average", 2.5, 3, "both"), seeds=("0", "1", "2")),
    replace(predicted("acoustic-lld", 1.5, 2), seeds=("0", "1")),
]
EVALUATION = score(SYSTEMS, ROWS[::-1], levels={u.id: -30.0 + i % 7 for i, u in enumerate(ROWS)})


def test_systems_come_with_the_highest_ua_first_and_each_two_are_compared():
    assert [system.name for system in EVALUATION.systems] == ["average", "acoustic-lld", "linguistic"]
    values = [system.ua.value for system in EVALUATION.systems]
    assert values == sorted(values, reverse=True)
    pairs = [("average", "acoustic-lld"), ("average", "linguistic"), ("acoustic-lld", "linguistic")]
    assert [(d.first, d.second) for d in EVALUATION.differences] == pairs


def test_the_order_of_systems_and_utterances_has_no_say():
    again = score(SYSTEMS[::-1], ROWS, levels={u.id: -30.0 + i % 7 for i, u in enumerate(ROWS)})
    assert again == EVALUATION


def test_a_report_counts_each_utterance_once_and_its_figures_are_the_mean_over_seeds():
    (average,) = (system for system in EVALUATION.systems if system.name == "average")
    runs = next(one for one in SYSTEMS if one.name == "average").runs
    of_seeds = [report("average", r.truth, [FOUR[k] for k in r.probs.argmax(axis=1)], FOUR) for r in runs]
    assert (average.report.n_seeds, average.report.n) == (3, N)
    assert average.report.confusion == np.mean([one.confusion for one in of_seeds], axis=0).tolist()
    assert average.ua.value == pytest.approx(np.mean([one.ua for one in of_seeds]))
    assert average.report.ua == pytest.approx(average.ua.value)
    assert average.ua.deviation == pytest.approx(np.std([one.ua for one in of_seeds], ddof=1))
    assert EVALUATION.systems[2].ua.deviation is None


def test_calibration_is_told_before_and_after_the_temperature():
    for system in EVALUATION.systems:
        own = next(one for one in SYSTEMS if one.name == system.name)
        for shown, of_seeds in (system.before, own.raw), (system.after, [run.probs for run in own.runs]):
            eces = [calibration(probs, own.truth).ece for probs in of_seeds]
            assert shown.ece == pytest.approx(np.mean(eces))
        assert sum(group.n for group in system.reliability) == system.report.n_seeds * N
        assert system.risk_coverage[-1] == (1.0, pytest.approx(1 - system.wa.value))


def test_slices_and_mistakes_are_of_the_utterances_that_were_answered():
    for system in EVALUATION.systems:
        assert {s.by for s in system.slices} == {"sex", "speaker", "length", "words", "level"}
        assert sum(s.n for s in system.slices if s.by == "sex") == N
        rows = {u.id: u for u in ROWS}
        assert all(rows[m.id].label == m.truth != m.answer and rows[m.id].audio == m.path for m in system.mistakes)


def test_systems_of_the_original_study_have_its_figure_beside_theirs_on_session_5_alone():
    rows = [replace(u, session="Ses05" if i < 60 else "Ses04") for i, u in enumerate(ROWS)]
    systems = score(SYSTEMS, rows).systems
    assert [system.published.wa for system in systems] == [0.688, 0.532, 0.631]
    for system in systems:
        runs = next(one for one in SYSTEMS if one.name == system.name).runs
        right = [run.probs[:60].argmax(axis=1) == TRUTH[:60] for run in runs]
        assert system.published.ours.n == 60
        assert system.published.ours.wa == pytest.approx(np.mean(right))
    for changed in ({"corpus": "other"}, {"session": "Ses04"}):
        elsewhere = score(SYSTEMS, [replace(u, **changed) for u in rows])
        assert [system.published for system in elsewhere.systems] == [None, None, None]


def test_each_fold_and_seed_has_its_metrics_and_the_folds_their_mean_and_deviation():
    folded = replace(SYSTEMS[1], folds=(100, 60), seeds=("0", "1", "7"))
    (system,) = score([folded], ROWS).systems
    right = np.array([run.probs.argmax(axis=1) == TRUTH for run in folded.runs])
    expected = {(f, s): right[at, part].mean() for at, s in enumerate("017") for f, part in FOLDS.items()}
    assert {(one.fold, one.seed): one.wa for one in system.folds} == pytest.approx(expected)
    assert {one.n for one in system.folds} == {100, 60}
    of_folds = [right[:, part].mean() for part in FOLDS.values()]
    assert system.over_folds["wa"].mean == pytest.approx(np.mean(of_folds))
    assert system.over_folds["wa"].deviation == pytest.approx(np.std(of_folds, ddof=1))


def test_without_folds_each_seed_has_its_metrics_and_a_single_training_is_not_repeated():
    average, _, linguistic = EVALUATION.systems
    assert [one.fold for one in average.folds] == [None] * 3
    assert np.mean([one.ua for one in average.folds]) == pytest.approx(average.ua.value)
    assert (average.over_folds, linguistic.folds) == ({}, ())


def test_an_evaluation_says_what_its_intervals_are_over():
    assert EVALUATION.protocol == {
        "intervals": "95 %, over 16 speakers",
    }
    assert EVALUATION.groups == Groups("speaker", 16)
    assert EVALUATION.warnings == ()
    over = score(SYSTEMS, ROWS, over="session")
    assert over.groups == Groups("dialogue", 20)
    assert over.warnings == (
        "Intervals are over 20 dialogues: they hold for the 16 speakers of the test part, not for others.",
    )


@pytest.mark.parametrize(
    ("speaker", "warning"),
    [
        (lambda i: "s", "over 160 utterances: they hold for the one speaker of the test part"),
        (lambda i: None, "over 160 utterances: they hold for the speakers of the test part"),
    ],
)
def test_where_speakers_are_not_known_a_reader_is_warned(speaker, warning):
    rows = [replace(u, speaker=speaker(i), attributes={}) for i, u in enumerate(ROWS)]
    (found,) = score(SYSTEMS[:1], rows).warnings
    assert re.search(warning, found)


def test_the_majority_baseline_is_that_of_training():
    (chance, majority) = score(SYSTEMS, ROWS, train_counts={"sadness": 9, "anger": 1}).baselines
    assert chance.ua == 0.25
    assert majority.recall["sadness"] == 1


def test_one_system_has_slices_by_word_errors():
    rates = {u.id: i % 3 / 2 for i, u in enumerate(ROWS)}
    found = score(SYSTEMS[:1], ROWS, utterance_errors=rates)
    assert [s.value for s in found.systems[0].slices if s.by == "word errors"] == ["none", "up to 50 %", "over 50 %"]
    assert found.differences == ()


def test_an_utterance_that_is_not_there_is_named():
    with pytest.raises(
        MismatchError, match=r"linguistic has a prediction for 'u159', which is not in .*\(1 of its 160"
    ):
        score(SYSTEMS, ROWS[:-1])


def test_systems_that_answered_on_other_utterances_are_refused():
    (run,) = SYSTEMS[0].runs
    fewer = replace(run, ids=run.ids[1:], probs=run.probs[1:], truth=run.truth[1:])
    with pytest.raises(MismatchError, match="predict different utterances"):
        score([replace(SYSTEMS[0], runs=(fewer,)), *SYSTEMS[1:]], ROWS)


def test_an_evaluation_is_plain_json_without_nan():
    truth = tuple("anger" if label == "sadness" else label for label in SYSTEMS[0].runs[0].truth)  # an absent class
    odd = [replace(one, runs=tuple(replace(run, truth=truth) for run in one.runs)) for one in SYSTEMS]
    found = to_json(score(odd, ROWS))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    first = found["systems"][0]
    assert first["recall"]["sadness"] is None
    assert first["ua"] == first["figures"]["ua"]["value"]
    assert first["figures"]["ua"]["low"] < first["ua"] < first["figures"]["ua"]["high"]
    assert found["baselines"][0]["ua"] == pytest.approx(0.25)


def test_json_of_an_evaluation_has_everything_that_it_says():
    found = to_json(EVALUATION)
    assert found.keys() == EVALUATION.__dataclass_fields__.keys()
    wanted = EVALUATION.systems[0].__dataclass_fields__.keys() | {"figures", "confusion", "n", "labels", "precision"}
    assert wanted - {"report"} <= found["systems"][0].keys()
    assert found["systems"][0]["confusion"] == EVALUATION.systems[0].report.confusion
    assert found["differences"][0]["ua"]["value"] == EVALUATION.differences[0].ua.value
