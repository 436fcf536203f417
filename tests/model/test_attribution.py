from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from sercli import pipeline, plugins
from sercli.audio.condition import without_rumble
from sercli.dataset.word_times import spans
from sercli.errors import SerError
from sercli.model import attribution
from sercli.model.attribution import explain
from sercli.model.batches import Normaliser
from sercli.model.inference import Model
from sercli.pipeline import Pipeline
from sercli.runs import RunInfo
from sercli.types import ModelSpec, Prediction, Transcript, Word

CPU = torch.device("cpu")
RATE_HZ = 16_000


class Loudness(torch.nn.Module):
    """Says `loud` the more, the more power there is in a log-mel spectrogram on the whole; it has no attention."""

    def __init__(self):
        super().__init__()
        self.classifier = torch.nn.Linear(1, 2, bias=False)
        self.classifier.weight.data = torch.tensor([[-0.1], [0.1]])

    def encode(self, x, lengths):
        return x.sum(dim=(1, 2))[:, None] / (lengths[:, None] * x.shape[2])


class Praise(torch.nn.Module):
    """Says `glad` where the vector of a certain word is among the rows; it has no attention."""

    def __init__(self, word):
        super().__init__()
        vector = plugins.load("feature", "words").extract(word, plugins.load("feature", "words").Config())[0]
        self.vector = torch.from_numpy(vector)
        self.classifier = torch.nn.Linear(1, 2)

    def encode(self, x, lengths):
        return (x == self.vector).all(dim=2).any(dim=1).float()[:, None]


def _model(module, feature, labels, modality, **settings):
    config = plugins.load("feature", feature).Config(**settings)
    n_features = plugins.load("feature", feature).extract(*_anything(feature), config).shape[1]
    info = RunInfo("model", "made", "finished", labels, modality, {}, "", n_features=n_features)
    rows = np.zeros((1, n_features), np.float32)
    made = ModelSpec(((feature, config),), "lstm", None)
    return Model("made", info, made, module, (Normaliser.of([rows], "none"),), CPU)


def _anything(feature):
    return ("word",) if feature == "words" else (np.zeros(RATE_HZ, np.float32),)


@pytest.fixture
def clip(tiny_corpus):
    return tiny_corpus / "audio" / "f1-anger-script.wav"


@pytest.fixture(autouse=True)
def speech(monkeypatch):
    """All sound is speech."""
    monkeypatch.setattr(pipeline.isolation, "speech_share", lambda signal: float(signal.any()))


def _answer(system, path, **options):
    text = options.pop("text", None)
    (found,) = Pipeline(system, **options).predict(path, text=text)
    return found


def _explained(system, path, *, by=None, **options):
    answer = _answer(system, path, **options)
    return answer, explain(system, answer, path, by=by)


def test_attention_over_time_has_a_weight_for_each_frame_and_sums_to_one(systems, clip):
    _, found = _explained(systems.acoustic, clip)
    frames = plugins.load("feature", "log-mel").extract(found.signal, systems.acoustic.spec.features[0][1])
    assert found.audio[0].kind == "attention"
    assert found.audio[0].weights.shape == (len(frames),)
    assert found.audio[0].weights.sum() == pytest.approx(1, abs=1e-6)
    assert (found.audio[0].edges_s[0], found.audio[0].edges_s[-1]) == (0, pytest.approx(0.6))
    assert len(found.audio[0].edges_s) == len(frames) + 1
    assert (found.text, found.words) == ((), ())


def test_attention_is_that_by_which_the_network_answered(systems, clip):
    _, found = _explained(systems.acoustic, clip)
    model = systems.acoustic
    frames = plugins.load("feature", "log-mel").extract(
        attribution.condition.prepare_signal(found.signal, model.spec.features[0][1]), model.spec.features[0][1]
    )
    x = torch.from_numpy((frames - model.normalisers[0].mean) * model.normalisers[0].scale)[None]
    with torch.inference_mode():
        states = model.module.layers[0](x, torch.tensor([len(frames)]))
        expected = model.module.attention(states, torch.ones(1, len(frames), dtype=torch.bool))[0]
    np.testing.assert_allclose(found.audio[0].weights, expected, atol=1e-5)


def test_attention_over_words_is_that_over_their_tokens(systems, clip):
    text = "Don't go, qqxqq!"  # do n't go , qqxqq ! of which one is unknown
    _, found = _explained(systems.linguistic, clip, text=text)
    assert found.words == ("Don't", "go,", "qqxqq!")
    rows = plugins.load("feature", "words").extract(text, systems.linguistic.spec.features[0][1])
    normaliser = systems.linguistic.normalisers[0]
    x = torch.from_numpy((rows - normaliser.mean) * normaliser.scale)
    with torch.inference_mode():
        _, weights = systems.linguistic.module.attend(x[None], torch.tensor([6]))
    assert found.text[0].kind == "attention"
    np.testing.assert_allclose(found.text[0].weights, weights[0].view(3, 2).sum(dim=1), atol=1e-6)
    assert (found.audio, found.spans_s) == ((), ())


def test_words_that_the_model_does_not_read_to_have_no_weight(systems, clip):
    spec = systems.linguistic.spec
    ((name, own),) = spec.features
    brief = replace(systems.linguistic, spec=replace(spec, features=((name, replace(own, max_tokens=2)),)))
    _, found = _explained(brief, clip, text="stop it now")
    assert found.text[0].weights[:2].sum() == pytest.approx(1, abs=1e-6)
    assert found.text[0].weights[2] == 0


def test_the_only_word_can_be_left_out(systems, clip):
    _, found = _explained(systems.average, clip, text="stop", by="occlusion")
    assert found.text[0].weights.shape == (1,)
    assert np.isfinite(found.text[0].weights).all()


def test_an_ensembles_members_are_explained_each_by_itself(systems, clip):
    answer, both = _explained(systems.average, clip, text="i hate this")
    _, sound = _explained(systems.acoustic, clip)
    _, words = _explained(systems.linguistic, clip, text="i hate this")
    np.testing.assert_allclose(both.audio[0].weights, sound.audio[0].weights)
    np.testing.assert_allclose(both.text[0].weights, words.text[0].weights)
    audio, text = answer.members["acoustic"], answer.members["linguistic"]
    assert both.probs == {"audio": audio, "text": text, "together": answer.probabilities}
    adapted = replace(answer, probabilities=audio, unadapted=answer.probabilities)
    assert attribution.explain(systems.average, adapted, clip).probs == {**both.probs, "adapted": audio}
    assert both.predicted == answer.label


def test_an_ensemble_without_words_explains_its_sound(systems, clip):
    answer, found = _explained(systems.average, clip)
    assert (found.text, found.words, found.probs) == ((), (), {"audio": answer.probabilities})


@pytest.mark.parametrize("speed", [1.0, 0.5, 2.0])
def test_occlusion_finds_a_loud_stretch_in_a_clip(tmp_path, speed):
    rng = np.random.default_rng(0)
    signal = 0.01 * rng.standard_normal(3 * RATE_HZ)
    signal[RATE_HZ : RATE_HZ + RATE_HZ // 4] *= 40  # from 1 to 1.25 s
    soundfile.write(tmp_path / "a.wav", signal, RATE_HZ, subtype="FLOAT")
    model = _model(Loudness(), "log-mel", ("soft", "loud"), "acoustic", level_dbfs=None, speed=speed)
    loud = Prediction("a.wav", 0.0, 3.0, "loud", 0.9, {"soft": 0.1, "loud": 0.9})
    found = explain(model, loud, tmp_path / "a.wav")
    assert found.audio[0].kind == "occlusion"
    assert len(found.audio[0].weights) == 12
    assert found.audio[0].weights.argmax() == 4
    assert found.audio[0].edges_s[4:6].tolist() == [1.0, 1.25]
    assert (found.audio[0].weights > 0).all()  # each stretch has some power
    soft = explain(model, replace(loud, probabilities={"soft": 0.9, "loud": 0.1}), tmp_path / "a.wav")
    np.testing.assert_allclose(soft.audio[0].weights, -found.audio[0].weights, atol=1e-9)


def test_silencing_a_stretch_leaves_the_level_of_the_rest_alone():
    signal = np.ones(RATE_HZ, np.float32)
    left = attribution._without(signal, RATE_HZ, 0.25, 0.5)
    assert (left[: int(0.24 * RATE_HZ)] == 1).all()
    assert (left[RATE_HZ // 4 : RATE_HZ // 2] == 0).all()
    assert (left[int(0.51 * RATE_HZ) :] == 1).all()
    assert np.abs(np.diff(left)).max() < 0.02, "there is no click"


def test_occlusion_finds_the_word_that_matters(clip):
    model = _model(Praise("lovely"), "words", ("sad", "glad"), "linguistic")
    model.module.classifier.weight.data = torch.tensor([[-3.0], [3.0]])
    _, found = _explained(model, clip, text="what a Lovely day")
    assert found.predicted == "glad"
    assert found.text[0].kind == "occlusion"
    assert found.text[0].weights.argmax() == 2
    np.testing.assert_allclose(np.delete(found.text[0].weights, 2), 0, atol=1e-12)


def test_occlusion_can_be_had_of_a_network_with_attention(systems, clip):
    answer, found = _explained(systems.average, clip, text="i hate this", by="occlusion")
    assert (found.audio[0].kind, found.text[0].kind) == ("occlusion", "occlusion")
    assert len(found.text[0].weights) == 3
    without = _answer(systems.linguistic, clip, text="i this")
    fall = answer.members["linguistic"][found.predicted] - without.probabilities[found.predicted]
    assert found.text[0].weights[1] == pytest.approx(fall, abs=1e-6)


def test_attention_of_a_network_that_has_none_is_refused_with_what_to_do(clip):
    model = _model(Loudness(), "log-mel", ("soft", "loud"), "acoustic")
    with pytest.raises(SerError, match="made has no attention; give --explain-by occlusion"):
        _explained(model, clip, by="attention")


def test_where_there_is_no_answer_there_is_nothing_to_explain(systems, clip):
    with pytest.raises(SerError, match=r"a\.wav has no prediction to explain \(no speech\)"):
        explain(systems.acoustic, Prediction("a.wav", 0.0, 0.6, reason="no speech"), clip)


@pytest.mark.parametrize(("speed", "n_rows"), [(1.0, 10), (0.5, 19), (2.0, 5)])
def test_the_rows_of_a_picture_of_fixed_length_stand_where_they_are_in_a_short_clip(clip, speed, n_rows):
    class Even(torch.nn.Module):
        def attend(self, x, lengths):
            return None, torch.full(x.shape[:2], 1 / x.shape[1])

    model = _model(Even(), "spectrogram", ("soft", "loud"), "acoustic", speed=speed)
    found = explain(model, Prediction("a.wav", 0.0, 0.6, "loud", 0.9, {"soft": 0.1, "loud": 0.9}), clip)
    assert found.audio[0].edges_s[:-1].tolist() == pytest.approx([0.064 * speed * k for k in range(n_rows)])
    assert found.audio[0].edges_s[-1] == pytest.approx(0.6)
    assert len(found.audio[0].weights) == n_rows  # of 128: the others are behind the clip


def test_times_are_those_of_the_recording(systems, tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", 0.1 * rng.standard_normal(4 * RATE_HZ), RATE_HZ)
    probs = dict.fromkeys(systems.average.labels, 0.25)
    words = (Word("stop", 2.1, 2.3, 0.9), Word("it", 2.3, 2.4, 0.9))
    late = Prediction("a.wav", 2.0, 3.0, "anger", 0.25, probs, "stop it", words, asr_confidence=0.9)
    for by in ("attention", "occlusion"):
        found = explain(systems.average, late, tmp_path / "a.wav", by=by)
        assert (found.start_s, *found.audio[0].edges_s[[0, -1]]) == (2, 2, 3)
        assert found.spans_s == ((2.1, 2.3), (2.3, 2.4))
        assert found.asr_confidence == 0.9
    sound = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    np.testing.assert_allclose(found.signal, without_rumble(sound[2 * RATE_HZ : 3 * RATE_HZ]), atol=1e-6)


def test_words_that_were_heard_have_their_times_and_trust(systems, clip):
    transcript = Transcript("stop it", (Word("stop", 0.0, 0.2, 0.9), Word("it", 0.2, 0.4, 0.9)), 0.8)
    _, found = _explained(systems.average, clip, transcribe=lambda signals: [transcript])
    assert (found.words, found.spans_s, found.asr_confidence) == (("stop", "it"), ((0.0, 0.2), (0.2, 0.4)), 0.8)


def _heard(*texts):
    return [Word(text, float(n), n + 0.5, 1.0) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("words", "timed", "expected"),
    [
        (["well-known", "one"], _heard("well", "-known", "one"), ((0, 1.5), (2, 2.5))),
        (["how", "ever"], _heard("however"), ((0, 0.5), (0, 0.5))),
        (["a", "b"], _heard("a", "", " b"), ((0, 0.5), (2, 2.5))),
        (["a", "b"], _heard("a", "c"), ()),
        (["a", "b"], _heard("a"), ()),
        (["a"], [], ()),
        ([], [], ()),
    ],
)
def test_words_find_their_times_however_they_were_cut(words, timed, expected):
    assert spans(words, timed) == expected


@given(words=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=8), data=st.data())
def test_any_cut_of_a_text_gives_each_word_a_time_in_their_order(words, data):
    letters = "".join(words)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(letters)))) | {0, len(letters)})
    pieces = [letters[a:b] for a, b in pairwise(cuts)]
    found = spans(words, _heard(*pieces))
    assert len(found) == len(words)
    starts = np.cumsum([0, *map(len, words)])[:-1]
    for (from_s, _), start in zip(found, starts, strict=True):
        assert from_s == np.searchsorted(cuts, start, side="right") - 1
