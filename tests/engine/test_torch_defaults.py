"""What a notebook has changed in torch changes no result, and is as it was afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import condetr
from condetr.engine.torch_defaults import thread_defaults, torch_defaults
from condetr.errors import CondetrError
from condetr.types import Categories
from tests.small_run import settings
from tests.tiny import TINY, shaken

CATEGORIES = Categories((1, 2), ("square", "bar"))


@contextmanager
def changed() -> Iterator[None]:
    """The meta device stands for a GPU: tensors on it cannot be used with others."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            yield
            assert torch.is_inference_mode_enabled()
            assert torch.is_autocast_enabled("cpu")
            assert (torch.empty(0).dtype, torch.empty(0).device.type) == (torch.float64, "meta")
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(before)


def test_inside_the_block_torch_is_as_it_comes():
    with changed():
        with torch_defaults():
            made = torch.empty(0)
            assert (made.dtype, made.device.type, made.is_inference()) == (torch.float32, "cpu", False)
            assert torch.is_grad_enabled()
            assert not torch.is_autocast_enabled("cpu")
        with thread_defaults():
            assert (torch.empty(0).dtype, torch.empty(0).device.type) == (torch.float64, "cpu")
        with pytest.raises(CondetrError), torch_defaults():
            raise CondetrError("")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    config = condetr.Config(model=TINY, data=condetr.recipe("nano").data)
    condetr.save(folder, condetr.Weights(shaken(TINY, 2), config, CATEGORIES, None))
    return folder


@pytest.mark.parametrize("fast", [True, False])
def test_detections_do_not_depend_on_what_a_notebook_has_changed(weights: Path, root: Path, fast: bool):
    image = root / "valid" / "valid1.png"
    loaded = condetr.Predictor.load(weights, "cpu", fast=fast)
    expected = loaded(image, 0.0)
    maps = condetr.explain(loaded, image, threshold=0.0).maps
    with changed():
        assert loaded(image, 0.0) == expected
        assert condetr.Predictor.load(weights, "cpu", fast=fast)(image, 0.0) == expected
        assert (condetr.explain(loaded, image, threshold=0.0).maps == maps).all()
        grown = condetr.grow(weights, queries=9)
    assert grown.detector.queries.weight.dtype == torch.float32
    assert len(condetr.Predictor(grown, "cpu")(image, 0.0)) == 2 * 9


def test_a_training_does_not_depend_on_what_a_notebook_has_changed(root: Path, tmp_path: Path):
    def weights(name: str) -> bytes:
        out, config = tmp_path / name, settings(train__epochs=1, train__init="none")
        return (condetr.train(root, config, out=out, device="cpu").folder / "last" / "model.safetensors").read_bytes()

    plain = weights("plain")
    with changed():
        assert weights("changed") == plain
    with torch.no_grad():
        assert weights("without gradients") == plain
