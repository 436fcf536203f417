"""What every file in sercli/ensembles promises, whichever it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sercli import config, plugins, runs
from sercli.types import Predictions

NAMES = plugins.names("ensemble")
LABELS = ("neutral", "happiness", "anger")


def member(seed, n=20, n_embedding=5):
    rng = np.random.default_rng(seed)
    ids = tuple(f"u{i}" for i in range(n))
    embeddings = rng.standard_normal((n, n_embedding)).astype(np.float32)
    return Predictions(ids, LABELS, rng.dirichlet(np.ones(3), n), embeddings=embeddings)


MEMBERS = (member(1), member(2, n_embedding=3))
Y = np.arange(20) % 3


def learned(plugin):
    """The state after whatever the rule learns: by `fit`, or in a network of its own that is built and trained."""
    if hasattr(plugin, "fit"):
        return plugin.fit(MEMBERS, Y, plugin.Config())
    encoders = [torch.nn.Identity() for _ in MEMBERS]
    return plugin.state_of(plugin.build(plugin.Config(), encoders, [m.embeddings for m in MEMBERS], 3))


def some(members, chosen):
    return [replace(m, probs=m.probs[chosen], embeddings=m.embeddings[chosen]) for m in members]


@pytest.mark.parametrize("name", NAMES)
def test_the_default_configuration_is_json_and_back(name):
    plugin = plugins.load("ensemble", name)
    assert config.build(plugin.Config, config.to_dict(plugin.Config()), "ensemble") == plugin.Config()


@pytest.mark.parametrize("name", NAMES)
def test_each_combined_row_is_a_distribution_over_the_labels(name):
    plugin = plugins.load("ensemble", name)
    probs = plugin.combine(MEMBERS, learned(plugin))
    assert probs.shape == (20, 3)
    assert probs.min() >= 0
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_an_utterance_is_answered_the_same_whoever_stands_beside_it(name):
    plugin = plugins.load("ensemble", name)
    state, chosen = learned(plugin), [7, 3]
    np.testing.assert_allclose(
        plugin.combine(some(MEMBERS, chosen), state), plugin.combine(MEMBERS, state)[chosen], atol=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_state_survives_the_disk(name, tmp_path):
    plugin = plugins.load("ensemble", name)
    state = learned(plugin)
    runs.write_arrays(tmp_path / "state.npz", state)
    again = runs.read_arrays(tmp_path / "state.npz")
    assert np.array_equal(plugin.combine(MEMBERS, again), plugin.combine(MEMBERS, state))


@pytest.mark.parametrize("name", NAMES)
def test_members_are_left_as_they_were(name):
    plugin = plugins.load("ensemble", name)
    before = [(m.probs.copy(), m.embeddings.copy()) for m in MEMBERS]
    plugin.combine(MEMBERS, learned(plugin))
    for m, (probs, embeddings) in zip(MEMBERS, before, strict=True):
        assert np.array_equal(m.probs, probs)
        assert np.array_equal(m.embeddings, embeddings)
