"""Shapes are checked at every call while the tests run; torch keeps to one thread, and to the CPU except in tests/gpu.

timm and transformers import torchvision. Its ordinary wheel cannot load its operators with a CPU torch, and its import
then fails for want of two of them; declaring these is enough. Where the operators can be loaded, they are.
"""

import importlib.util
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

from tests import generated
from tests.labelled import write_image

if TYPE_CHECKING:
    from condetr.datasets.dataset import DataSet

if os.environ.get("CONDETR_TESTS_ON_GPU", "0") in ("", "0"):  # the same bits, and the same default, on every machine
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
install_import_hook("condetr", "beartype.beartype").__enter__()
torch.set_num_threads(1)
torchvision = importlib.util.find_spec("torchvision")
for extension in Path(torchvision.origin).parent.glob("_C*") if torchvision and torchvision.origin else ():
    with suppress(OSError):  # made for a torch with CUDA
        torch.ops.load_library(extension)
if not hasattr(torch.ops.torchvision, "nms"):
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
settings.register_profile("condetr", deadline=None)  # a shared machine stalls now and then
# CI runs the same examples every time; new ones are tried on developers' machines
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "condetr")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first: at the end of a run, one process would be left with them."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where the environment names one."""
    if "CONDETR_REAL_DATA" not in os.environ:
        pytest.skip("CONDETR_REAL_DATA names no folder of real data sets")
    return Path(os.environ["CONDETR_REAL_DATA"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a training of seconds: 16 images of bright rectangles, and 4 in `valid`; a third have no object."""
    return generated.write(tmp_path_factory.mktemp("data") / "shapes", {"train": 16, "valid": 4}, empty_every=3)


@pytest.fixture(scope="module")
def dataset(root: Path) -> "DataSet":
    """The data set of `root`."""
    from condetr.examining.examine import examine

    return examine(root).trainable()


@pytest.fixture
def roboflow(tmp_path: Path) -> Callable[..., Path]:
    """Write `split=content` as train|valid|test/_annotations.coco.json with the images they name."""

    def write(**splits: dict[str, Any]) -> Path:
        for seed, (name, content) in enumerate(splits.items()):
            folder = tmp_path / "data" / name
            for i, image in enumerate(content["images"]):
                write_image(folder / image["file_name"], 1000 * seed + i)
            (folder / "_annotations.coco.json").write_text(json.dumps(content))
        return tmp_path / "data"

    return write


@pytest.fixture
def hangup_as_usual():
    """SIGHUP has its usual effect, also where the tests run under `nohup`, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
