import pytest
import torch

from sercli.architectures import layer_mix
from sercli.errors import ConfigError


def network(mixing="softmax", **values):
    torch.manual_seed(0)
    config = layer_mix.Config(mixing=mixing, n_layers=3, n_hidden=8, **values)
    return layer_mix.build(config, n_features=12, n_labels=4).eval()


def test_a_layer_without_weight_has_no_influence():
    module = network()
    module.mixture.data = torch.tensor([0.0, -1e9, 0.0])
    x, lengths = torch.randn(2, 10, 12), torch.tensor([10, 7])
    other = x.clone()
    other[:, :, 4:8] = torch.randn(2, 10, 4)  # the second of three layers of four columns
    torch.testing.assert_close(module(x, lengths), module(other, lengths))


def test_the_mixture_starts_as_the_mean_of_the_layers():
    module = network()
    x = torch.randn(1, 5, 12)
    torch.testing.assert_close(module._mixed(x), x.view(1, 5, 3, 4).mean(dim=2))


@pytest.mark.parametrize(("deviation", "size"), [(True, 16), (False, 8)])
def test_the_embedding_is_the_mean_with_or_without_the_deviation(deviation, size):
    assert network(deviation=deviation).encode(torch.randn(2, 9, 12), torch.tensor([9, 4])).shape == (2, size)


def test_side_by_side_every_column_has_a_weight_of_its_own():
    assert network(mixing="concat").hidden[0].in_features == 12
    assert network(mixing="softmax").hidden[0].in_features == 4


def test_mean_pooling_weighs_all_real_frames_alike():
    module = network(pooling="mean")
    weights = module.weights(torch.randn(2, 4, 8), torch.tensor([4, 2]))
    assert weights.tolist() == [[0.25] * 4, [0.5, 0.5, 0, 0]]


def test_columns_that_are_not_so_many_layers_are_refused_with_what_to_give():
    with pytest.raises(ConfigError, match=r"architecture\.n_layers=5: the feature's 12 columns .* feature\.layers"):
        layer_mix.build(layer_mix.Config(mixing="softmax", n_layers=5), n_features=12, n_labels=4)
