"""Settings of features that cannot be are refused when they are given, before any audio is read."""

import pytest

from sercli import config, plugins
from sercli.errors import ConfigError


@pytest.mark.parametrize(
    ("feature", "setting", "value", "message"),
    [
        ("log-mel", "n_mels", "400", r"of 400 mel bands have no FFT bin"),
        ("log-mel", "fmax_hz", "9000", r"feature\.fmin_hz=50 with fmax_hz=9000 .* half of sample_rate_hz=16000"),
        ("log-mel", "hop_s", "0.00001", r"feature\.hop_s=1e-05 is less than one sample"),
        ("mfcc", "n_mfcc", "65", r"feature\.n_mfcc=65 is more than n_mels=64"),
        ("mfcc", "window_s", "0.00001", r"feature\.window_s=1e-05 is less than one sample"),
        ("lld", "window_s", "0.005", r"of 40 mel bands have no FFT bin with a window of 80 samples at 16000 Hz"),
        ("lld", "window_s", "10", r"Frames of 160000 samples that begin every 400 overlap more than 64 times"),
        ("aligned", "window_s", "0.001", r"26 of 40 mel bands have no FFT bin"),
        ("prosody", "hop_s", "1e-9", r"feature\.hop_s=1e-09 is less than one sample"),
        ("prosody", "window_s", "0.004", r"window_s=0\.004 holds no two periods of a voice; give 0\.00425 or more\."),
        ("spectrogram", "hop_samples", "1", r"Frames of 256 samples that begin every 1 overlap more than 64 times"),
        ("spectrogram", "floor_db", "3", r"feature\.floor_db=3: must be a number >= -200 and <= -1"),
        ("spectrogram", "n_fft_samples", "1", r"feature\.n_fft_samples=1: must be a whole number >= 2"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(feature, setting, value, message):
    with pytest.raises(ConfigError, match=message):
        config.build(plugins.feature(feature).Config, {setting: value}, "feature")
