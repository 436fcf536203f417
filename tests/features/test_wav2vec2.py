import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sercli.dataset import extraction, feature_cache
from sercli.errors import ConfigError, SerError
from sercli.features import wav2vec2
from sercli.features.wav2vec2 import Config

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers (the extra `transformers`) is not installed",
)
N_STATES, N_LAYERS = 16, 3
SIZES = {
    "hidden_size": N_STATES,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
# As the base models are, and as the large ones.
SHAPES = {
    "base": {"feat_extract_norm": "group"},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}
QUIET = SimpleNamespace(logging=SimpleNamespace(disable_progress_bar=lambda: None))
KINDS = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}


def make(folder, kind="wav2vec2", shape="base", *, levelled=True):
    """A tiny random model as transformers writes it; returns the model."""
    import transformers

    torch.manual_seed(0)
    settings = getattr(transformers, f"{KINDS[kind]}Config")(**SIZES, **SHAPES[shape])
    model = getattr(transformers, f"{KINDS[kind]}Model")(settings).eval()
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=levelled).save_pretrained(folder)
    return model


@pytest.fixture
def folder(tmp_path):
    make(tmp_path / "tiny")
    return tmp_path / "tiny"


def noise(n_samples):
    """Noise around a level that is not zero, so that levelling it shows."""
    return (0.2 + 0.1 * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


def extract(signal, folder, **settings):
    return wav2vec2.make(Config(model=str(folder), **settings), "cpu")([signal])[0]


def levelled(signal):
    return (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)


def states(model, signal):
    """The library's own states of all layers for a signal: n_layers times (T, E)."""
    with torch.inference_mode():
        found = model(torch.from_numpy(signal)[None], output_hidden_states=True)
    return [layer[0].numpy() for layer in found.hidden_states[1:]]


@needs_transformers
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_states_are_those_of_the_whole_model(tmp_path, kind, shape):
    model, signal = make(tmp_path, kind, shape), noise(8000)
    expected = states(model, levelled(signal))
    rows = extract(signal, tmp_path, layers=(2, 1))
    assert (rows.dtype, rows.shape) == (np.float32, (24, 2 * N_STATES))
    np.testing.assert_allclose(rows, np.hstack([expected[1], expected[0]]), atol=1e-4)


@needs_transformers
def test_a_model_that_was_trained_on_any_level_gets_the_signal_as_it_is(tmp_path):
    signal = noise(8000)
    expected = states(make(tmp_path, levelled=False), signal)
    np.testing.assert_allclose(extract(signal, tmp_path, layers=(1,)), expected[0], atol=1e-4)


@needs_transformers
def test_a_long_clip_is_heard_in_windows_of_like_length(tmp_path, monkeypatch):
    model, signal = make(tmp_path, "wavlm"), noise(20_000)
    monkeypatch.setattr(wav2vec2, "_MAX_S", 0.5)
    windows = np.split(levelled(signal)[:19_998], [6667, 13_334])
    windows[2] = levelled(signal)[13_334:]
    expected = np.concatenate([states(model, window)[2] for window in windows])
    np.testing.assert_allclose(extract(signal, tmp_path, layers=(3,)), expected, atol=1e-4)


@needs_transformers
@pytest.mark.parametrize("kind", KINDS)
def test_any_sound_of_any_length_gives_finite_rows(tmp_path, kind):
    make(tmp_path, kind)
    for signal in (np.zeros(1), np.ones(399), np.zeros(16_000), noise(719), noise(721), np.eye(1, 16_000)[0]):
        rows = extract(signal.astype(np.float32), tmp_path, layers=(1, 3))
        assert rows.shape == (max(1, 1 + (len(signal) - 400) // 320), 2 * N_STATES)
        assert np.isfinite(rows).all()


@needs_transformers
def test_the_same_sound_gives_the_same_numbers_and_is_left_as_it_was(folder):
    signal = noise(4000)
    before = signal.copy()
    np.testing.assert_array_equal(extract(signal, folder, layers=(3,)), extract(signal, folder, layers=(3,)))
    np.testing.assert_array_equal(signal, before)


@needs_transformers
def test_the_cache_keeps_it(tiny_dataset, folder, no_progress):
    config = Config(model=str(folder), layers=(1, 2))
    store = feature_cache.ensure(tiny_dataset, "wav2vec2", config, progress=no_progress)
    first = tiny_dataset.manifest.utterances[0]
    ((expected,),) = extraction.extract([first], Path(tiny_dataset.info.root), [("wav2vec2", config)])
    np.testing.assert_array_equal(store[first.id], expected.astype(store[first.id].dtype))


@needs_transformers
def test_more_layers_than_there_are_are_refused(folder):
    with pytest.raises(ConfigError, match=r"feature\.layers=\[1, 4\]: .*tiny has only 3\."):
        extract(noise(400), folder, layers=(1, 4))


@needs_transformers
def test_another_rate_than_the_models_is_refused(folder):
    with pytest.raises(ConfigError, match=r"feature\.sample_rate_hz=8000: .*tiny needs 16000 Hz; set it to that\."):
        extract(noise(400), folder, layers=(1,), sample_rate_hz=8000)


@needs_transformers
def test_a_model_of_another_kind_is_refused(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "model_type": "whisper"}))
    with pytest.raises(SerError, match="model type 'whisper' is not supported; use wav2vec2, hubert, wavlm"):
        extract(noise(400), folder, layers=(1,))


@needs_transformers
def test_a_model_that_lacks_weights_is_refused_and_not_filled_at_random(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layers.0.final_layer_norm.bias")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        SerError, match=r"tiny: weights are missing, .* \(encoder\.layers\.0\.final_layer_norm\.bias\); set"
    ):
        extract(noise(400), folder, layers=(1,))


@needs_transformers
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json"])
@pytest.mark.parametrize("damage", ["empty", "gone"])
def test_a_damaged_folder_is_one_clear_error(folder, name, damage):
    (folder / name).unlink()
    if damage == "empty":
        (folder / name).write_text("")
    with pytest.raises(SerError, match=r"tiny cannot be read as a speech model \(.+\); copy or save it again\.$"):
        extract(noise(400), folder, layers=(1,))


@needs_transformers
def test_a_hub_that_is_not_reached_is_one_clear_error(tmp_path):
    """In a process of its own, since the library looks for the setting when it is imported."""
    code = (
        "from sercli.errors import SerError; from sercli.features import wav2vec2\n"
        "try: wav2vec2.make(wav2vec2.Config(), 'cpu')\n"
        "except SerError as error: print(error)"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith("The speech model 'facebook/wav2vec2-base' cannot be fetched (")
    assert done.stdout.endswith("check its name and the network, or set feature.model to the folder of one.\n")
    assert done.stderr == ""


def test_what_the_library_raises_becomes_one_clear_error(monkeypatch):
    def fail(name):
        raise OSError("We couldn't connect to 'https://hub'.\nCheck your internet connection.")

    monkeypatch.setitem(
        sys.modules, "transformers", SimpleNamespace(AutoConfig=SimpleNamespace(from_pretrained=fail), utils=QUIET)
    )
    with pytest.raises(SerError) as caught:
        wav2vec2.make(Config(model="somebody/speech"), "cpu")
    expected = "The speech model 'somebody/speech' cannot be fetched (We couldn't connect to 'https://hub'); "
    assert str(caught.value) == expected + "check its name and the network, or set feature.model to the folder of one."


@pytest.mark.parametrize("name", ["/none/such", "./none", "~/none", "a/b/c"])
def test_a_path_that_is_no_folder_never_reaches_the_hub(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoConfig=None, utils=QUIET))
    with pytest.raises(SerError) as caught:
        wav2vec2.make(Config(model=name), "cpu")
    expected = f"There is no folder {name}; check the path, or give a speech model's name on the model hub."
    assert str(caught.value) == expected


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SerError) as caught:
        wav2vec2.make(Config(), "cpu")
    assert str(caught.value) == "The feature 'wav2vec2' needs transformers; run: pip install 'transformers>=5'"


@pytest.mark.parametrize("layers", [(0,), (2, 2)])
def test_impossible_layers_are_refused(layers):
    with pytest.raises(ConfigError, match=r"feature\.layers=.*: count layers from 1, and give each once\."):
        Config(layers=layers)


def test_importing_the_plugin_leaves_heavy_libraries_alone():
    code = "import sys, sercli.features.wav2vec2; print(*sys.modules.keys() & {'torch', 'transformers'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@needs_transformers
@pytest.mark.parametrize(
    ("strides", "reason"), [([0] * 7, "non-positive stride is not supported"), ([10**9] * 7, "one frame would need")]
)
def test_strides_that_no_signal_has_are_refused(folder, strides, reason):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"conv_stride": strides}))
    with pytest.raises(SerError, match=reason):
        extract(noise(16_000), folder, layers=(1,))
