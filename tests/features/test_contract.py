"""What every audio feature keeps to, so that a new file in the folder is tested as soon as it lies there."""

import tracemalloc
import warnings
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sercli import config as configuration
from sercli import contracts, plugins
from sercli.errors import ConfigError
from sercli.types import AudioConfig

AUDIO = [name for name in plugins.names("feature") if plugins.load("feature", name).INPUT == "audio"]
LENGTHS = [1, 160, 800, 16_000, 5 * 16_000]
SOUNDS = {
    "silence": np.zeros,
    "impulse": lambda n: np.eye(1, n, n // 2)[0],
    "full-scale square": lambda n: np.where(np.arange(n) // 50 % 2, 1.0, -1.0),
    "white noise": lambda n: np.random.default_rng(0).standard_normal(n),
    "constant": lambda n: np.full(n, 0.3),
}

every_feature = pytest.mark.parametrize("name", AUDIO)


def extract(name, signal, **settings):
    """The features of a signal; a division by zero or the like on the way is a failure."""
    plugin = plugins.load("feature", name)
    if hasattr(plugin, "EXTRA"):
        pytest.skip(f"needs the extra `{plugin.EXTRA}` and weights that do not ship; its own tests make some")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return made(name, **settings)([np.asarray(signal, np.float32)])[0]


@lru_cache(maxsize=3)
def made(name, **settings):
    plugin = plugins.load("feature", name)
    return plugin.make(plugin.Config(**settings), "cpu")


def voice(seconds, rate_hz=16_000, pitch_hz=150):
    """Harmonics that glide and swell, noise over them."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * (pitch_hz * t + 10 * np.sin(2 * np.pi * t))
    tones = sum(np.sin(k * phase) / k for k in range(1, 15)) * np.sin(2 * np.pi * 1.5 * t) ** 2
    return 0.05 * (tones + 0.05 * np.random.default_rng(0).standard_normal(t.size))


def test_the_four_audio_features_of_the_presets_are_there():
    assert {"spectrogram", "log-mel", "lld", "mfcc"} <= set(AUDIO)


@every_feature
def test_it_declares_what_the_cache_needs(name):
    plugin = plugins.load("feature", name)
    assert isinstance(plugin.VERSION, int)
    assert plugin.DTYPE in ("float16", "float32")


@every_feature
def test_its_configuration_is_frozen_hashable_audio_and_survives_json(name):
    plugin = plugins.load("feature", name)
    config = plugin.Config()
    assert isinstance(config, AudioConfig)
    assert plugin.Config.__dataclass_params__.frozen
    assert {config: 1}[configuration.build(plugin.Config, configuration.to_dict(config), "feature")] == 1


@every_feature
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("sound", SOUNDS)
def test_any_sound_of_any_length_gives_finite_rows_of_one_width(name, sound, rate_hz):
    try:
        plugins.load("feature", name).Config(sample_rate_hz=rate_hz)
    except ConfigError:
        if rate_hz == 16_000:
            raise
        pytest.skip(f"{name} says that it does not hear {rate_hz} Hz")
    rows = [extract(name, SOUNDS[sound](n), sample_rate_hz=rate_hz) for n in LENGTHS]
    assert {(r.dtype, r.ndim, r.shape[1]) for r in rows} == {(np.dtype(np.float32), 2, rows[0].shape[1])}
    assert all(len(r) >= 1 and np.isfinite(r).all() for r in rows)


@every_feature
@given(signal=arrays(np.float32, st.integers(1, 2000), elements=st.floats(-1, 1, width=32)))
def test_any_signal_gives_finite_numbers(name, signal):
    assert np.isfinite(extract(name, signal)).all()


@every_feature
def test_the_same_sound_gives_the_same_numbers_and_is_left_as_it_was(name):
    signal = voice(2).astype(np.float32)
    before = signal.copy()
    np.testing.assert_array_equal(extract(name, signal), extract(name, signal))
    np.testing.assert_array_equal(signal, before)


@every_feature
def test_a_batch_gives_what_each_signal_gives_alone(name):
    signals = [voice(seconds).astype(np.float32) for seconds in (2, 0.3, 1.1)]
    expected = [extract(name, signal) for signal in signals]
    for one, together in zip(expected, made(name)(signals), strict=True):
        np.testing.assert_allclose(together, one, atol=1e-4)


@every_feature
def test_several_configurations_at_once_give_what_each_gives_alone(name):
    plugin = plugins.load("feature", name)
    if not isinstance(plugin, contracts.MakesSeveral):
        pytest.skip(f"{name} computes one configuration after the other")
    configs = [plugin.Config(), plugin.Config()]
    signals = [voice(seconds).astype(np.float32) for seconds in (2, 0.3)]
    several = plugin.make_several(configs, "cpu")(signals)
    for own, together in zip(configs, several, strict=True):
        for one, other in zip(plugin.make(own, "cpu")(signals), together, strict=True):
            np.testing.assert_array_equal(other, one)


def varied(name):
    """The rows of several voices: some features have one row for each."""
    return np.concatenate(
        [extract(name, voice(seconds, pitch_hz=hz)) for seconds, hz in ((5, 150), (0.8, 110), (2, 190))]
    )


@every_feature
def test_no_column_is_constant_on_a_voice(name):
    assert (np.ptp(varied(name), axis=0) > 0).all()


@every_feature
def test_storing_it_as_it_says_costs_less_than_a_hundredth_of_each_columns_deviation(name):
    rows = varied(name).astype(np.float64)
    stored = rows.astype(plugins.load("feature", name).DTYPE).astype(np.float64)
    assert (np.abs(stored - rows).max(axis=0) < 0.01 * rows.std(axis=0)).all()


@every_feature
def test_memory_besides_the_features_grows_less_than_the_signal(name):
    minute = np.tile(voice(10), 6).astype(np.float32)

    def working_memory(signal):
        tracemalloc.start()
        rows = extract(name, signal)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - rows.nbytes

    extract(name, minute[:16_000])  # tables and libraries are loaded
    assert working_memory(np.tile(minute, 2)) - working_memory(minute) < minute.nbytes
