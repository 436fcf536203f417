import pytest
import torch

from sercli.architectures import layer_mix
from sercli.architectures._layers import frame_weights
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
    assert module.attend(torch.randn(2, 4, 12), torch.tensor([4, 2]))[1] is None
    x, lengths = torch.randn(2, 4, 12), torch.tensor([4, 2])
    assert frame_weights(None, x, lengths).tolist() == [[0.25] * 4, [0.5, 0.5, 0, 0]]
    short = module.hidden(module._mixed(x[1:, :2])).mean(dim=1)
    torch.testing.assert_close(module.encode(x, lengths)[1:, :8], short)


def heads(module):
    """Networks of one head each, with the weights of the heads of an ensemble."""
    size, wide = module.config.n_hidden, module.n_embedding // module.config.n_members
    for n, attention in enumerate(module.attentions):
        alone = network(mixing="concat", dropout=0.0, input_dropout=0.0)
        alone.hidden[0].weight.data = module.hidden[0].weight.data[n * size : (n + 1) * size]
        alone.hidden[0].bias.data = module.hidden[0].bias.data[n * size : (n + 1) * size]
        alone.attentions[0].load_state_dict(attention.state_dict())
        alone.classifier.weight.data = module.classifier.weight.data[:, n * wide : (n + 1) * wide]
        alone.classifier.bias = module.classifier.bias
        yield alone


def test_an_ensemble_gives_the_mean_of_its_heads_scores_and_learns_by_the_mean_of_their_losses():
    module = network(mixing="concat", n_members=3)
    x, lengths, targets = torch.randn(5, 9, 12), torch.tensor([9, 4, 7, 1, 9]), torch.eye(4)[[0, 1, 2, 3, 1]]
    alone = list(heads(module))
    scores = torch.stack([head(x, lengths) for head in alone])
    torch.testing.assert_close(module(x, lengths), scores.mean(dim=0))
    losses = torch.stack([head.loss(targets, x, lengths) for head in alone])
    torch.testing.assert_close(module.loss(targets, x, lengths), losses.mean())
    weights = torch.stack([head.attend(x, lengths)[1] for head in alone])
    torch.testing.assert_close(module.attend(x, lengths)[1], weights.mean(dim=0))


@pytest.mark.parametrize("mixing", ["concat", "softmax"])
def test_heads_of_an_ensemble_share_nothing_but_the_bias_and_the_mixture(mixing):
    module = network(mixing=mixing, n_members=2)
    x, lengths, targets = torch.randn(3, 6, 12), torch.tensor([6, 4, 5]), torch.eye(4)[:3]

    def slopes():
        module.zero_grad()
        module.loss(targets, x, lengths).backward()
        hidden, classifier = module.hidden[0], module.classifier
        own = [hidden.weight.grad[:8], hidden.bias.grad[:8], classifier.weight.grad[:, :16]]
        own += [weight.grad for weight in module.attentions[0].parameters()]
        common = [classifier.bias.grad, *([] if module.mixture is None else [module.mixture.grad])]
        return [slope.clone() for slope in own], [slope.clone() for slope in common]

    own, common = slopes()
    module.hidden[0].weight.data[8:] += 1
    module.classifier.weight.data[:, 16:] -= 1
    own_then, common_then = slopes()
    torch.testing.assert_close(own_then, own)
    assert not any(map(torch.equal, common_then, common))


def test_the_loss_of_one_head_is_the_cross_entropy_of_its_scores():
    module = network()
    x, lengths, targets = torch.randn(3, 6, 12), torch.tensor([6, 4, 5]), torch.softmax(torch.randn(3, 4), dim=1)
    expected = torch.nn.functional.cross_entropy(module(x, lengths), targets)
    torch.testing.assert_close(module.loss(targets, x, lengths), expected)


def test_columns_that_cannot_be_divided_into_layers_are_refused_with_what_to_set():
    with pytest.raises(
        ConfigError, match=r"architecture\.n_layers=5: the 12 columns of the feature .* feature\.layers"
    ):
        layer_mix.build(layer_mix.Config(mixing="softmax", n_layers=5), n_features=12, n_labels=4)
