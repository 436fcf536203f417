import torch

from sercli.architectures import conv_attention
from sercli.architectures._layers import MaskedBatchNorm2d, time_mask, weighted_mean, weighted_std


def network(**values):
    torch.manual_seed(0)
    return conv_attention.build(conv_attention.Config(n_filters=4, **values), n_features=34, n_labels=4).eval()


def test_each_block_doubles_the_filters_and_the_embedding_is_mean_and_deviation_of_the_last():
    module = network(n_blocks=3)
    assert [block.convolution.out_channels for block in module.blocks] == [4, 8, 16]
    assert module.encode(torch.randn(2, 20, 34), torch.tensor([20, 9])).shape == (2, 2 * 16)


def test_frames_beyond_the_limit_are_cut():
    module = network(max_frames=6)
    x = torch.randn(2, 20, 34)
    torch.testing.assert_close(module(x, torch.tensor([20, 3])), module(x[:, :6], torch.tensor([6, 3])))


def test_a_recording_may_be_shorter_than_the_blocks_halve_it():
    module = network(n_blocks=5)
    assert module(torch.randn(2, 3, 34), torch.tensor([3, 1])).isfinite().all()


def test_the_last_frame_of_an_odd_length_counts():
    module, masks = network(n_blocks=2), []
    module.attention.register_forward_hook(lambda attention, given, weights: masks.append(given[1]))
    module(torch.randn(4, 9, 34), torch.tensor([9, 5, 4, 1]))
    assert masks[0].sum(dim=1).tolist() == [3, 2, 1, 1]  # 9 -> 5 -> 3, 5 -> 3 -> 2, 4 -> 2 -> 1, 1 -> 1 -> 1


def test_the_statistics_of_equal_weights_are_those_of_the_real_frames():
    states = torch.randn(2, 7, 3, dtype=torch.float64)
    lengths = torch.tensor([7, 4])
    weights = time_mask(lengths, 7).double() / lengths[:, None]
    mean = weighted_mean(states, weights)
    deviation = weighted_std(states, weights, mean)
    for row, length in enumerate(lengths):
        real = states[row, :length]
        torch.testing.assert_close(mean[row], real.mean(dim=0))
        torch.testing.assert_close(deviation[row], real.std(dim=0, correction=0), rtol=1e-4, atol=1e-4)


def test_the_deviation_of_a_single_frame_has_a_finite_gradient():
    states = torch.randn(1, 1, 3, requires_grad=True)
    weights = torch.ones(1, 1)
    weighted_std(states, weights, weighted_mean(states, weights)).sum().backward()
    assert states.grad.isfinite().all()


def test_normalising_in_training_is_torchs_over_the_real_frames_of_all_utterances():
    ours, torchs = MaskedBatchNorm2d(3).train(), torch.nn.BatchNorm2d(3).train()
    x, lengths = 5 * torch.randn(3, 3, 9, 4) + 2, torch.tensor([9, 2, 5])
    mask = time_mask(lengths, 9)
    together = torch.cat([row[:, :length] for row, length in zip(x, lengths, strict=True)], dim=1)  # (C, 16, F)
    expected = torchs(together[None])[0]
    normal = ours(x, mask)
    found = torch.cat([row[:, :length] for row, length in zip(normal, lengths, strict=True)], dim=1)
    torch.testing.assert_close(found, expected)
    assert (normal.transpose(1, 2)[~mask] == 0).all()
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict())


def test_normalising_in_evaluation_is_torchs_with_the_same_running_statistics():
    ours, torchs = MaskedBatchNorm2d(3), torch.nn.BatchNorm2d(3)
    x, mask = 5 * torch.randn(2, 3, 9, 4) + 2, time_mask(torch.tensor([9, 4]), 9)
    ours(x, mask)
    torchs.load_state_dict(ours.state_dict())
    expected = torchs.eval()(x).transpose(1, 2)
    assert torch.equal(ours.eval()(x, mask).transpose(1, 2)[mask], expected[mask])


def test_padding_plays_no_part_in_training():
    close, wide = network(block_dropout=0.0, dropout=0.0).train(), network(block_dropout=0.0, dropout=0.0).train()
    x, lengths = torch.randn(4, 21, 34), torch.tensor([21, 3, 16, 9])
    padded = torch.cat([x, 100 * torch.randn(4, 50, 34)], dim=1)
    torch.testing.assert_close(wide(padded, lengths), close(x, lengths), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(wide.state_dict(), close.state_dict())
    (statistics,) = {int(block.norm.num_batches_tracked) for block in wide.blocks}
    assert statistics == 1, "the statistics that were compared were measured"
