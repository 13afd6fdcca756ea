"""The device of a run is found by name, without touching another process's GPU."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from condetr import Predictor, train
from condetr.config import Config
from condetr.engine.device import check_device, local_device
from condetr.engine.distributed import SINGLE, Processes
from condetr.errors import CondetrError
from condetr.training.machine import choose_machine
from tests.labelled import coco_content
from tests.small_run import settings


def test_without_a_name_the_device_is_a_gpu_where_there_is_one():
    assert check_device("cpu") == "cpu"
    gpu = "mps" if torch.backends.mps.is_available() else "cpu"
    assert check_device(None) == ("cuda" if torch.cuda.is_available() else gpu)


def test_an_apple_gpu_is_chosen_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert check_device(None) == "mps"
    assert check_device("mps:0") == "mps:0"
    with pytest.raises(CondetrError, match="device=mps:1: this machine has no such device"):
        check_device("mps:1")
    assert local_device("mps", SINGLE) == torch.device("mps")
    with pytest.raises(CondetrError, match="device=mps: a run on an Apple GPU has one process"):
        local_device("mps", Processes(rank=1, world=2, local=1))
    assert choose_machine("mps", None, None, Config(), SINGLE).micro_batch == Config().train.batch


def test_without_an_apple_gpu_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(CondetrError, match="device=mps: this machine has no such device"):
        check_device("mps")


class NoFloat64(TorchDispatchMode):
    """A stand-in for Apple GPUs, which have no float64."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        wide = [x for x in torch.utils._pytree.tree_leaves(result) if isinstance(x, torch.Tensor)]
        assert not any(x.dtype in (torch.float64, torch.complex128) for x in wide), function
        return result


def test_training_and_prediction_need_no_float64(tmp_path, roboflow):
    data = roboflow(train=coco_content(1, images=4), valid=coco_content(101))
    with NoFloat64():
        train(
            data,
            settings(train__batch=2, train__epochs=1, train__ema=0.9, train__groups=2),
            out=tmp_path / "run",
            device="cpu",
        )
        Predictor.load(tmp_path / "run", "cpu")(data / "valid", 0.0)


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
