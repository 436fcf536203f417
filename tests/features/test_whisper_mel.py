import numpy as np
import pytest
import torch

from sercli import plugins
from sercli.errors import ConfigError
from sercli.whisper import encoder

FEATURE = plugins.load("feature", "whisper-mel")
SIGNAL = (0.1 * np.random.default_rng(0).standard_normal(24_000)).astype(np.float32)


def test_a_second_is_a_hundred_frames_of_eighty_bands():
    assert FEATURE.extract(SIGNAL, FEATURE.Config()).shape == (150, 80)
    assert FEATURE.extract(SIGNAL, FEATURE.Config(n_mels=128)).shape == (150, 128)


def test_the_encoder_makes_of_it_what_the_feature_of_its_frames_gives():
    frames = plugins.load("feature", "whisper-encoder")
    expected = frames.extract(SIGNAL, frames.Config(layers=(2,)))
    mel = torch.from_numpy(FEATURE.extract(SIGNAL, FEATURE.Config()))
    with torch.inference_mode():
        found = encoder.load(None)(mel[None], torch.tensor([150]), 2)[1][0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_another_sample_rate_is_refused():
    with pytest.raises(ConfigError, match=r"feature\.sample_rate_hz=8000: Whisper hears 16000 Hz"):
        FEATURE.Config(sample_rate_hz=8_000)
