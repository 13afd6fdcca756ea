"""Convolutions by oneDNN compute what torch's do."""

import pytest
import torch
from torch.nn import functional as F

from condetr.cpu.available import without_private_operators
from condetr.cpu.convolution import Geometry, add_convolution_, fused_convolution
from condetr.model.norms import FrozenBatchNorm
from condetr.model.resnet import convolution
from tests.cpu.gradients import assert_same

KERNELS = [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2)]  # size, stride, dilation


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("processor", ["AVX2", "AVX512"])  # each has its own way to the gradient of a weight
@pytest.mark.parametrize(("kernel", "stride", "dilation"), KERNELS)
def test_a_norm_scales_its_convolution_and_the_gradients(
    kernel: int, stride: int, dilation: int, processor: str, public: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: processor)
    monkeypatch.setenv("CONDETR_PUBLIC_OPERATORS_ONLY", str(int(public)))
    torch.manual_seed(0)
    conv, norm = convolution(6, 8, kernel, stride, dilation), FrozenBatchNorm(8)
    for name, value in norm.named_buffers():
        value.uniform_(0.5, 2.0) if name != "bias" else value.normal_()
    x = torch.randn(2, 6, 13, 9).contiguous(memory_format=torch.channels_last).requires_grad_()
    plain = F.batch_norm(conv(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-5)
    assert_same(norm.after(conv, x), plain, (x, conv.weight))


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), KERNELS)
def test_what_follows_in_the_same_pass_is_what_follows(
    kernel: int, stride: int, dilation: int, public: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CONDETR_PUBLIC_OPERATORS_ONLY", str(int(public)))
    torch.manual_seed(0)
    conv, bias = convolution(6, 8, kernel, stride, dilation), torch.randn(8)
    given = (conv.weight.detach().contiguous(memory_format=torch.channels_last), bias, Geometry.of(conv))
    x = torch.randn(2, 6, 13, 9).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        plain = conv(x) + bias[:, None, None]
        torch.testing.assert_close(fused_convolution(x, *given, "none"), plain, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(fused_convolution(x, *given, "relu"), plain.relu(), atol=1e-5, rtol=1e-5)
        shortcut = torch.randn_like(plain)
        expected = (shortcut + plain).relu()
        found = add_convolution_(shortcut, x, *given)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert found.data_ptr() == shortcut.data_ptr()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 4)])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3])
def test_maps_of_any_size_are_added_in_bfloat16(size: tuple[int, int], batch: int, kernel: int):
    """Of a single cell, too, whose memory is channels first and last at the same time."""
    torch.manual_seed(0)
    conv, bias = convolution(6, 8, kernel), torch.randn(8)
    x, shortcut = (torch.randn(batch, channels, *size) for channels in (6, 8))
    with torch.no_grad():
        expected = (shortcut + conv(x) + bias[:, None, None]).relu()
        last = [
            one.detach().bfloat16().contiguous(memory_format=torch.channels_last) for one in (shortcut, x, conv.weight)
        ]
        found = add_convolution_(*last, bias.bfloat16(), Geometry.of(conv))
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)


def test_public_operators_are_used_where_the_private_ones_are_switched_off(monkeypatch: pytest.MonkeyPatch):
    """The switch reaches the kernels: a private one that would fail is not called."""

    def fail(*given: object) -> None:
        raise AssertionError("a private operator was called")

    conv = convolution(6, 8, 3)
    x = torch.randn(1, 6, 5, 5)
    monkeypatch.setattr("condetr.cpu.convolution._backward", fail)
    with without_private_operators():
        FrozenBatchNorm(8).after(conv, x).sum().backward()
    assert conv.weight.grad is not None
