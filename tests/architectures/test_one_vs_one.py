from itertools import combinations

import numpy as np
import pytest
import torch

from sercli.architectures import one_vs_one

X, LENGTHS = torch.randn(3, 10, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([10, 4, 1])


def network(n_labels=4):
    torch.manual_seed(0)
    return one_vs_one.build(one_vs_one.Config(), 5, n_labels).eval()


def test_there_is_a_line_for_each_pair_of_classes():
    assert network(4).encode(X, LENGTHS).shape == (3, 6)
    assert network(2).encode(X, LENGTHS).shape == (3, 1)


def test_how_loud_the_frames_are_has_no_influence():
    module = network()
    torch.testing.assert_close(module(7 * X, LENGTHS), module(X, LENGTHS))


def test_two_classes_have_the_probability_of_their_line():
    module = network(2)
    for_first = torch.sigmoid(module.encode(X, LENGTHS)[:, 0])
    torch.testing.assert_close(torch.softmax(module(X, LENGTHS), dim=1)[:, 0], for_first)


def test_pairs_that_agree_give_the_scores_that_they_come_from():
    module, scores = network(), torch.tensor([[0.5, -1.0, 2.0, 0.3]])
    odds = torch.stack([scores[:, a] - scores[:, b] for a, b in combinations(range(4), 2)], dim=1)
    torch.testing.assert_close(torch.softmax(module.classifier(odds), 1), torch.softmax(scores, 1))


def test_a_line_learns_from_its_two_classes_alone():
    module = network(3)
    module.loss(torch.eye(3)[[0, 1, 0]], X, LENGTHS).backward()
    rows = module.lines.weight.grad.abs().sum(dim=1)
    assert (rows > 0).tolist() == [True, True, True]  # 0-1, and each of the two against 2
    module.zero_grad()
    module.loss(torch.eye(3)[[0, 0, 0]], X, LENGTHS).backward()
    rows = module.lines.weight.grad.abs().sum(dim=1)
    assert (rows > 0).tolist() == [True, True, False]  # 1-2 has nothing to learn from class 0


def test_the_loss_is_the_mean_cross_entropy_of_the_pairs():
    module = network(3)
    odds = module.encode(X, LENGTHS)
    truth = torch.tensor([0, 1, 2])
    expected = []
    for row, k in zip(odds, truth, strict=True):
        for value, (a, b) in zip(row, combinations(range(3), 2), strict=True):
            if k in (a, b):
                expected.append(torch.nn.functional.softplus(-value if k == a else value) / 2)
    found = module.loss(torch.nn.functional.one_hot(truth, 3).float(), X, LENGTHS)
    torch.testing.assert_close(found, torch.stack(expected).sum() / 3)


@pytest.mark.parametrize("n_labels", [2, 4, 8])
def test_the_sums_of_pairs_are_not_trained(n_labels):
    assert {name for name, p in network(n_labels).named_parameters() if p.requires_grad} == {
        "lines.weight",
        "lines.bias",
    }


def test_what_differs_most_within_the_classes_is_taken_out():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    where = rng.choice([-4.0, 4.0], 80)  # which of two rooms, in the second column; the class is in the first
    means = rng.normal(0, 0.3, (80, 5)) + np.outer(2 * y - 1, [1, 0, 0, 0, 0]) + np.outer(where, [0, 1, 0, 0, 0])
    rows = [(mean + rng.normal(0, 0.1, (6, 5))).astype(np.float32) for mean in means]
    module = network(2)
    one_vs_one.start(module, rows, y)
    assert module.removed.shape == (1, 5)
    assert abs(float(module.removed[0, 1])) > 0.8
    torch.testing.assert_close(module.removed.norm(dim=1), torch.ones(1))
    kept = []
    module.input_dropout.register_forward_hook(lambda layer, given, out: kept.append(out))
    module(torch.from_numpy(np.stack(rows)), torch.full((80,), 6))
    torch.testing.assert_close(kept[0] @ module.removed[0], torch.zeros(80), rtol=0, atol=1e-5)
    torch.testing.assert_close(kept[0].norm(dim=1), torch.ones(80))


def test_utterances_fewer_than_directions_and_a_column_that_never_changes_are_no_trouble():
    module = one_vs_one.build(one_vs_one.Config(n_removed=9), 5, 3)
    rows = [np.full((3, 5), [k, 1, -k, 2 * k, 0], np.float32) for k in range(3)]
    one_vs_one.start(module, rows, np.arange(3))
    assert module.scale[1] == 0
    assert module(X, LENGTHS).isfinite().all()
