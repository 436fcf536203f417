"""Networks that measure something on the train part before training: the run holds what they measured."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sercli.model import spec
from sercli.model.loading import load_model

CPU = torch.device("cpu")


def test_what_was_measured_on_the_train_part_is_in_the_run(train, split, tiny_dataset, rows, tmp_path):
    settings = {
        "model": {"feature": "log-mel", "architecture": "one-vs-one"},
        "train": {"epochs": 3, "batch_size": 8, "lr": 1.0, "optimiser": "sgd"},
    }
    train(spec.resolve(None, None, settings), tmp_path / "run")
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    assert np.linalg.norm(weights["removed"]) == pytest.approx(1.0, abs=1e-5)
    model = load_model(tmp_path / "run", CPU)
    means = np.stack(
        [row.mean(axis=0) for row in rows(tiny_dataset.select(split.train), "log-mel", model.features[0][1])]
    )
    scaled = (means - model.normalisers[0].mean) * model.normalisers[0].scale
    np.testing.assert_allclose(weights["centre"], scaled.mean(axis=0), atol=1e-3)
    answers = model.predict(tiny_dataset.select(split.test), rows)
    assert np.isfinite(answers.probs).all()
