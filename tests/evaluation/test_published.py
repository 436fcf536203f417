from pathlib import Path

import numpy as np
import pytest

import sercli
from sercli import plugins
from sercli.evaluation.published import SESSION_5, published
from sercli.evaluation.results import PooledPredictions
from sercli.types import FOUR, Predictions, Utterance

SESSIONS = [
    Utterance(f"u{i}", "iemocap", label, session=session)
    for i, (label, session) in enumerate([*((label, "Ses05") for label in FOUR), ("anger", "Ses04")])
]


def system(name, labels=FOUR):
    """A system that always predicts anger."""
    probs = np.tile(np.eye(len(labels))[labels.index("anger")], (5, 1))
    truth = tuple(u.label for u in SESSIONS)
    run = Predictions(tuple(u.id for u in SESSIONS), labels, probs, truth)
    return PooledPredictions(name, "both", (run,), (probs,))


@pytest.mark.parametrize(
    ("name", "wa"), [("feature", 0.711), ("linguistic", 0.631), ("max-confidence (run7, human words)", 0.667)]
)
def test_systems_of_the_original_study_have_its_figure_beside_ours_on_the_same_session(name, wa):
    found = published(system(name), SESSIONS)
    assert (found.wa, found.ours.n, found.ours.wa) == (wa, 4, 0.25)


def test_others_have_none():
    assert published(system("asr-weighted"), SESSIONS) is None
    assert published(system("feature", (*FOUR, "fear")), SESSIONS) is None
    assert (
        published(system("feature"), [Utterance(u.id, "ravdess", u.label, session="Ses05") for u in SESSIONS]) is None
    )
    assert published(system("feature"), [Utterance(u.id, "iemocap", u.label) for u in SESSIONS]) is None


def test_every_published_system_is_a_preset_or_a_rule():
    presets = {path.stem for path in (Path(sercli.__file__).parent / "presets").glob("*.toml")}
    assert SESSION_5.keys() <= presets | set(plugins.names("ensemble"))
