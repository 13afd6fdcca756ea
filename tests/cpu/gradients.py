"""Two computations compared, forwards and backwards."""

import torch
from torch import Tensor


def assert_same(
    found: Tensor, expected: Tensor, inputs: tuple[Tensor, ...], atol: float = 1e-5, rtol: float = 1e-5
) -> None:
    """The same values, and the same gradients of a random linear function of them."""
    torch.testing.assert_close(found, expected, atol=atol, rtol=rtol)
    weight = torch.randn_like(expected)
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs)
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, atol=10 * atol, rtol=10 * rtol)
