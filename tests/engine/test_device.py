"""Where a run computes, by name."""

import pytest
import torch

from condetr.engine.device import available, own
from condetr.engine.distributed import Processes
from condetr.errors import CondetrError


def test_a_device_is_named_or_found():
    assert available("cpu") == "cpu"
    assert available(None) == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_one_line(name):
    with pytest.raises(CondetrError, match=f"--device {name}: this machine has no such device"):
        available(name)


def test_every_process_has_a_gpu_of_its_own():
    second = Processes(rank=5, world=8, local=1)
    assert own("cuda", second) == torch.device("cuda:1")
    assert own("cuda:0", second) == torch.device("cuda:0")
    assert own("cpu", second) == torch.device("cpu")
