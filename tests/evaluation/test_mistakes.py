from dataclasses import replace

import numpy as np
import pytest

from sercli.evaluation.mistakes import mistakes
from sercli.evaluation.results import Mistake, PooledPredictions
from sercli.types import Predictions, Utterance

LABELS = ("joy", "anger")
TRUTH = ("joy", "joy", "anger", "anger", "joy")
JOY = [0.9, 0.3, 0.8, 0.55, 0.3]  # how probable; right, wrong, wrong, wrong, wrong
ROWS = [
    Utterance(f"u{i}", "c", label, audio=f"{i}.wav", start_s=float(i), transcripts={"human": f"words {i}"})
    for i, label in enumerate(TRUTH)
]


def run(joy, **members):
    def two(p):
        return np.array([[x, 1 - x] for x in p])

    return Predictions(
        tuple(u.id for u in ROWS), LABELS, two(joy), TRUTH, members={k: two(v) for k, v in members.items()}
    )


def answered(*runs):
    return PooledPredictions("a", "both", runs, tuple(one.probs for one in runs))


def test_the_surest_mistakes_come_first_with_what_is_needed_to_find_them():
    found = mistakes(answered(run(JOY)), ROWS)
    assert [mistake.id for mistake in found] == ["u2", "u1", "u4", "u3"]  # the first of equals first
    assert found[0] == Mistake("u2", "2.wav", 2.0, "words 2", "anger", "joy", pytest.approx(0.8), {})
    assert found[1] == Mistake("u1", "1.wav", 1.0, "words 1", "joy", "anger", pytest.approx(0.7), {})


def test_only_so_many_are_given():
    assert [mistake.id for mistake in mistakes(answered(run(JOY)), ROWS)[:2]] == ["u2", "u1"]


def test_a_system_without_a_fault_has_no_mistakes():
    assert mistakes(answered(run([0.9, 0.9, 0.1, 0.1, 0.9])), ROWS) == ()


def test_of_several_seeds_their_mean_counts():
    found = mistakes(answered(run([0.9, 0.4, 0.1, 0.1, 0.45]), run([0.8, 0.9, 0.1, 0.1, 0.25])), ROWS)
    assert [(mistake.id, mistake.confidence) for mistake in found] == [("u4", pytest.approx(0.65))]


def test_a_mistake_tells_what_sound_and_words_said_where_they_were_there():
    nan = float("nan")
    found = mistakes(answered(run(JOY, acoustic=[1, 0.2, 0.9, 0.4, 0.1], linguistic=[1, nan, 0.7, 0.6, nan])), ROWS)[:2]
    assert found[0].members == {
        "acoustic": ("joy", pytest.approx(0.9)),
        "linguistic": ("joy", pytest.approx(0.7)),
    }
    assert found[1].members == {"acoustic": ("anger", pytest.approx(0.8))}


def test_words_are_a_recognisers_where_nobody_wrote_them_down():
    rows = [replace(u, transcripts={"whisper": "heard"} if u.id == "u2" else {}) for u in ROWS]
    assert [mistake.words for mistake in mistakes(answered(run(JOY)), rows)[:2]] == ["heard", None]
