import warnings

import numpy as np
import pytest
import torch
from examples import made
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from sercli.model.batches import Examples, Normaliser, evaluation_batches

CPU = torch.device("cpu")


def lengths_of(n, longest=30, seed=0):
    return np.random.default_rng(seed).integers(1, longest + 1, n)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 120), batch_size=st.integers(1, 9), seed=st.integers(0, 99))
def test_every_example_comes_once_in_an_epoch_with_its_own_class(n, batch_size, seed):
    examples = made(lengths_of(n, longest=6, seed=seed))
    batches = list(evaluation_batches(examples, batch_size, CPU))
    assert sorted(i for b in batches for i in b.indices) == list(range(n))
    assert all(b.y.tolist() == list(b.indices) and len(b.indices) <= batch_size for b in batches)


def test_a_batch_holds_the_rows_that_it_names_and_zeros_behind_them():
    examples = made(lengths_of(40), scale="feature")
    normaliser = examples.normalisers[0]
    for batch in evaluation_batches(examples, 7, CPU):
        x, lengths = batch.inputs
        assert x.shape[1] == lengths.max()
        for row, length, number in zip(x.numpy(), lengths, batch.indices, strict=True):
            original = examples.inputs[0][number].astype(np.float32)
            np.testing.assert_allclose(row[:length], (original - normaliser.mean) * normaliser.scale, rtol=1e-6)
            assert not row[length:].any()


def test_rows_as_the_cache_keeps_them_are_scaled_in_float32_without_a_word():
    random = np.random.default_rng(0)
    rows = [random.standard_normal((n, 5)).astype(np.float16) for n in (3, 1, 7)]
    for row in rows:
        row.setflags(write=False)
    normaliser = Normaliser.of(rows, "feature")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (batch,) = evaluation_batches(Examples((rows,), (normaliser,)), 3, torch.device("cpu"))
    for row, n in zip(batch.inputs[0].numpy(), batch.indices, strict=True):
        expected = (rows[n].astype(np.float32) - normaliser.mean) * normaliser.scale
        np.testing.assert_array_equal(row[: len(rows[n])], expected)


def test_two_inputs_of_one_example_stay_together():
    first, second = made([3, 9, 5, 1], n_features=2), made([2, 2, 7, 4], n_features=3, seed=1)
    both = Examples((*first.inputs, *second.inputs), (*first.normalisers, *second.normalisers), first.y)
    for batch in evaluation_batches(both, 3, CPU):
        x, lengths, x2, lengths2 = batch.inputs
        for position, number in enumerate(batch.indices):
            assert x[position, : lengths[position]].tolist() == first.inputs[0][number].tolist()
            assert x2[position, : lengths2[position]].tolist() == second.inputs[0][number].tolist()


def test_without_classes_a_batch_has_none():
    examples = Examples(made([3, 4]).inputs, made([3, 4]).normalisers)
    assert [b.y for b in evaluation_batches(examples, 8, CPU)] == [None]


def test_the_normaliser_is_the_standard_scaler_of_all_frames():
    rows = made(lengths_of(30), n_features=6).inputs[0]
    normaliser = Normaliser.of(rows, "feature")
    stacked = np.concatenate(rows).astype(np.float64)
    scaler = StandardScaler().fit(stacked)
    np.testing.assert_allclose(normaliser.mean, scaler.mean_, rtol=1e-6)
    np.testing.assert_allclose(normaliser.scale, 1 / scaler.scale_, rtol=1e-6)


def test_a_column_far_from_zero_keeps_its_small_deviation():
    column = 1e4 + np.random.default_rng(0).standard_normal((5000, 1))
    normaliser = Normaliser.of([column], "feature")
    np.testing.assert_allclose(1 / normaliser.scale, column.std(), rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 123.456, 1e6])
def test_a_column_that_never_changes_becomes_zero(value):
    rows = [np.full((n, 1), value, np.float32) for n in (3, 1000, 7)]
    examples = Examples((rows,), (Normaliser.of(rows, "feature"),))
    assert examples.normalisers[0].scale.tolist() == [0]
    assert not any(b.inputs[0].any() for b in evaluation_batches(examples, 2, CPU))


def test_global_scaling_has_one_mean_and_one_deviation_for_all_columns():
    rows = made(lengths_of(30), n_features=6).inputs[0]
    normaliser = Normaliser.of(rows, "global")
    stacked = np.concatenate(rows).astype(np.float64)
    np.testing.assert_allclose(normaliser.mean, np.full(6, stacked.mean()), rtol=1e-6)
    np.testing.assert_allclose(normaliser.scale, np.full(6, 1 / stacked.std()), rtol=1e-6)


def test_no_scaling_changes_nothing():
    examples = made([3, 5], scale="none")
    (batch,) = evaluation_batches(examples, 2, CPU)
    assert batch.inputs[0][1].tolist() == examples.inputs[0][1].tolist()


def test_the_rows_of_examples_come_as_a_network_gets_them():
    rows = [np.array([[1, 2], [3, 4]], np.float16), np.array([[5, 6]], np.float16)]
    examples = Examples((rows,), (Normaliser(np.array([1, 0], np.float32), np.array([2, 1], np.float32)),))
    scaled = list(examples.scaled())
    assert [row.tolist() for row in scaled] == [[[0, 2], [4, 4]], [[8, 6]]]
    assert scaled[0].dtype == np.float32
