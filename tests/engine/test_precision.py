"""fp16: steps whose gradients overflow are skipped, the scale adapts, and it survives a resumed run."""

import pytest
import torch
from torch import nn

from condetr.engine.precision import BFloat16, Float16, Float32, precision

CPU = torch.device("cpu")


def layer_and_optimizer():
    torch.manual_seed(0)
    layer = nn.Linear(2, 1)
    return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)


def step(half: Float16, layer: nn.Module, optimizer: torch.optim.Optimizer, gradient: float = 1.0) -> bool:
    optimizer.zero_grad()
    half.backward(layer(torch.ones(1, 2)).sum() * gradient)
    half.unscale(optimizer)
    return half.step(optimizer)


def test_the_loss_is_scaled_and_the_gradients_are_not():
    layer, optimizer = layer_and_optimizer()
    half = Float16(CPU)
    half.backward(layer(torch.ones(1, 2)).sum())
    assert torch.equal(layer.weight.grad, torch.full((1, 2), 2.0**16))
    half.unscale(optimizer)
    assert torch.equal(layer.weight.grad, torch.ones(1, 2))


def test_an_overflow_skips_the_step_and_halves_the_scale():
    layer, optimizer = layer_and_optimizer()
    half, before = Float16(CPU), layer.weight.detach().clone()
    assert half.may_overflow
    assert not step(half, layer, optimizer, torch.inf)
    assert torch.equal(layer.weight, before)
    assert half.state()["scale"] == 2.0**15
    assert step(half, layer, optimizer)
    assert not torch.equal(layer.weight, before)


def test_below_a_scale_of_one_an_infinite_gradient_is_not_an_overflow():
    half = Float16(CPU)
    half.resume({"scale": 0.5})
    assert not half.may_overflow


def test_the_scale_grows_after_many_steps_without_overflow():
    layer, optimizer = layer_and_optimizer()
    half = Float16(CPU)
    half.resume({"scale": 8.0, "_growth_tracker": 1999})
    assert step(half, layer, optimizer)
    assert half.state()["scale"] == 16.0


@pytest.mark.parametrize("old", [False, True])
def test_a_resumed_scale_continues_bit_by_bit(old):
    """Also from a state that was written before the scaler was torch's: {scale, good}."""
    runs = [(*layer_and_optimizer(), Float16(CPU)) for _ in range(2)]
    gradients = [1.0, torch.inf, 1.0, 1.0]
    for gradient in gradients:
        step(runs[0][2], *runs[0][:2], gradient)
    for gradient in gradients[:3]:
        step(runs[1][2], *runs[1][:2], gradient)
    layer, optimizer, half = runs[1]
    saved = half.state()
    resumed = Float16(CPU)
    resumed.resume({"scale": saved["scale"], "good": saved["_growth_tracker"]} if old else saved)
    step(resumed, layer, optimizer, gradients[3])
    assert resumed.state() == runs[0][2].state()
    assert torch.equal(layer.weight, runs[0][0].weight)


def test_precisions_are_chosen_by_name():
    assert [type(precision(name, CPU)) for name in ("fp32", "bf16", "fp16")] == [Float32, BFloat16, Float16]
    with precision("bf16", CPU).forward():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
