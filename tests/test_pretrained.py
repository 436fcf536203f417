"""The model that ships: what comes with the package, and that it answers."""

from pathlib import Path

import numpy as np
import pytest

import sercli
from sercli import pipeline
from sercli.audio import isolation, reading
from sercli.corpora import demo
from sercli.types import FOUR

FOLDER = pipeline.PRETRAINED
CLIP = Path(demo.default_root()) / "audio" / "m2-anger-1.ogg"


@pytest.fixture(scope="module")
def shipped():
    """The model alone, without a recogniser."""
    return sercli.load(asr=None)


def test_it_knows_the_four_classes_by_sound_and_words(shipped):
    assert shipped.labels == FOUR
    assert [member.info.modality for member in shipped.predictor.members.values()] == ["acoustic", "linguistic"]
    assert shipped.predictor.languages == ("en",)


def test_it_is_small_and_says_what_it_is():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 12 * 2**20
    card = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    for said in ("CC BY-NC-SA 4.0", "RAVDESS", "EMO-DB", "nEMO", "GoEmotions", "Known failures"):
        assert said in card


def test_nothing_in_it_names_the_machine_that_made_it():
    for path in FOLDER.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert not any(root in text for root in ("/home/", "/tmp/", "/root/", "/work/")), path


def test_it_answers_by_sound_alone(shipped):
    (found,) = shipped.predict(CLIP)
    assert found.label in FOUR
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.probabilities == found.members["acoustic"]


def test_emotional_words_move_the_answer_and_neutral_ones_do_not(shipped):
    audio = next(shipped.predict(CLIP)).probabilities
    happy, plain = (next(shipped.predict(CLIP, text=text)) for text in ("I am so happy, this is great!", "yes"))
    assert "linguistic" in happy.members
    assert happy.probabilities["happiness"] > audio["happiness"] + 0.1
    assert max(abs(plain.probabilities[label] - audio[label]) for label in FOUR) < 0.25


@pytest.mark.parametrize(("text", "n_known", "n"), [("Jestem bardzo zły.", 0, 3), ("Go away, Müller-Thurgau!", 2, 3)])
def test_a_text_of_which_most_words_are_unknown_is_told(shipped, text, n_known, n):
    told = f"the model knows {n_known} of its {n} words, which may be in another language"
    (found,) = shipped.predict(CLIP, text=text)
    assert found.remarks == ((told,) if 2 * n_known < n else ())


def test_a_sound_without_speech_gets_no_emotion(shipped, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(32_000), 16_000)
    (found,) = shipped.predict(tmp_path / "noise.wav")
    assert (found.label, found.reason) == (None, "no speech")


def test_its_clip_is_speech():
    assert isolation.speech_share(reading.read(CLIP, sample_rate_hz=16_000))
