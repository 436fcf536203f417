from dataclasses import replace

import numpy as np
import pytest
import torch
from examples import made
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.model.batches import Examples, Normaliser
from sercli.training.batches import _warped, training_batches
from sercli.types import TrainConfig

CPU = torch.device("cpu")
AUGMENTATIONS = {
    "noise": {"feature_noise": 0.5},
    "frame dropout": {"frame_dropout": 0.4},
    "time masks": {"time_masks": 2, "time_mask_fraction": 0.4},
    "feature masks": {"feature_masks": 2, "feature_mask_fraction": 0.5},
    "stretch": {"stretch": 0.3},
    "shift": {"shift": 2},
    "all": {"feature_noise": 0.1, "time_masks": 1, "feature_masks": 1, "stretch": 0.2, "shift": 1},
}


def trained_on(examples, seed=0, **config):
    return list(training_batches(examples, TrainConfig(**config), np.random.default_rng(seed), CPU))


def lengths_of(n, longest=30, seed=0):
    return np.random.default_rng(seed).integers(1, longest + 1, n)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 120), batch_size=st.integers(1, 9), seed=st.integers(0, 99))
def test_every_example_comes_once_in_an_epoch_with_its_own_class(n, batch_size, seed):
    batches = trained_on(made(lengths_of(n, longest=6, seed=seed)), seed, batch_size=batch_size)
    assert sorted(i for b in batches for i in b.indices) == list(range(n))
    assert all(b.y.tolist() == list(b.indices) and len(b.indices) <= batch_size for b in batches)


def test_balanced_batches_draw_rare_classes_as_often_as_the_others():
    examples = replace(made(lengths_of(400)), y=np.array([0] * 380 + [1] * 20))
    drawn = np.concatenate([batch.y for seed in range(5) for batch in trained_on(examples, seed, balanced=True)])
    assert len(drawn) == 2000
    assert 0.45 < drawn.mean() < 0.55


def test_a_warped_frequency_axis_moves_peaks_in_proportion_and_keeps_padding():
    row = np.exp(-0.5 * ((np.arange(100) - 50) / 3) ** 2)[None].repeat(4, axis=0).astype(np.float32)
    peaks = [_warped(row, factor)[0].argmax() for factor in (0.9, 1.0, 1.1)]
    assert peaks == [45, 50, 55]
    np.testing.assert_array_equal(_warped(row, 1.0), row)
    (batch,) = trained_on(made([3, 9]), warp=0.2)
    x, lengths = batch.inputs
    assert not x[int(lengths.argmin()), 3:].any()


def test_without_augmentation_the_features_are_scaled_and_nothing_else():
    examples = made(lengths_of(40), scale="feature")
    normaliser = examples.normalisers[0]
    for batch in trained_on(examples, batch_size=7):
        x, lengths = batch.inputs
        for row, length, number in zip(x.numpy(), lengths, batch.indices, strict=True):
            original = examples.inputs[0][number].astype(np.float32)
            np.testing.assert_allclose(row[:length], (original - normaliser.mean) * normaliser.scale, rtol=1e-6)
            assert not row[length:].any()


def test_two_inputs_of_one_example_stay_together():
    first, second = made([3, 9, 5, 1], n_features=2), made([2, 2, 7, 4], n_features=3, seed=1)
    both = Examples((*first.inputs, *second.inputs), (*first.normalisers, *second.normalisers), first.y)
    for batch in trained_on(both, batch_size=3):
        x, lengths, x2, lengths2 = batch.inputs
        for position, number in enumerate(batch.indices):
            assert x[position, : lengths[position]].tolist() == first.inputs[0][number].tolist()
            assert x2[position, : lengths2[position]].tolist() == second.inputs[0][number].tolist()


def test_each_epoch_is_shuffled_otherwise():
    examples = made(lengths_of(40))
    generator = np.random.default_rng(0)
    orders = [
        [i for b in training_batches(examples, TrainConfig(batch_size=8), generator, CPU) for i in b.indices]
        for _ in "ab"
    ]
    assert orders[0] != orders[1]


def test_neighbours_are_of_like_length_so_that_little_is_padded():
    lengths = lengths_of(512, longest=200)
    batches = trained_on(made(lengths), batch_size=16)
    fed = sum(b.inputs[0].shape[0] * b.inputs[0].shape[1] for b in batches)
    assert fed < 1.2 * lengths.sum()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_changes_the_features_and_leaves_padding_zero(name):
    examples = made(lengths_of(40), n_features=6)
    plain = {i: row for b in trained_on(examples) for i, row in zip(b.indices, b.inputs[0], strict=True)}
    changed = 0
    for batch in trained_on(examples, **AUGMENTATIONS[name]):
        for number, row, length in zip(batch.indices, *batch.inputs, strict=True):
            assert not row[length:].any()
            original = examples.inputs[0][number]
            changed += len(original) != length or row[:length].tolist() != plain[number][:length].tolist()
    assert changed > 20


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_follows_from_the_generator_alone(name):
    examples = made(lengths_of(40), n_features=6)
    first, again, other = (trained_on(examples, seed, **AUGMENTATIONS[name]) for seed in (1, 1, 2))
    assert all(torch.equal(a.inputs[0], b.inputs[0]) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a.inputs[0], b.inputs[0]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_leaves_the_examples_themselves_as_they_are(name):
    examples = made(lengths_of(10), n_features=6)
    before = [row.copy() for row in examples.inputs[0]]
    trained_on(examples, **AUGMENTATIONS[name])
    assert all(np.array_equal(row, was) for row, was in zip(examples.inputs[0], before, strict=True))


def test_a_single_frame_survives_every_augmentation():
    (batch,) = trained_on(made([1]), **AUGMENTATIONS["all"])
    assert batch.inputs[0].shape == (1, 1, 4)


def test_frame_dropout_zeroes_its_share_of_whole_frames():
    (batch,) = trained_on(made([40] * 60), batch_size=64, frame_dropout=0.25)
    zero = batch.inputs[0] == 0
    assert torch.equal(zero.all(dim=2), zero.any(dim=2))
    assert 0.2 < zero.float().mean() < 0.3


def test_time_masks_zero_at_most_their_share_of_the_utterance():
    examples = made([40] * 60)
    (batch,) = trained_on(examples, batch_size=64, time_masks=1, time_mask_fraction=0.25)
    zeroed = (batch.inputs[0] == 0).all(dim=2).sum(dim=1)
    assert zeroed.max() == 10
    assert zeroed.min() == 0


def test_feature_masks_zero_a_band_of_at_most_their_share():
    examples = made([5] * 60, n_features=8)
    (batch,) = trained_on(examples, batch_size=64, feature_masks=1, feature_mask_fraction=0.5)
    zeroed = (batch.inputs[0] == 0).all(dim=1)
    assert zeroed.sum(dim=1).max() == 4
    for bands in zeroed:
        (where,) = torch.nonzero(bands, as_tuple=True)
        assert len(where) == 0 or where.max() - where.min() + 1 == len(where), "a band is in one piece"


def test_a_stretched_utterance_is_longer_or_shorter_by_the_share_and_keeps_its_order():
    row = np.arange(100, dtype=np.float32)[:, None]
    examples = Examples(([row] * 60,), (Normaliser.of([row], "none"),), np.zeros(60, np.int64))
    (batch,) = trained_on(examples, batch_size=64, stretch=0.2)
    x, lengths = batch.inputs
    assert 80 <= lengths.min() < 90
    assert 110 < lengths.max() <= 120
    for changed, length in zip(x, lengths, strict=True):
        frames = changed[:length, 0]
        assert (frames.diff() >= 0).all()
        assert frames[0] == 0
        assert frames[-1] >= 97


def test_a_shift_moves_the_columns_and_repeats_the_edge():
    row = np.array([[1, 2, 3, 4]], np.float32)
    examples = Examples(([row] * 60,), (Normaliser.of([row], "none"),), np.zeros(60, np.int64))
    (batch,) = trained_on(examples, batch_size=64, shift=1)
    assert {tuple(r[0].tolist()) for r in batch.inputs[0]} == {(1, 2, 3, 4), (1, 1, 2, 3), (2, 3, 4, 4)}


def test_batches_have_few_widths_because_torch_compiles_a_kernel_for_each():
    examples = made(range(1, 400))
    batches = trained_on(examples, batch_size=1)
    assert len({batch.inputs[0].shape[1] for batch in batches}) <= 8 * 6 + 7
    assert all(1 <= batch.inputs[0].shape[1] / int(batch.inputs[1]) <= 9 / 8 for batch in batches)
