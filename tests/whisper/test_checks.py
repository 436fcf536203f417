"""A folder of Whisper that would end the process, or give wrong words, is refused before CTranslate2 reads it."""

import json

import numpy as np
import pytest
from test_weights import model, small

from sercli.errors import SerError
from sercli.whisper import checks, weights

N_STATES, VOCABULARY = 8, ["a", "b", "<|startoftranscript|>", "c"]
SETTINGS = {"alignment_heads": [[0, 1]], "suppress_ids": [1], "suppress_ids_begin": None, "lang_ids": []}


def decoder():
    """The decoder of a model with one layer, under CTranslate2's names."""
    rng, one, shapes = np.random.default_rng(0), (N_STATES,), {}
    for part in ("self_attention/", "attention/", "ffn/", ""):
        at = f"layer_0/{part}" if part else ""
        shapes |= {f"{at}layer_norm/gamma": one, f"{at}layer_norm/beta": one}
    matrices = {"self_attention/linear_0": (3, 1), "self_attention/linear_1": (1, 1), "attention/linear_0": (1, 1)}
    matrices |= {"attention/linear_1": (2, 1), "attention/linear_2": (1, 1), "ffn/linear_0": (4, 1)}
    for name, (n_out, n_in) in (matrices | {"ffn/linear_1": (1, 4)}).items():
        shapes[f"layer_0/{name}/weight"] = (n_out * N_STATES, n_in * N_STATES)
        shapes[f"layer_0/{name}/bias"] = (n_out * N_STATES,)
    shapes |= {"embeddings/weight": (len(VOCABULARY), N_STATES), "position_encodings/encodings": (448, N_STATES)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return arrays | {"num_heads": np.array(2, np.int8), "activation": np.array(3, np.int8)}


@pytest.fixture
def make(tmp_path):
    """make(variables that differ; None: left out, files that differ) -> the checked folder."""

    def write(changed=None, **files):
        arrays = {f"encoder/{name}": value for name, value in small(N_STATES, 80).items()}
        arrays |= {f"decoder/{name}": value for name, value in decoder().items()} | (changed or {})
        (tmp_path / "model.bin").write_bytes(model(*[(n, value) for n, value in arrays.items() if value is not None]))
        (tmp_path / "config.json").write_text(files.get("config") or json.dumps(SETTINGS))
        (tmp_path / "vocabulary.json").write_text(files.get("vocabulary") or json.dumps(VOCABULARY))
        if "preprocessor" in files:
            (tmp_path / "preprocessor_config.json").write_text(files["preprocessor"])
        weights.check(weights.find(str(tmp_path)))
        return tmp_path

    return write


def test_a_whole_folder_is_taken(make):
    folder = make(preprocessor='{"feature_size": 80, "processor_class": "WhisperProcessor"}')
    checks.check_tokenizer(folder, {word: number for number, word in enumerate(VOCABULARY)})


def test_the_tokenizer_of_another_model_is_refused(make):
    folder = make()
    for other in ({"a": 0, "<|startoftranscript|>": 1}, {"a": 9, "<|startoftranscript|>": 2}, {"a": 0}):
        with pytest.raises(ValueError, match=r"tokenizer\.json has other tokens than the vocabulary"):
            checks.check_tokenizer(folder, other)


def broken(name, at=0, value=np.nan):
    array = decoder()[name].copy()
    array.flat[at] = value
    return {f"decoder/{name}": array}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"encoder/num_heads": np.array(0, np.int8)}, "'encoder/num_heads' is 0, which does not divide the 8 states"),
        ({"decoder/num_heads": np.array(-2, np.int8)}, "'decoder/num_heads' is -2, which"),
        ({"decoder/num_heads": np.array([2, 2], np.int8)}, "'decoder/num_heads' has the shape (2,), not ()"),
        (
            {"decoder/layer_0/ffn/linear_0/bias": np.zeros(3, np.float32)},
            "linear_0/bias' has the shape (3,), not (32,)",
        ),
        ({"decoder/layer_0/attention/linear_1/bias": None}, "'decoder/layer_0/attention/linear_1/bias' is missing"),
        ({"encoder/conv1/weight": None}, "'conv1/weight' is missing, or has no content"),
        ({"decoder/embeddings/weight": np.zeros((4, 8), np.int8)}, "is quantised, and its scale does not fit"),
        ({"decoder/embeddings/weight": np.zeros((3, 8), np.float32)}, "its vocabulary has 4 tokens, model.bin 3"),
        ({"decoder/projection/weight": np.zeros((2, 8), np.float32)}, "projection/weight' has the shape (2, 8)"),
        (broken("layer_norm/gamma"), "'decoder/layer_norm/gamma' has numbers that are not finite"),
        ({"decoder/activation": np.array(99, np.int8)}, "'decoder/activation' is 99, not 3"),
        ({"decoder/head_dim": np.array(0, np.int8)}, "'decoder/head_dim' is nothing that Whisper has"),
    ],
)
def test_weights_that_do_not_fit_are_refused(make, changed, reason):
    with pytest.raises(SerError) as caught:
        make(changed)
    assert reason in str(caught.value)
    assert str(caught.value).endswith("; copy or install it again.")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"config": "{oops"}, "config.json: JSON is malformed"),
        ({"config": "[" * 100_000}, "config.json: "),
        ({"config": "{}"}, "missing required field `alignment_heads`"),
        ({"config": '{"alignment_heads": [[0, 2]]}'}, "alignment_heads beyond the decoder's layers and heads"),
        ({"config": '{"alignment_heads": [[-1, 0]]}'}, "alignment_heads beyond the decoder's layers and heads"),
        ({"config": json.dumps(SETTINGS | {"suppress_ids_begin": [-5]})}, "suppress_ids_begin beyond the 4 tokens"),
        ({"vocabulary": '{"a": 1}'}, "vocabulary.json: Expected `array`"),
        ({"preprocessor": '{"n_fft": 1000000000000}'}, "does not describe the 80 mel bands"),
        ({"preprocessor": '{"hop_length": "x"}'}, "preprocessor_config.json: Expected `int`"),
    ],
)
def test_settings_that_do_not_fit_are_refused(make, files, reason):
    with pytest.raises(SerError) as caught:
        make(**files)
    assert reason in str(caught.value)
