from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from sercli import plugins
from sercli.errors import AudioError, SerError
from sercli.model import fusion
from sercli.model.answering import answer
from sercli.model.systems import load as load_system
from sercli.types import Predictions, TrainConfig

CPU = torch.device("cpu")
RATE_HZ = 16_000


class Listener:
    """A system that notes what it is asked, and says for each stretch how loud it is against 1."""

    labels = ("soft", "loud")
    features = (("log-mel", None),)
    folder = "listener"

    def __init__(self):
        self.asked = []

    def lacks(self, utterance):
        return None

    def predict(self, utterances, rows):
        (stretch,) = utterances
        self.asked.append((stretch.start_s, stretch.end_s))
        loud = float(np.abs(rows.at(RATE_HZ)).max())
        return Predictions((stretch.id,), self.labels, np.array([[1 - loud, loud]]))


@pytest.fixture
def recording(tmp_path):
    """recording(levels, seconds) -> path of a WAV with that many seconds of noise at each of the levels."""

    def write(levels, seconds_each, suffix="wav"):
        rng = np.random.default_rng(0)
        parts = [level * rng.choice([-1.0, 1.0], round(seconds_each * RATE_HZ)) for level in levels]
        soundfile.write(tmp_path / f"clip.{suffix}", np.concatenate(parts), RATE_HZ)
        return tmp_path / f"clip.{suffix}"

    return write


@pytest.fixture(scope="session")
def clip(tiny_corpus):
    return tiny_corpus / "audio" / "f1-anger-script.wav"


@pytest.fixture(scope="session")
def systems(runs_made, tiny_dataset, rows, tmp_path_factory):
    """An acoustic and a linguistic model, and their average."""
    out = tmp_path_factory.mktemp("answering") / "average"
    acoustic, linguistic = (load_system(f, CPU) for f in (runs_made.acoustic, runs_made.linguistic))
    shop = fusion.Workshop(tiny_dataset, rows, 0, CPU, lambda result, best: None)
    rule = plugins.load("ensemble", "average").Config()
    fusion.fuse((acoustic, linguistic), "average", out, shop, rule_config=rule, train_config=TrainConfig())
    return SimpleNamespace(acoustic=acoustic, linguistic=linguistic, ensemble=load_system(out, CPU))


def test_a_recording_is_answered_as_the_dataset_would_be(systems, tiny_dataset, rows, clip):
    (utterance,) = [u for u in tiny_dataset.manifest.utterances if u.audio.endswith(clip.name)]
    expected = systems.acoustic.predict([utterance], rows).probs[0]
    given = answer(systems.acoustic, clip, None)
    # The dataset keeps log-mel in float16.
    np.testing.assert_allclose(list(given.probs.values()), expected, atol=1e-3)
    assert list(given.probs) == list(tiny_dataset.info.labels)
    assert given.label == max(given.probs, key=given.probs.get)
    assert given.confidence == given.probs[given.label]
    assert sum(given.probs.values()) == pytest.approx(1, abs=1e-12)
    assert (given.path, given.reason) == (str(clip), None)


@pytest.mark.parametrize("level", [0.0, 1e-4])
@pytest.mark.parametrize("seconds", [0.5, 32])
def test_silence_has_no_label_and_says_why(level, seconds, systems, recording):
    given = answer(systems.acoustic, recording([level], seconds), None)
    assert (given.label, given.confidence, given.probs, given.reason) == (None, None, {}, "no speech")


def test_a_short_recording_is_answered_whole(recording):
    listener = Listener()
    answer(listener, recording([0.5], 14), None)
    assert listener.asked == [(None, None)]


def test_a_long_recording_is_the_mean_over_stretches_that_cover_it(recording):
    listener = Listener()
    given = answer(listener, recording([0.1, 0.2, 0.3, 0.8], 10), None)
    assert listener.asked == [(0, 10), (10, 20), (20, 30), (30, 40)]
    assert given.probs["loud"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.8) / 4, abs=1e-3)


def test_stretches_are_equal_where_the_length_is_no_multiple(recording):
    listener = Listener()
    answer(listener, recording([0.5], 26), None)
    starts, ends = zip(*listener.asked, strict=True)
    assert ends[:-1] == starts[1:]
    assert (starts[0], ends[-1]) == (0, 26)
    assert {round(end - start, 6) for start, end in listener.asked} == {round(26 / 3, 6)}


def test_stretches_without_speech_are_passed_over(recording):
    listener = Listener()
    given = answer(listener, recording([0.4, 0.0, 0.0, 0.6], 10), None)
    assert listener.asked == [(0, 10), (30, 40)]
    assert given.probs["loud"] == pytest.approx(0.5, abs=1e-3)


def test_forty_seconds_go_through_a_network(systems, recording):
    given = answer(systems.ensemble, recording([0.1, 0.3], 20), "stop it now")
    assert given.label in systems.ensemble.labels
    assert sum(given.probs.values()) == pytest.approx(1, abs=1e-12)


def test_a_twentieth_of_a_second_is_enough(systems, recording):
    assert answer(systems.acoustic, recording([0.3], 0.05), None).label in systems.acoustic.labels


def test_an_ensemble_hears_and_reads(systems, clip):
    given = answer(systems.ensemble, clip, "stop it now i hate this")
    heard = answer(systems.acoustic, clip, None)
    read = answer(systems.linguistic, clip, "stop it now i hate this")
    assert given.text == "stop it now i hate this"
    assert given.reason is None
    for label, probability in given.probs.items():
        assert probability == pytest.approx((heard.probs[label] + read.probs[label]) / 2, abs=1e-6)


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_an_ensemble_without_words_says_that_it_answers_from_sound_alone(text, systems, clip):
    given = answer(systems.ensemble, clip, text)
    assert given.reason == "no words: answered from sound alone"
    assert given.probs == pytest.approx(answer(systems.acoustic, clip, None).probs, abs=1e-6)


def test_other_words_give_other_probabilities(systems, clip):
    said = [answer(systems.linguistic, clip, text).probs["anger"] for text in ("stop it now", "lovely day")]
    assert said[0] != said[1]


@pytest.mark.parametrize("text", [None, " "])
def test_a_linguistic_run_without_words_is_refused_with_what_to_do(text, systems, clip):
    with pytest.raises(SerError, match=r"reads words alone, and there are none for .*; add --text \"\.\.\.\""):
        answer(systems.linguistic, clip, text)


def test_a_file_that_is_no_audio_is_refused_by_name(systems, tmp_path):
    (tmp_path / "notes.wav").write_text("these are words")
    with pytest.raises(AudioError, match=r"notes\.wav is not audio"):
        answer(systems.acoustic, tmp_path / "notes.wav", None)


def test_a_header_that_claims_an_endless_recording_asks_for_no_memory(systems, recording):
    path = recording([0.3], 1, suffix="flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: the number of samples, 36 bits, becomes 0 = unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"clip\.flac"):
        answer(systems.acoustic, path, None)
