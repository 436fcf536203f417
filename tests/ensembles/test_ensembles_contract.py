"""What every fusion rule keeps to, whether it is in the folder or comes with another package."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from contracts import promise

from sercli import plugins, runs
from sercli._system.arrays import write as write_arrays
from sercli.contracts import TrainsNetwork
from sercli.types import Predictions

LABELS = ("neutral", "happiness", "anger")

PROBABILITIES = promise("`combine` returns probabilities (N, K): none is negative, and each row sums to 1.")
ALONE = promise("An utterance has the same probabilities alone and together with other utterances.")
UNCHANGED = promise("`combine` leaves the members' predictions unchanged.")
NO_INPUT = promise("Where a member has no input for an utterance its numbers are NaN; the other members are combined.")
STATE = promise("The state is a dictionary of numpy arrays: writing and reading it does not change it.")
TRAINED = promise("A rule with `build` and `state_of` has a Config field `train_encoders: bool`.")


def member(seed, modality, n=20):
    rng = np.random.default_rng(seed)
    ids = tuple(f"u{i}" for i in range(n))
    embeddings = rng.standard_normal((n, 3 + seed)).astype(np.float32)
    return Predictions(ids, LABELS, rng.dirichlet(np.ones(3), n), embeddings=embeddings, modality=modality)


AUDIO, TEXT, MORE_AUDIO = member(1, "acoustic"), member(2, "linguistic"), member(3, "acoustic")
Y = np.arange(20) % 3

every_rule = pytest.mark.parametrize("name", plugins.names("ensemble"))
any_members = pytest.mark.parametrize("members", [[AUDIO, TEXT], [AUDIO, TEXT, MORE_AUDIO]], ids=["two", "three"])


def learned(rule, members):
    """The rule's state; untrained where it trains a network."""
    if isinstance(rule, TrainsNetwork):
        encoders = [torch.nn.Identity() for _ in members]
        return rule.state_of(rule.build(rule.Config(), encoders, [m.embeddings for m in members], 3))
    return rule.fit(members, Y, rule.Config()) if plugins.learns(rule) else {}


def combined(rule, members, state=None):
    return rule.combine(members, learned(rule, members) if state is None else state, rule.Config())


@every_rule
@any_members
def test_each_combined_row_is_a_distribution_over_the_labels(name, members):
    probs = combined(plugins.fusion_rule(name), members)
    assert probs.shape == (20, 3), PROBABILITIES
    assert probs.min() >= 0, PROBABILITIES
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-9), PROBABILITIES


@every_rule
@any_members
def test_an_utterance_is_combined_the_same_whatever_is_beside_it(name, members):
    rule, chosen = plugins.fusion_rule(name), [7, 3]
    state = learned(rule, members)
    some = [replace(m, probs=m.probs[chosen], embeddings=m.embeddings[chosen]) for m in members]
    assert np.allclose(combined(rule, some, state), combined(rule, members, state)[chosen], atol=1e-9), ALONE


@every_rule
def test_a_member_without_input_is_left_out(name):
    rule, members = plugins.fusion_rule(name), [AUDIO, TEXT, MORE_AUDIO]
    state = learned(rule, members)
    for absent in range(3):
        some = list(members)
        some[absent] = replace(some[absent], probs=some[absent].probs.copy(), embeddings=some[absent].embeddings.copy())
        some[absent].probs[4] = np.nan
        some[absent].embeddings[4] = np.nan
        found = combined(rule, some, state)
        assert np.isclose(found[4].sum(), 1, atol=1e-9), NO_INPUT
        others = np.arange(20) != 4
        assert np.allclose(found[others], combined(rule, members, state)[others], atol=1e-9), NO_INPUT


@every_rule
def test_the_state_survives_the_disk(name, tmp_path):
    rule, members = plugins.fusion_rule(name), [AUDIO, TEXT]
    state = learned(rule, members)
    write_arrays(tmp_path / "state.npz", state)
    again = runs.read_arrays(tmp_path / "state.npz") if state else {}
    assert np.array_equal(combined(rule, members, again), combined(rule, members, state)), STATE


@every_rule
@any_members
def test_members_are_left_as_they_were(name, members):
    before = [(m.probs.copy(), m.embeddings.copy()) for m in members]
    combined(plugins.fusion_rule(name), members)
    for m, (probs, embeddings) in zip(members, before, strict=True):
        assert np.array_equal(m.probs, probs), UNCHANGED
        assert np.array_equal(m.embeddings, embeddings), UNCHANGED


@every_rule
def test_a_rule_that_trains_a_network_can_train_the_encoders(name):
    rule = plugins.fusion_rule(name)
    if isinstance(rule, TrainsNetwork):
        assert isinstance(getattr(rule.Config(), "train_encoders", None), bool), TRAINED
