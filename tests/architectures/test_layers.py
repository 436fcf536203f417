import pytest
import torch

from sercli.architectures._layers import FastDropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_leaves_out_the_given_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    dropped = FastDropout(p)(torch.ones(301, 333))
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=0.01)
    assert float(dropped.max()) == pytest.approx(1 / (1 - p))
    assert float(dropped.mean()) == pytest.approx(1, abs=0.03)


def test_dropout_follows_from_the_seed_and_does_nothing_in_evaluation():
    x, dropout = torch.ones(7, 5), FastDropout(0.5)
    torch.manual_seed(1)
    first = dropout(x)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(dropout(x), first)
    assert torch.equal(dropout.eval()(x), x)
