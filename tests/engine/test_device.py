"""The device of a run is found by name, without touching another process's GPU."""

import pytest
import torch

from condetr.engine.device import check_device, local_device
from condetr.engine.distributed import SINGLE, Processes
from condetr.errors import CondetrError


def test_without_a_name_the_device_is_a_gpu_where_there_is_one():
    assert check_device("cpu") == "cpu"
    assert check_device(None) == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "meta"])
def test_a_missing_device_is_refused_in_one_line(name):
    with pytest.raises(CondetrError, match=f"device={name}: this machine has no such device"):
        check_device(name)


def test_checking_a_gpu_opens_no_cuda_context(monkeypatch):
    """A context costs some 500 MB on the current device, which is GPU 0 in every process until it is set."""
    opened = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: opened.append("context"))
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: opened.append("tensor"))
    assert [check_device(name) for name in (None, "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    with pytest.raises(CondetrError, match="device=cuda:2"):
        check_device("cuda:2")
    assert opened == []


def test_each_process_uses_the_gpu_of_its_local_rank():
    second = Processes(rank=5, world=8, local=1)
    assert local_device("cuda", second) == torch.device("cuda:1")
    assert local_device("cuda:1", SINGLE) == torch.device("cuda:1")
    with pytest.raises(CondetrError, match=r"device=cuda:1: all processes would share this GPU. Give cuda"):
        local_device("cuda:1", second)
    assert local_device("cpu", second) == torch.device("cpu")
