"""Linear layers by oneDNN compute what torch's do."""

import time

import pytest
import torch
from torch.nn import functional as F

from condetr.cpu import linear
from condetr.cpu.available import without_private_operators
from condetr.cpu.linear import Linear, fused_linear
from tests.cpu.gradients import assert_same


@pytest.fixture
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN for small layers, too, so that the tests can be small."""
    monkeypatch.setattr(linear, "LARGE", 0)
    monkeypatch.setattr(linear, "LARGE_IN_TRAINING", 0)


@pytest.mark.skipif(not linear._usable(torch.float32), reason="needs torch's private operators")
def test_only_large_layers_use_onednn():
    x = torch.randn(5, 512)
    large, small = Linear(512, 512)(x), Linear(512, 511)(x)
    assert "Linear" in type(large.grad_fn).__name__
    assert "Addmm" in type(small.grad_fn).__name__


@pytest.mark.usefixtures("every_size")
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


@pytest.mark.parametrize("shape", [(7, 2), (3, 2, 7, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_a_layer_with_few_inputs_has_rows_of_its_outputs(shape: tuple[int, ...], dtype: torch.dtype):
    torch.manual_seed(0)
    ours, theirs = Linear(2, 40, dtype=dtype), torch.nn.Linear(2, 40, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    x, weight = torch.randn(shape, dtype=dtype, requires_grad=True), torch.randn(*shape[:-1], 40, dtype=dtype)
    for layer in (ours, theirs):
        (layer(x) * weight).sum().backward()
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def test_a_layer_with_few_inputs_is_faster_in_training_than_torchs():
    ours, theirs, x = Linear(2, 64), torch.nn.Linear(2, 64), torch.randn(8000, 2)

    def seconds(layer: torch.nn.Module) -> float:
        y = layer(x)
        start = time.process_time()
        y.backward(y)
        return time.process_time() - start

    pairs = [(seconds(ours), seconds(theirs)) for _ in range(15)]
    assert min(pair[0] for pair in pairs) < 0.8 * min(pair[1] for pair in pairs)


@pytest.mark.usefixtures("every_size")
def test_rows_with_gaps_between_them_take_no_longer():
    """oneDNN has no fast kernel for a transposed matrix with gaps: the backward pass copies it first."""
    layer, g = Linear(64, 64), torch.randn(500, 64)

    def seconds(x: torch.Tensor) -> float:
        y, start = layer(x), time.process_time()
        y.backward(g)
        return time.process_time() - start

    whole, part = torch.randn(500, 64, requires_grad=True), torch.randn(500, 128, requires_grad=True)
    pairs = [(seconds(whole), seconds(part[:, :64])) for _ in range(5)]
    assert min(gaps for _, gaps in pairs) < 10 * min(plain for plain, _ in pairs)


@pytest.mark.usefixtures("every_size")
def test_public_operators_alone_give_the_same_gradients():
    torch.manual_seed(0)
    layer, x = Linear(24, 40), torch.randn(5, 24, requires_grad=True)
    with without_private_operators():
        expected = layer(x)
    assert_same(layer(x), expected, (x, layer.weight, layer.bias))


@pytest.mark.usefixtures("every_size")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_relu_in_the_same_pass_is_a_relu(bias: bool, dtype: torch.dtype):
    torch.manual_seed(0)
    x, weight, shift = torch.randn(5, 24).to(dtype), torch.randn(40, 24).to(dtype), torch.randn(40).to(dtype)
    for after, expected in (("none", F.linear), ("relu", lambda *given: F.linear(*given).relu())):
        with torch.no_grad():
            found = fused_linear(x, weight, shift if bias else None, after)
        torch.testing.assert_close(found, expected(x, weight, shift if bias else None))
