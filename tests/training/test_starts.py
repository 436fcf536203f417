"""Networks whose training does not start from nothing: the run holds what they started from, and needs nothing else."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sercli.model import inference, spec
from sercli.whisper import encoder

CPU = torch.device("cpu")
SETTINGS = {
    "model": {"feature": "whisper-mel", "architecture": "whisper-tuned"},
    "architecture": {"n_states": 16, "n_heads": 2, "n_layers": 2, "n_tuned": 1, "n_hidden": 8},
    "train": {"epochs": 2, "batch_size": 8, "lr": 0.01, "scale": "none"},
}


@pytest.fixture
def whisper(monkeypatch):
    """A small encoder in the place of Whisper tiny.en's."""
    torch.manual_seed(7)
    small = encoder.Encoder(80, 16, 2, 3).eval()
    monkeypatch.setattr(encoder, "load", lambda model: small)
    return small


def test_the_run_holds_the_encoder_as_it_became_and_answers_by_itself(
    train, whisper, split, tiny_dataset, rows, tmp_path, monkeypatch
):
    info = train(spec.resolve(None, None, SETTINGS), tmp_path / "run")
    assert info.status == "finished"
    weights, began = load_file(tmp_path / "run" / "weights.safetensors"), whisper.state_dict()
    frozen, tuned = "layers.0.qkv.weight", "layers.1.qkv.weight"
    assert np.array_equal(weights[f"encoder.{frozen}"], began[frozen].numpy())
    moved = np.abs(weights[f"encoder.{tuned}"] - began[tuned].numpy()).max()
    assert 0 < moved < 0.05  # a tenth of the head's step, which is .01 at most in each of a dozen batches

    monkeypatch.setattr(encoder, "load", lambda model: pytest.fail("the recogniser's weights were asked for"))
    answers = inference.load(tmp_path / "run", CPU).predict(tiny_dataset.select(split.test), rows)
    assert len(answers.ids) == len(split.test)
    assert np.isfinite(answers.probs).all()


def test_what_was_measured_on_the_train_part_is_in_the_run(train, split, tiny_dataset, rows, tmp_path):
    settings = {
        "model": {"feature": "log-mel", "architecture": "one-vs-one"},
        "train": {"epochs": 3, "batch_size": 8, "lr": 1.0, "optimiser": "sgd"},
    }
    train(spec.resolve(None, None, settings), tmp_path / "run")
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    assert np.linalg.norm(weights["removed"]) == pytest.approx(1.0, abs=1e-5)
    model = inference.load(tmp_path / "run", CPU)
    means = np.stack(
        [row.mean(axis=0) for row in rows(tiny_dataset.select(split.train), "log-mel", model.features[0][1])]
    )
    scaled = (means - model.normaliser.mean) * model.normaliser.scale
    np.testing.assert_allclose(weights["centre"], scaled.mean(axis=0), atol=1e-3)
    answers = model.predict(tiny_dataset.select(split.test), rows)
    assert np.isfinite(answers.probs).all()
