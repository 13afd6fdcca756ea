"""Dropout drops with the probability given, keeps the mean, and repeats with torch's seed."""

import pytest
import torch

from condetr.cpu.available import without_private_operators
from condetr.cpu.dropout import Dropout, ReLUDropout, dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_has_its_probability_keeps_the_mean_and_repeats_with_the_seed(p: float):
    torch.manual_seed(0)
    x = torch.ones(1001, 999, requires_grad=True)
    y = dropout(x, p)
    assert abs((y == 0).float().mean() - p) < 0.002
    assert abs(y.mean() - 1) < 0.01
    assert y.unique().tolist() == [0, pytest.approx(1 / (1 - p), rel=1e-3)]
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, y.detach())
    torch.manual_seed(0)
    assert torch.equal(dropout(x, p), y)
    assert not torch.equal(dropout(x, p), y)
    columns = (y == 0).float()
    neighbours = torch.corrcoef(torch.stack([columns[:, :-1].flatten(), columns[:, 1:].flatten()]))[0, 1]
    assert abs(neighbours) < 0.01  # four numbers share a draw of 64 bits, and are independent nevertheless


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_public_operators_alone_draw_the_same_mask(dtype: torch.dtype):
    x = torch.randn(301, 99, dtype=dtype, requires_grad=True)
    for layer in (Dropout(0.3), ReLUDropout(0.3)):
        torch.manual_seed(0)
        found = layer(x)
        with without_private_operators():
            torch.manual_seed(0)
            expected = layer(x)
            assert torch.equal(found, expected)
            gradients = [torch.autograd.grad(y.sum(), x)[0] for y in (found, expected)]
        assert found.dtype == dtype
        assert torch.equal(*gradients)


def test_a_relu_and_dropout_in_one_are_both():
    torch.manual_seed(0)
    x = torch.randn(301, 99, requires_grad=True)
    both = ReLUDropout(0.3)
    y = both(x)
    assert torch.equal(y[x <= 0], torch.zeros_like(y[x <= 0]))
    assert 0.27 < (y[x > 0] == 0).float().mean() < 0.33
    factor = (y > 0) / (1 - round(0.3 * 65536) / 65536)
    torch.testing.assert_close(y, x * factor)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, factor)
    assert torch.equal(both.eval()(x), x.relu())


def test_nothing_is_dropped_in_evaluation_or_with_probability_zero():
    x = torch.ones(10, 10)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
