"""A model that reads audio and words: trained, stored, and in use with both or one of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sercli import config
from sercli.errors import ConfigError
from sercli.model import spec
from sercli.model.attribution import explain
from sercli.model.loading import load_model
from sercli.pipeline import Pipeline

SMALL = ["model.feature=log-mel,words", "model.architecture=streams", "architecture.hidden_size=[8]", "train.epochs=2"]


def resolved(*sets):
    return spec.resolve(None, None, config.parse_sets([*SMALL, *sets]))


@pytest.fixture(scope="module")
def model(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("several") / "run"
    info = train(resolved(), folder)
    assert (info.modality, info.n_features) == ("both", 64 + 101)
    return load_model(folder, torch.device("cpu"))


def test_a_setting_goes_to_every_feature_that_has_it_and_a_name_chooses_one():
    plan = resolved("feature.speed=1.1", "feature.words.max_tokens=9", "feature.log-mel.n_mels=20")
    (_, audio), (_, text) = plan.model.features
    assert (audio.speed, audio.n_mels, text.max_tokens) == (1.1, 20, 9)
    assert spec.build("custom", plan.to_dict()) == plan


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["model.architecture=lstm", "architecture.hidden_size=8"],
            "the architecture 'lstm' reads one feature; give one",
        ),
        (["model.feature=words,words"], "reads features of any, each once; these are of text, text"),
        (["train.warp=0.1"], r"train\.warp=0\.1: not each of 'log-mel,words' has a frequency axis; give 0"),
        (["feature.n_melz=3"], r"No setting called 'feature\.n_melz'\. Did you mean 'feature\.n_mels'"),
    ],
)
def test_features_that_fit_no_network_are_refused(sets, message):
    with pytest.raises(ConfigError, match=message):
        resolved(*sets)


def test_it_predicts_with_both_inputs_or_one_and_says_what_is_missing(model, tiny_dataset, rows):
    utterance = tiny_dataset.manifest.utterances[0]
    mute, silent = replace(utterance, transcripts={}), replace(utterance, audio=None)
    neither = replace(mute, audio=None)
    assert [model.lacks(u) for u in (utterance, mute, silent, neither)] == [None, None, None, "audio"]
    both, audio, text = (model.predict([u], rows).probs for u in (utterance, mute, silent))
    assert not np.allclose(both, audio)
    assert not np.allclose(both, text)
    together = model.predict([utterance, mute, silent], rows).probs
    np.testing.assert_allclose(together, np.concatenate([both, audio, text]), atol=1e-6)


def test_a_recording_without_words_is_predicted_from_audio_alone(model, tiny_corpus, monkeypatch):
    monkeypatch.setattr("sercli.pipeline.isolation.speech_share", lambda signal: 1.0)
    clip = tiny_corpus / "audio" / "f1-anger-script.wav"
    pipeline = Pipeline(model)
    ((alone,), (read,)) = pipeline.predict(clip), pipeline.predict(clip, text="stop it now")
    assert (alone.reason, read.reason) == ("no words: predicted from audio alone", None)
    assert alone.probabilities != read.probabilities
    found = explain(model, read, clip)
    assert (found.audio[0].kind, found.text[0].kind, found.words) == ("attention", "attention", ("stop", "it", "now"))
    assert found.audio[0].weights.sum() == pytest.approx(1, abs=1e-5)
    assert found.text[0].weights.sum() == pytest.approx(1, abs=1e-5)
    assert set(found.probs) == {"together"}
    assert explain(model, alone, clip, by="occlusion").text == ()
