import numpy as np
import pytest
import torch

from sercli import config, plugins
from sercli.errors import ConfigError
from sercli.whisper import encoder

FEATURE = plugins.load("feature", "whisper-encoder")
SIGNAL = (0.1 * np.random.default_rng(0).standard_normal(24_000)).astype(np.float32)


def extract(signal, config):
    return FEATURE.make(config, "cpu")([signal])[0]


def test_fifty_frames_a_second_of_four_layers_side_by_side():
    assert extract(SIGNAL, FEATURE.Config()).shape == (75, 4 * 384)


def test_layers_can_be_chosen_and_keep_their_order():
    every = extract(SIGNAL, FEATURE.Config())
    chosen = extract(SIGNAL, FEATURE.Config(layers=(3, 1)))
    np.testing.assert_allclose(chosen[:, :384], every[:, 768:1152], atol=1e-4)
    np.testing.assert_allclose(chosen[:, 384:], every[:, :384], atol=1e-4)


def test_a_stride_gives_means_and_the_rest_at_the_end_is_one_too():
    every, some = (extract(SIGNAL, FEATURE.Config(stride=n)) for n in (1, 4))
    assert len(some) == 19
    np.testing.assert_allclose(some[0], every[:4].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(some[18], every[72:].mean(axis=0), atol=1e-5)


def test_more_than_thirty_seconds_are_heard_in_windows():
    rows = extract(np.tile(SIGNAL, 24), FEATURE.Config(layers=(1,)))  # 36 s
    assert rows.shape == (1800, 384)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layers": (0, 1)}, "count layers from 1"),
        ({"layers": (2, 2)}, "give each once"),
        ({"model": ("base", "base")}, r"feature\.model=\['base', 'base'\]: give each encoder once"),
        ({"sample_rate_hz": 8_000}, "Whisper reads 16000 Hz"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        FEATURE.Config(**settings)


def test_a_layer_that_the_weights_have_not_is_refused():
    with pytest.raises(ConfigError, match=r"layers=\[5\]: Whisper tiny\.en has 4 layers"):
        extract(SIGNAL, FEATURE.Config(layers=(5,)))


def test_base_has_wider_states():
    assert extract(SIGNAL, FEATURE.Config(model="base", layers=(2, 4))).shape == (75, 2 * 512)


def test_of_several_encoders_each_layers_states_stand_side_by_side():
    small, large = (extract(SIGNAL, FEATURE.Config(model=model, layers=(1, 2))) for model in (None, "base"))
    both = extract(SIGNAL, FEATURE.Config(model=("base", "tiny.en"), layers=(1, 2)))
    parts = np.split(both, np.cumsum([512, 384, 512]), axis=1)
    for part, theirs in zip(parts, (large[:, :512], small[:, :384], large[:, 512:], small[:, 384:]), strict=True):
        np.testing.assert_array_equal(part, theirs)


def test_a_layer_that_one_of_several_has_not_is_refused_by_its_name():
    with pytest.raises(ConfigError, match=r"layers=\[5\]: tiny\.en has 4 layers"):
        extract(SIGNAL, FEATURE.Config(model=("tiny.en", "base"), layers=(5,)))


@pytest.mark.parametrize(
    ("given", "read"),
    [("base", "base"), ('["base","tiny.en"]', ("base", "tiny.en")), ("null", None)],
)
def test_models_are_named_in_a_setting(given, read):
    sections = config.parse_sets([f"feature.model={given}"])
    assert config.build(FEATURE.Config, sections["feature"], "feature").model == read


def test_no_model_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"feature\.model"):
        config.build(FEATURE.Config, {"model": []}, "feature")


def test_pooled_is_one_row_in_which_pauses_count_less():
    sound = np.concatenate([SIGNAL, 1e-4 * SIGNAL])
    every = extract(sound, FEATURE.Config())
    pooled = extract(sound, FEATURE.Config(pooled=True))
    assert pooled.shape == (1, 4 * 384)
    sounding = FEATURE.sounding(sound, len(every))
    assert 75 <= sounding.sum() <= 80  # the smoothing reaches a little into the pause
    np.testing.assert_allclose(pooled[0], (every.mean(axis=0) + every[sounding].mean(axis=0)) / 2, atol=1e-5)


@pytest.mark.parametrize("gain", [1e-3, 1.0])
def test_what_sounds_is_told_by_the_clip_itself_and_not_by_its_level(gain):
    sound = np.concatenate([0.01 * SIGNAL, SIGNAL, np.zeros(16_000, np.float32)]).astype(np.float32)
    found = FEATURE.sounding(gain * sound, 200)
    assert not found[:70].any()
    assert found[75:150].all()
    assert not found[155:].any()


@pytest.mark.parametrize("n_samples", [0, 100, 3_200])
def test_in_silence_all_frames_count(n_samples):
    assert FEATURE.sounding(np.zeros(n_samples, np.float32), 10).all()


def test_caches_are_kept_apart_by_what_is_pooled():
    one, other = (FEATURE.identity(FEATURE.Config(pooled=pooled)) for pooled in (False, True))
    assert one != other
    assert FEATURE.identity(FEATURE.Config(pooled=True, stride=4)) == other  # the stride means nothing then


@pytest.mark.parametrize(
    "settings", [{}, {"stride": 4}, {"pooled": True}, {"model": ("base", "tiny.en"), "layers": (1,)}]
)
def test_a_batch_of_any_lengths_gives_what_each_signal_gives_alone(settings):
    extractor = FEATURE.make(FEATURE.Config(**settings), "cpu")
    signals = [np.tile(SIGNAL, 22)[:n] for n in (24_000, 1, 16_123, 40_000, 33 * 16_000, 300, 16_122)]
    for one, together in zip([extractor([s])[0] for s in signals], extractor(signals), strict=True):
        np.testing.assert_allclose(together, one, atol=1e-4)
    assert extractor([]) == []


class Recorder(torch.nn.Module):
    """An encoder that notes the device of everything it gets."""

    def __init__(self):
        super().__init__()
        self.n_mels, self.n_states = 80, 8
        self.conv1 = torch.nn.Conv1d(80, 8, 3)
        self.layers = [None] * 4
        self.batches = []

    def forward(self, mel, lengths, n_layers):
        self.batches.append((mel.device.type, lengths.device.type, self.conv1.weight.device.type, tuple(mel.shape)))
        return [torch.zeros(len(mel), (mel.shape[1] + 1) // 2, 8) for _ in range(n_layers)]


def test_several_configurations_run_an_encoder_once_as_far_as_one_needs_it(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(encoder, "load", lambda model, n_layers: recorder)
    configs = [FEATURE.Config(layers=(1,)), FEATURE.Config(layers=(3, 2), stride=2), FEATURE.Config(pooled=True)]
    found = FEATURE.make_several(configs, "meta")([SIGNAL, SIGNAL[:16_000]])
    assert [shape for *_, shape in recorder.batches] == [(2, 150, 80)]
    assert [[rows.shape for rows in features] for features in found] == [
        [(75, 8), (50, 8)],
        [(38, 16), (25, 16)],
        [(1, 32), (1, 32)],
    ]


def test_several_configurations_give_what_each_gives_alone():
    settings = [{"layers": (3,)}, {"stride": 4}, {"pooled": True}, {"model": ("base", "tiny.en"), "layers": (1, 2)}]
    configs = [FEATURE.Config(**one) for one in settings]
    signals = [np.tile(SIGNAL, 22)[:n] for n in (24_000, 16_123, 33 * 16_000)]
    several = FEATURE.make_several(configs, "cpu")(signals)
    for own, together in zip(configs, several, strict=True):
        for one, other in zip(FEATURE.make(own, "cpu")(signals), together, strict=True):
            np.testing.assert_array_equal(other, one)


def test_weights_and_batches_go_to_the_device_and_come_back(monkeypatch):
    """Torch's `meta` device stands for one that is not the CPU."""
    recorder = Recorder()
    monkeypatch.setattr(encoder, "load", lambda model, n_layers: recorder)
    found = FEATURE.make(FEATURE.Config(), "meta")([SIGNAL, SIGNAL[:16_000]])
    assert recorder.batches == [("meta", "meta", "meta", (2, 150, 80))]
    assert [rows.shape for rows in found] == [(75, 32), (50, 32)]
