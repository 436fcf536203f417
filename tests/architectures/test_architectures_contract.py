"""What every architecture keeps to, whether it is in the folder or comes with another package."""

import numpy as np
import pytest
import torch
from contracts import promise

from sercli import config, plugins
from sercli.contracts import Network, ReadsSeveral

NAMES = plugins.names("architecture")
LENGTHS = (1, 2, 3, 7, 16, 33, 50, 131)

NETWORK = promise(
    "`build` returns a `torch.nn.Module` with `n_embedding` (E), a linear layer `classifier` from E to K, `encode` and "
    "`forward`, for any number of features and labels."
)
SCORES = promise("`encode` returns (B, E), and `forward` the scores (B, K) of the classifier on it.")
PADDING = promise(
    "Frames beyond a length have no influence: an utterance has the same scores alone and in a batch with longer ones."
)
FINITE = promise("A single frame is enough, and silence has finite scores.")
GRADIENT = promise("The gradient reaches every parameter that has `requires_grad`.")
WEIGHTS = promise(
    "The Config defines the network: weights can be assigned to another network of the same Config, built on torch's "
    "`meta` device. So all its numbers are parameters or buffers that are saved."
)
SEARCH = promise(
    "`SEARCH_SPACE` has fields of the Config, each with a list of choices or with the least and the largest number, "
    "and each changes the network."
)


def built(name, n_features=34, n_labels=4, **values):
    plugin = plugins.architecture(name)
    torch.manual_seed(0)
    return made(plugin, config.build(plugin.Config, values, "architecture"), n_features, n_labels)


def made(plugin, own, n_features, n_labels):
    """A network; one that reads several inputs gets as many of the same number of features as it needs."""
    if isinstance(plugin, ReadsSeveral):
        return plugin.build(own, (n_features,) * (len(plugin.INPUTS) or 2), n_labels)
    return plugin.build(own, n_features, n_labels)


def given(module, x, lengths):
    """The arguments of a network: the same for each of its inputs."""
    return (x, lengths) * getattr(module, "n_inputs", 1)


def settled(module, n_features=34):
    """The module in evaluation mode, with statistics (where it keeps any) that it has seen in training."""
    for _ in range(3):
        module(*given(module, 2 * torch.randn(4, 20, n_features) + 1, torch.tensor([20, 17, 20, 9])))
    return module.eval()


def in_a_batch(rows, n_frames):
    """The rows side by side, with garbage behind each one's length."""
    x = 100 * torch.randn(len(rows), n_frames, rows[0].shape[1])
    for position, row in enumerate(rows):
        x[position, : len(row)] = row
    return x, torch.tensor([len(row) for row in rows])


def size(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n_features", "n_labels"), [(34, 4), (51, 7), (64, 2), (128, 4)])
def test_the_default_configuration_fits_any_number_of_features_and_labels(name, n_features, n_labels):
    module = built(name, n_features, n_labels)
    assert isinstance(module, torch.nn.Module), NETWORK
    assert isinstance(module, Network), NETWORK
    assert module.classifier.weight.shape == (n_labels, module.n_embedding), NETWORK
    x, lengths = torch.randn(3, 20, n_features), torch.tensor([20, 1, 13])
    embedding = module.encode(*given(module, x, lengths))
    assert embedding.shape == (3, module.n_embedding), SCORES
    assert module(*given(module, x, lengths)).shape == (3, n_labels), SCORES


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_the_classifier_of_the_embedding(name):
    module = settled(built(name))
    x, lengths = torch.randn(2, 9, 34), torch.tensor([9, 4])
    assert torch.allclose(
        module(*given(module, x, lengths)), module.classifier(module.encode(*given(module, x, lengths))), atol=1e-5
    ), SCORES


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_an_utterance_scores_the_same_alone_and_before_garbage_in_a_longer_batch(name):
    module = settled(built(name))
    rows = [torch.randn(length, 34) for length in LENGTHS]
    together = module(*given(module, *in_a_batch(rows, n_frames=140)))
    alone = torch.cat([module(*given(module, row[None], torch.tensor([len(row)]))) for row in rows])
    assert torch.allclose(together, alone, rtol=0, atol=1e-5), PADDING
    assert together.std(dim=0).min() > 1e-3, "scores that never change would pass anything"


@pytest.mark.parametrize("name", NAMES)
def test_a_single_frame_is_enough(name):
    module = built(name).train()
    scores = module(*given(module, torch.randn(1, 1, 34), torch.tensor([1])))
    scores.sum().backward()
    assert scores.isfinite().all(), FINITE
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters()), FINITE


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_reaches_every_parameter_that_is_trained(name):
    module = built(name)
    scores = module(*given(module, torch.randn(8, 40, 34), torch.tensor([40, 3, 25, 9, 31, 40, 18, 12])))
    torch.nn.functional.cross_entropy(scores, torch.arange(8) % 4).backward()
    trained = {key: p.grad for key, p in module.named_parameters() if p.requires_grad}
    assert trained, GRADIENT
    assert [key for key, gradient in trained.items() if gradient is None or not gradient.any()] == [], GRADIENT


@pytest.mark.parametrize("name", NAMES)
def test_silence_has_finite_scores(name):
    module = settled(built(name))
    assert module(*given(module, torch.zeros(2, 12, 34), torch.tensor([12, 5]))).isfinite().all(), FINITE


@pytest.mark.parametrize("name", NAMES)
def test_weights_move_to_another_module_of_the_same_configuration(name):
    first = settled(built(name))
    with torch.device("meta"):
        second = built(name).eval()
    second.load_state_dict(first.state_dict(), assign=True)
    assert not any(tensor.is_meta for tensor in (*second.parameters(), *second.buffers())), WEIGHTS
    x, lengths = torch.randn(2, 9, 34), torch.tensor([9, 4])
    assert torch.equal(first(*given(first, x, lengths)), second(*given(first, x, lengths))), WEIGHTS


@pytest.mark.parametrize("name", NAMES)
def test_every_draw_from_the_search_space_is_a_network(name):
    space = plugins.architecture(name).SEARCH_SPACE
    rng = np.random.default_rng(0)
    for _ in range(8):
        module = built(name, **{key: values[rng.integers(len(values))] for key, values in space.items()})
        assert module(*given(module, torch.randn(2, 5, 34), torch.tensor([5, 3]))).shape == (2, 4), SEARCH


@pytest.mark.parametrize("name", NAMES)
def test_every_searched_parameter_acts_on_the_network(name):
    for key, (first, *others) in plugins.architecture(name).SEARCH_SPACE.items():
        was = built(name, **{key: first})
        for value in others:
            now = built(name, **{key: value})
            assert (size(now), repr(now)) != (size(was), repr(was)), f"{SEARCH} {key} does not."
