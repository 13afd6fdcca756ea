"""fp16's scale: steps that overflow are left out until it fits, and the gradients come out in their true size."""

import torch
from torch import nn

from condetr.engine.precision import Bfloat, Full, Half, precision

CPU = torch.device("cpu")


def test_gradients_have_their_true_size_and_overflow_halves_the_scale():
    layer = nn.Linear(2, 1)
    optimizer, half = torch.optim.SGD(layer.parameters(), lr=1.0), Half(CPU)
    half.backward(layer(torch.ones(1, 2)).sum())
    assert torch.equal(layer.weight.grad, torch.full((1, 2), half.scale))
    assert half.ready(optimizer)
    assert torch.equal(layer.weight.grad, torch.ones(1, 2))
    layer.weight.grad.fill_(torch.inf)
    before = half.scale
    assert not half.ready(optimizer)
    assert half.scale == before / 2


def test_the_scale_survives_a_resume_and_grows_after_many_good_steps():
    layer, half = nn.Linear(1, 1), Half(CPU)
    layer.weight.grad = torch.ones(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    half.resume({"scale": 8.0, "good": 1999})
    assert half.ready(optimizer)
    assert half.state() == {"scale": 16.0, "good": 0}


def test_names():
    assert [type(precision(name, CPU)) for name in ("fp32", "bf16", "fp16")] == [Full, Bfloat, Half]
    with precision("bf16", CPU).forward():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
