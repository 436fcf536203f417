import numpy as np
import pytest
import torch

from sercli.architectures.functionals import Config, build, functionals


def by_numpy(x):
    """The nine functionals of (T, F)."""
    thirds = [x[k * len(x) // 3 : (k + 1) * len(x) // 3].mean(axis=0) for k in range(3)]
    return np.concatenate(
        [x.mean(0), x.std(0), np.diff(x, axis=0).std(0), *np.quantile(x, [0.1, 0.5, 0.9], 0), *thirds]
    )


@pytest.mark.parametrize("n_frames", [3, 10, 47])
def test_functionals_are_those_of_the_real_frames(n_frames):
    real = np.random.default_rng(n_frames).normal(2.0, 3.0, (n_frames, 5)).astype(np.float32)
    padded = np.full((2, 60, 5), 1e3, np.float32)
    padded[0, :n_frames] = real
    (found, _) = functionals(torch.from_numpy(padded), torch.tensor([n_frames, 60]))
    np.testing.assert_allclose(found, by_numpy(real), rtol=1e-4, atol=1e-4)


def test_several_features_may_have_other_numbers_of_frames():
    network = build(Config(hidden_size=8), (5, 3), 4).eval()
    inputs = (torch.randn(2, 20, 5), torch.tensor([20, 11]), torch.randn(2, 9, 3), torch.tensor([9, 4]))
    assert network(*inputs).shape == (2, 4)


def test_a_last_batch_of_one_utterance_is_trained_on():
    network = build(Config(hidden_size=8), (5,), 4).train()
    network(torch.randn(1, 20, 5), torch.tensor([20])).sum().backward()
    assert network.hidden.weight.grad is not None
