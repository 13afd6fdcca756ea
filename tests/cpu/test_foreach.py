"""Operations on lists of tensors, with and without torch's private ones."""

import pytest
import torch

from condetr.cpu.foreach import copy_, interpolate_, multiply_


@pytest.mark.parametrize("public", ["0", "1"])
def test_each_tensor_is_changed_in_place(public: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONDETR_PUBLIC_OPERATORS_ONLY", public)
    ones = [torch.ones(3), torch.ones(2, 2)]
    threes = [torch.full((3,), 3.0), torch.full((2, 2), 3.0)]
    interpolate_(ones, threes, 0.25)
    assert [tensor.unique().tolist() for tensor in ones] == [[1.5], [1.5]]
    multiply_(ones, 2.0)
    multiply_(ones, torch.tensor(2.0))
    assert [tensor.unique().tolist() for tensor in ones] == [[6.0], [6.0]]
    copy_(ones, threes)
    assert [tensor.unique().tolist() for tensor in ones] == [[3.0], [3.0]]
    for operation in (lambda: multiply_([], 2.0), lambda: copy_([], []), lambda: interpolate_([], [], 0.5)):
        operation()
