"""What every recogniser keeps to, so that a new file in the folder is tested as soon as it lies there."""

import dataclasses
import json

import numpy as np
import pytest

from sercli import config, plugins
from sercli.errors import SerError
from sercli.types import SAMPLE_RATE_HZ

every_engine = pytest.mark.parametrize("name", plugins.names("asr"))


@pytest.fixture
def transcribe(name):
    """The recogniser, where what it wraps is installed; where it is not, it must say what to install."""
    plugin = plugins.load("asr", name)
    try:
        return plugin.make(plugin.Config(), "cpu")
    except SerError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))


def test_the_recognisers_are_there():
    assert {"whisper"} <= set(plugins.names("asr"))


@every_engine
def test_its_configuration_is_frozen_hashable_and_survives_json(name):
    plugin = plugins.load("asr", name)
    default = plugin.Config()
    assert config.build(plugin.Config, config.to_dict(default), "asr") == default
    assert hash(default) == hash(plugin.Config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(default, dataclasses.fields(default)[0].name, None)


@every_engine
def test_it_says_what_the_words_depend_on(name):
    plugin = plugins.load("asr", name)
    identity = plugin.identity(plugin.Config())
    assert json.loads(json.dumps(identity)) == identity
    assert identity.keys() <= config.to_dict(plugin.Config()).keys()
    assert isinstance(plugin.VERSION, int)


@every_engine
def test_silence_has_no_words_however_short(transcribe):
    found = transcribe([np.zeros(n_samples, np.float32) for n_samples in (0, 1, 100, SAMPLE_RATE_HZ)])
    assert [(one.text, one.words, one.confidence) for one in found] == [("", (), 0.0)] * 4
    assert min(one.no_speech for one in found) > 0.6


@every_engine
def test_noise_has_no_words(transcribe):
    noise = 0.05 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE_HZ)
    (transcript,) = transcribe([noise.astype(np.float32)])
    assert (transcript.text, transcript.confidence) == ("", 0.0)
