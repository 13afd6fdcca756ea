"""Linear layers by oneDNN compute what torch's do."""

import pytest
import torch
from torch.nn import functional as F

from condetr.cpu.available import without_private_operators
from condetr.cpu.linear import Linear, fused_linear
from tests.cpu.gradients import assert_same


@pytest.mark.parametrize("shape", [(7, 24), (2, 7, 24), (3, 2, 7, 24)])
def test_values_and_gradients_are_those_of_torch(shape: tuple[int, ...]):
    torch.manual_seed(0)
    ours, theirs = Linear(24, 40), torch.nn.Linear(24, 40)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape).transpose(0, -2).contiguous().transpose(0, -2).requires_grad_()
    weight = torch.randn(*shape[:-1], 40)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    found = torch.autograd.grad((ours(x) * weight).sum(), (x, ours.weight, ours.bias))
    expected = torch.autograd.grad((theirs(x) * weight).sum(), (x, theirs.weight, theirs.bias))
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-5)


def test_public_operators_alone_give_the_same_gradients():
    torch.manual_seed(0)
    layer, x = Linear(24, 40), torch.randn(5, 24, requires_grad=True)
    with without_private_operators():
        expected = layer(x)
    assert_same(layer(x), expected, (x, layer.weight, layer.bias))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_relu_in_the_same_pass_is_a_relu(bias: bool, dtype: torch.dtype):
    torch.manual_seed(0)
    x, weight, shift = torch.randn(5, 24).to(dtype), torch.randn(40, 24).to(dtype), torch.randn(40).to(dtype)
    for after, expected in (("none", F.linear), ("relu", lambda *given: F.linear(*given).relu())):
        with torch.no_grad():
            found = fused_linear(x, weight, shift if bias else None, after)
        torch.testing.assert_close(found, expected(x, weight, shift if bias else None))
