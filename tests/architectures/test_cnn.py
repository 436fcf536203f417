import pytest
import torch

from sercli import config
from sercli.architectures import cnn
from sercli.errors import ConfigError

ORIGINAL = cnn.Config()


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_the_default_is_the_original_four_convolutions_of_eight_filters_and_a_linear_layer():
    module = cnn.build(ORIGINAL, n_features=128, n_labels=4)
    first, further = 8 * (1 * 3 * 3) + 8, 8 * (8 * 3 * 3) + 8
    flattened = 8 * (128 // 2**4) ** 2
    assert module.n_embedding == flattened == 512
    assert size(module) == first + 3 * further + flattened * 4 + 4 == 3884


def test_a_short_picture_is_filled_up_with_zeros():
    module = cnn.build(ORIGINAL, 34, 4).eval()
    x = torch.randn(2, 50, 34)
    filled = torch.cat([x, torch.zeros(2, 78, 34)], dim=1)
    assert torch.equal(module(x, torch.tensor([50, 50])), module(filled, torch.tensor([128, 128])))


def test_what_lies_behind_the_picture_is_cut():
    module = cnn.build(cnn.Config(n_frames=16), 34, 4).eval()
    x = torch.randn(1, 40, 34)
    assert torch.equal(module(x, torch.tensor([40])), module(x[:, :16], torch.tensor([16])))


def test_a_fully_connected_layer_sets_the_size_of_the_embedding():
    module = cnn.build(cnn.Config(fc_size=64), 128, 4)
    assert module.n_embedding == 64
    assert size(module) == 3884 - (512 * 4 + 4) + (512 * 64 + 64) + (64 * 4 + 4)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n_blocks", [1, 3, 9])
def test_any_kernel_and_depth_fit_together_with_the_flattened_size(kernel, n_blocks):
    module = cnn.build(cnn.Config(n_frames=21, n_blocks=n_blocks, kernel=kernel), 34, 4)
    assert module(torch.randn(2, 30, 34), torch.tensor([30, 5])).shape == (2, 4)


def test_a_negative_width_is_refused():
    with pytest.raises(ConfigError, match=r"architecture.fc_size=-1: .*>= 0"):
        config.build(cnn.Config, {"fc_size": "-1"}, "architecture")
