import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sercli.architectures import lstm

X, LENGTHS = torch.randn(3, 10, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([10, 4, 1])


def network(**values):
    torch.manual_seed(0)
    return lstm.build(lstm.Config(hidden_size=8, **values), n_features=5, n_labels=4).eval()


def packed(module):
    """(B, T, H) states and the last state of each direction, by torch's own packed LSTM with the module's weights."""
    states = pack_padded_sequence(X, LENGTHS, batch_first=True, enforce_sorted=False)
    for layer in module.layers:
        both = layer.backwards is not None
        reference = torch.nn.LSTM(layer.forwards.input_size, 8, batch_first=True, bidirectional=both)
        weights = layer.forwards.state_dict()
        weights |= {f"{key}_reverse": t for key, t in layer.backwards.state_dict().items()} if both else {}
        reference.load_state_dict(weights)
        states, (last, _) = reference(states)
    return pad_packed_sequence(states, batch_first=True)[0], last


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_mean_is_that_of_torchs_packed_lstm_over_real_frames(n_layers, bidirectional):
    module = network(pooling="mean", n_layers=n_layers, bidirectional=bidirectional)
    states, _ = packed(module)  # zero behind each length
    torch.testing.assert_close(module.encode(X, LENGTHS), states.sum(dim=1) / LENGTHS[:, None])


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_last_state_is_that_of_torchs_packed_lstm_in_each_direction(n_layers, bidirectional):
    module = network(pooling="last", n_layers=n_layers, bidirectional=bidirectional)
    _, last = packed(module)
    torch.testing.assert_close(module.encode(X, LENGTHS), torch.cat(list(last), dim=1))


@pytest.mark.parametrize("pooling", ["attention", "mean", "last"])
def test_frames_beyond_the_limit_are_cut(pooling):
    module = network(pooling=pooling, max_frames=4)
    torch.testing.assert_close(module(X, LENGTHS), module(X[:, :4], torch.tensor([4, 4, 1])))


def test_a_fully_connected_layer_sets_the_size_of_the_embedding():
    assert network(fc_size=12).encode(X, LENGTHS).shape == (3, 12)


def test_dropout_acts_in_training_only():
    module = network(dropout=0.5, input_dropout=0.5)
    assert torch.equal(module(X, LENGTHS), module(X, LENGTHS))
    module.train()
    assert not torch.equal(module(X, LENGTHS), module(X, LENGTHS))
