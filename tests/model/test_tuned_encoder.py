"""An encoder that is trained further: the run holds it, and answers without the weights that it started from."""

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
