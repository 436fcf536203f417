"""The attention that networks tell of, whichever network it is."""

import pytest
import torch

from sercli import config, plugins
from sercli.architectures._layers import spread

LENGTHS = torch.tensor([1, 2, 7, 16, 33, 50])
ATTENTIVE = [("lstm", {}), ("lstm", {"max_frames": 20}), ("lstm", {"fc_size": 8}), ("conv-attention", {})]
ATTENTIVE += [("conv-attention", {"max_frames": 21}), ("conv-attention", {"n_blocks": 2}), ("layer-mix", {})]
INATTENTIVE = [("cnn", {}), ("lstm", {"pooling": "last"}), ("lstm", {"pooling": "mean"})]
INATTENTIVE += [("layer-mix", {"pooling": "mean"})]


def built(name, values):
    plugin = plugins.load("architecture", name)
    torch.manual_seed(0)
    return plugin.build(config.build(plugin.Config, values, "architecture"), 34, 4).eval()


def asked(module, n_frames=60):
    torch.manual_seed(1)
    x = torch.randn(len(LENGTHS), n_frames, 34)
    return x, *module.attend(x, LENGTHS)


@pytest.mark.parametrize(("name", "values"), ATTENTIVE)
@torch.inference_mode()
def test_attention_has_a_weight_for_each_frame_and_sums_to_one_over_the_real_ones(name, values):
    x, _, weights = asked(built(name, values))
    heard = LENGTHS.clamp(max=values.get("max_frames", 60))
    assert weights.shape == x.shape[:2]
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(LENGTHS)))
    behind = torch.arange(60)[None] >= heard[:, None]
    assert (weights[behind] == 0).all()
    assert (weights[~behind] > 0).all()
    assert weights[-1, : heard[-1]].std() > 1e-5, "weights that are all alike would pass anything"


@pytest.mark.parametrize(("name", "values"), INATTENTIVE)
@torch.inference_mode()
def test_a_network_without_attention_says_so(name, values):
    module = built(name, values)
    x, embedding, weights = asked(module)
    assert weights is None
    torch.testing.assert_close(embedding, module.encode(x, LENGTHS))


@pytest.mark.parametrize(("name", "values"), ATTENTIVE)
@torch.inference_mode()
def test_the_embedding_beside_the_attention_is_that_of_encode(name, values):
    module = built(name, values)
    x, embedding, _ = asked(module)
    assert torch.equal(embedding, module.encode(x, LENGTHS))


@pytest.mark.parametrize(("name", "values"), ATTENTIVE)
@torch.inference_mode()
def test_the_attention_of_an_utterance_is_the_same_alone_and_in_a_batch(name, values):
    module = built(name, values)
    x, _, weights = asked(module)
    for row, length in enumerate(LENGTHS):
        _, alone = module.attend(x[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], weights[row, :length], rtol=1e-4, atol=1e-6)


@torch.inference_mode()
def test_the_mean_under_the_weights_of_an_lstm_is_its_embedding():
    module = built("lstm", {})
    x, embedding, weights = asked(module)
    states = module.layers[0](x, LENGTHS)
    torch.testing.assert_close(torch.einsum("bth,bt->bh", states, weights), embedding)


def test_a_frame_counts_as_the_moment_does_that_it_is_of():
    weights = spread(torch.tensor([[0.6, 0.4], [0.7, 0.3], [0.5, 0.5]]), torch.tensor([8, 3, 5]), n_frames=8, step=4)
    expected = [[0.15] * 4 + [0.1] * 4, [1 / 3] * 3 + [0] * 5, [0.2] * 5 + [0] * 3]
    torch.testing.assert_close(weights, torch.tensor(expected))
