from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec import structs

from sercli import plugins
from sercli.dataset import feature_cache, feature_specs
from sercli.dataset.manifest import Dataset, make_manifest
from sercli.errors import SerError
from sercli.evaluation import facts
from sercli.evaluation.inputs import EvaluatedRun, stored
from sercli.model import feature_provider
from sercli.model.loading import load_model
from sercli.pipeline import Pipeline, PipelineConfig
from sercli.runs import load_info

PLAIN = plugins.load("feature", "log-mel").Config()
BY_SPEAKER = replace(PLAIN, normalise="speaker")


def test_the_mean_of_each_speaker_is_subtracted_from_all_frames(tiny_dataset, rows):
    utterances = tiny_dataset.manifest.utterances
    plain, normalised = rows(utterances, "log-mel", PLAIN), rows(utterances, "log-mel", BY_SPEAKER)
    for speaker in {u.speaker for u in utterances}:
        own = [n for n, u in enumerate(utterances) if u.speaker == speaker]
        offset = np.concatenate([plain[n] for n in own]).mean(axis=0, dtype=np.float64)
        for n in own:
            np.testing.assert_allclose(normalised[n], plain[n] - offset, atol=1e-3)


def test_speaker_z_divides_by_the_deviation_of_the_speaker_too(tiny_dataset, rows):
    utterances = tiny_dataset.manifest.utterances
    normalised = rows(utterances, "log-mel", replace(PLAIN, normalise="speaker-z"))
    for speaker in {u.speaker for u in utterances}:
        frames = np.concatenate([own for u, own in zip(utterances, normalised, strict=True) if u.speaker == speaker])
        np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-3)
        np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)


def test_the_mean_is_of_all_utterances_of_the_speaker_whichever_are_asked_for(tiny_dataset, rows):
    first, *_ = tiny_dataset.manifest.utterances
    (alone,) = rows([first], "log-mel", BY_SPEAKER)
    np.testing.assert_array_equal(alone, rows(tiny_dataset.manifest.utterances, "log-mel", BY_SPEAKER)[0])


def test_normalised_features_are_not_computed_or_kept_again(tiny_dataset, no_progress):
    assert feature_specs.key("log-mel", BY_SPEAKER) == feature_specs.key("log-mel", PLAIN)
    ensured = [feature_cache.ensure(tiny_dataset, "log-mel", own, progress=no_progress) for own in (PLAIN, BY_SPEAKER)]
    assert ensured[0].folder == ensured[1].folder


def test_an_utterance_without_a_speaker_is_named(tiny_dataset, no_progress):
    nameless = [replace(u, speaker=None) for u in tiny_dataset.manifest.utterances]
    dataset = Dataset(tiny_dataset.folder, tiny_dataset.info, make_manifest(nameless, tiny_dataset.info.labels))
    provider = feature_provider.cached_features(dataset, jobs=1, progress=no_progress)
    with pytest.raises(SerError, match=r"feature\.normalise=speaker needs the speaker .* has none; give .*=none"):
        provider(dataset.manifest.utterances[:1], "log-mel", BY_SPEAKER)


def test_a_run_on_normalised_features_is_scored_but_cannot_predict_recordings(
    train, plans, tiny_dataset, rows, tmp_path
):
    plan = plans.acoustic
    train(replace(plan, model=replace(plan.model, features=(("log-mel", BY_SPEAKER),))), tmp_path / "run")
    model = load_model(tmp_path / "run", torch.device("cpu"))
    assert model.spec.features[0][1].normalise == "speaker"
    assert len(model.predict(tiny_dataset.manifest.utterances, rows).ids) == 48
    with pytest.raises(SerError, match=r"trained with feature\.normalise: .* cannot predict recordings"):
        Pipeline.of(PipelineConfig(tmp_path / "run", "cpu"))


def test_a_run_is_called_transductive_whichever_of_its_features_is_normalised(runs_made):
    info = load_info(runs_made.acoustic)
    for feature in ({"normalise": "speaker-z"}, {"lld": {"normalise": "none"}, "log-mel": {"normalise": "speaker"}}):
        normalised = replace(info, settings=structs.replace(info.settings, feature=feature))
        found = facts.warnings(stored([EvaluatedRun(runs_made.acoustic, normalised)]))
        assert [one for one in found if one.startswith(f"Transductive: `{info.name}` normalises features by speaker")]
    assert not any("Transductive" in one for one in facts.warnings(stored([EvaluatedRun(runs_made.acoustic, info)])))
