"""Networks that read several inputs, and the many sizes of `streams`."""

import pytest
import torch
from contracts import promise

from sercli import config, plugins
from sercli.contracts import ReadsSeveral
from sercli.errors import ConfigError

ABSENT = promise("The length of an input that an utterance lacks is 0, and what `x` holds there has no influence.")
OPTIONAL = [
    name
    for name in plugins.names("architecture")
    if isinstance(plugin := plugins.architecture(name), ReadsSeveral) and plugin.OPTIONAL
]


def streams(n_features, **values):
    plugin = plugins.architecture("streams")
    torch.manual_seed(0)
    return plugin.build(config.build(plugin.Config, values, "architecture"), n_features, 4)


def inputs(*n_features):
    lengths = torch.tensor([30, 7, 1])
    return [tensor for n in n_features for tensor in (torch.randn(3, 30, n), lengths)]


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_input_that_is_absent_has_no_influence_and_the_others_have(name):
    plugin = plugins.architecture(name)
    module = plugin.build(plugin.Config(), (5, 6, 7), 4).eval()
    given = inputs(5, 6, 7)
    given[3] = torch.tensor([30, 0, 0])
    with torch.inference_mode():
        scores = module(*given)
        given[2] = torch.cat([given[2][:1], 100 * torch.randn(2, 30, 6)])
        assert torch.equal(module(*given), scores), ABSENT
        given[4] = given[4] + 1
        assert not torch.isclose(module(*given), scores).any(), ABSENT
    module.train()(*given).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters()), ABSENT


def test_training_drops_inputs_but_never_all_of_an_utterance():
    module = streams((2, 3), drop_inputs=0.9).train()
    left = torch.stack([module._there(torch.tensor([[9] * 8, [4] * 8])) for _ in range(50)])
    assert (left == 0).any()
    assert left.any(dim=1).all()
    assert torch.equal(module.eval()._there(torch.tensor([[9], [4]])), torch.tensor([[9], [4]]))


@pytest.mark.parametrize(
    "values",
    [
        {"cell": ["gru"], "pooling": ["last"]},
        {"dense": [[8, 8]], "pooling": ["local"]},
        {"filters": [[4, 5]], "kernel": [[3, 3]], "stride": [[2, 2]], "cell": ["none"], "pooling": ["mean"]},
        {"filters": [[6]], "kernel": [[9, 0]], "stride": [[3, 1]], "cell": ["none"], "pooling": ["max"]},
        {"filters": [[4], []], "pooling": ["attention", "first"], "fc_size": [5]},
    ],
)
@torch.inference_mode()
def test_padding_has_no_influence_whatever_the_encoder(values):
    module = streams((5, 6), **values).eval()
    given = inputs(5, 6)
    together, weights = module.attend(*given)
    for row, length in enumerate((30, 7, 1)):
        alone = [tensor[row : row + 1] for tensor in given]
        alone[::2] = [x[:, :length] for x in alone[::2]]
        assert torch.allclose(module.attend(*alone)[0], together[row], atol=1e-5)
    for found in weights:
        if found is not None:
            assert torch.allclose(found.sum(dim=1), torch.ones(3))
            assert not found[1, 7:].any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"cell": ["gru", "lstm", "none"]},
            r"architecture\.cell has 3 entries for 2 inputs; give one for each, or one",
        ),
        ({"kernel": [[4, 3]]}, r"architecture\.kernel=\[\[4, 3\]\]: give odd numbers, or 0 for all features"),
        ({"stride": [[2]]}, r"architecture\.stride=\[\[2\]\]: give each two numbers: frames, features"),
        ({"pooling": ["first"]}, r"architecture\.pooling: 'first' is the embedding of the first input"),
    ],
)
def test_sizes_that_fit_no_network_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        streams((5, 6), **values)
