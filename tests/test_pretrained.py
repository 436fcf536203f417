"""The model that ships: what comes with the package, and that it answers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sercli import batch_runner
from sercli.audio import reading, segments
from sercli.corpora import demo
from sercli.model import ensemble
from sercli.pipeline import Listener
from sercli.types import FOUR

FOLDER = batch_runner.PRETRAINED
CLIP = Path(demo.default_root()) / "audio" / "m2-anger-1.ogg"


@pytest.fixture(scope="module")
def system():
    return ensemble.load(FOLDER, torch.device("cpu"))


def test_it_knows_the_four_classes_by_sound_and_words(system):
    assert system.labels == FOUR
    assert [member.info.modality for member in system.members] == ["acoustic", "linguistic"]


def test_it_is_small_and_says_what_it_is():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 12 * 2**20
    card = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    for said in ("CC BY-NC-SA 4.0", "RAVDESS", "EMO-DB", "nEMO", "GoEmotions", "Known failures"):
        assert said in card


def test_nothing_in_it_names_the_machine_that_made_it():
    for path in FOLDER.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert not any(root in text for root in ("/home/", "/tmp/", "/root/", "/work/")), path


def test_it_answers_by_sound_alone(system):
    (answer,) = Listener(system).hear(CLIP).answers
    assert answer.label in FOUR
    assert sum(answer.probs.values()) == pytest.approx(1)
    assert answer.probs == answer.sound


def test_emotional_words_move_the_answer_and_neutral_ones_do_not(system):
    sound = next(iter(Listener(system).hear(CLIP).answers)).probs
    happy, plain = (
        next(iter(Listener(system, text=text).hear(CLIP).answers)) for text in ("I am so happy, this is great!", "yes")
    )
    assert happy.language is not None
    assert happy.probs["happiness"] > sound["happiness"] + 0.1
    assert max(abs(plain.probs[label] - sound[label]) for label in FOUR) < 0.25


def test_a_sound_without_speech_gets_no_emotion(system, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(32_000), 16_000)
    (answer,) = Listener(system).hear(tmp_path / "noise.wav").answers
    assert (answer.label, answer.reason) == (None, "no speech")


def test_its_clip_is_speech():
    assert segments.has_speech(reading.read(CLIP, sample_rate_hz=16_000))
