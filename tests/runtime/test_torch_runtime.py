"""A folded copy predicts what the detector predicts, for every variant of the model."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from condetr import config
from condetr.cpu.available import without_private_operators
from condetr.model.norms import FrozenBatchNorm
from condetr.runtime.constants import Constant
from condetr.runtime.folded import Convolution, fold_norms, folded
from condetr.runtime.torch_runtime import TorchRuntime
from condetr.types import Images, Predictions
from tests.tiny import FORMS, TINY, TINY_DETR, TINY_REFINING, shaken


def variant(**changes) -> config.Model:
    return config.Model(**(TINY.model_dump() | changes))


def backbone(**changes) -> dict:
    return {"backbone": TINY.backbone.model_dump() | changes}


def refining(**decoder) -> config.Model:
    return variant(decoder={"kind": "refining"} | decoder, reference="anchors")


VARIANTS = {
    "refining": refining(),
    "linear bias": refining(box_bias="linear", start="local"),
    "log bias": refining(box_bias="log", boxes="relative", size_modulation=True),
    "detr": TINY_DETR,
    **{form: variant(decoder={"kind": "conditional", "spatial_query": form}) for form in FORMS},
    **{f"{kind} reference": variant(reference=kind) for kind in ("centre", "learned")},
    "fused": variant(keys="fused"),
    "two scales": variant(keys="multi_scale"),
    "two scales, log bias": variant(
        keys="multi_scale", decoder={"kind": "refining", "box_bias": "log"}, reference="anchors"
    ),
    "fused, nano": variant(keys="fused", **backbone(name="nano", last_stage=2, stride=8, norm="channel")),
    "fused, bottlenecks": variant(keys="fused", **backbone(name="resnet50", last_stage=4, stride=32)),
    "all": TINY_REFINING,
    "softmax": variant(scoring={"kind": "softmax"}),
    "bottlenecks": variant(**backbone(name="resnet50", last_stage=4, stride=32)),
    "DC5": variant(**backbone(name="resnet50", last_stage=4, stride=16)),
    "DC5 of basic blocks": variant(**backbone(last_stage=4, stride=16)),
    "nano": variant(**backbone(name="nano")),
    "channel norm": variant(**backbone(norm="channel")),
    "channel norm, bottlenecks": variant(**backbone(name="resnet50", norm="channel")),
    "published padding": variant(**backbone(padding="published")),
}


def some_images(*sizes: tuple[int, int]) -> Images:
    torch.manual_seed(1)
    return Images.pad([torch.randn(3, h, w) for h, w in sizes])


def assert_same(found: Predictions, expected: Predictions) -> None:
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_folded_copy_predicts_as_the_detector(name: str):
    detector = shaken(VARIANTS[name], classes=5)
    runtime = TorchRuntime.folded(detector, torch.float32)
    for images in (some_images((70, 101)), some_images((70, 101), (96, 40), (33, 90))):
        with torch.inference_mode():
            assert_same(runtime.run(images), detector.predict(images))


def test_a_folded_copy_leaves_the_detector_unchanged():
    detector = shaken(TINY, classes=5).train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    names = [name for name, _ in detector.named_modules()]
    folded(detector, torch.float32)
    folded(detector, torch.bfloat16)
    assert [name for name, _ in detector.named_modules()] == names
    assert all(module.training for module in detector.modules())
    for name, tensor in detector.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_a_folded_copy_shares_the_weights_that_stay_as_they_are():
    detector = shaken(TINY, classes=5)
    own = {tensor.data_ptr() for name, tensor in detector.state_dict().items() if not name.startswith("backbone.")}
    copied = [
        name for name, tensor in folded(detector, torch.float32).state_dict().items()
        if not name.startswith("backbone.") and not name.endswith(".value") and tensor.data_ptr() not in own
    ]  # fmt: skip
    assert copied == []


@pytest.mark.parametrize("name", ["detr", "diagonal", "bottlenecks", "DC5", "nano", "channel norm"])
def test_after_folding_the_norms_the_predictions_are_the_same_and_convolutions_are_shared(name: str):
    detector, images = shaken(VARIANTS[name], classes=5), some_images((70, 101), (33, 90))
    with torch.inference_mode():
        before = detector.predict(images)
    fold_norms(detector)
    with torch.inference_mode():
        assert_same(detector.predict(images), before)
        assert_same(TorchRuntime.folded(detector, torch.float32).run(images), before)
    own = {tensor.data_ptr() for tensor in detector.state_dict().values()}
    convolutions = [part for part in folded(detector, torch.float32).modules() if isinstance(part, Convolution)]
    assert all(part.weight.data_ptr() in own for part in convolutions)
    assert name in ("channel norm", "nano") or len(convolutions) > 5
    for norm in detector.modules():
        if isinstance(norm, FrozenBatchNorm):
            assert (norm.affine()[0] == 1).all()


def test_running_leaves_the_images_unchanged():
    images = some_images((64, 64), (40, 64))
    before = images.pixels.clone()
    TorchRuntime.folded(shaken(TINY, classes=5), torch.float32).run(images)
    torch.testing.assert_close(images.pixels, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["detr", "DC5", "bottlenecks", "channel norm"])
def test_public_operators_alone_give_the_same_predictions(name: str):
    detector, images = shaken(VARIANTS[name], classes=5), some_images((70, 101), (96, 40))
    runtime = TorchRuntime.folded(detector, torch.float32)
    expected = runtime.run(images)
    with without_private_operators():
        assert_same(runtime.run(images), expected)


@pytest.mark.parametrize("name", ["diagonal", "detr"])
def test_a_copy_of_a_detector_in_training_has_no_dropout(name: str):
    detector = shaken(config.Model(**(VARIANTS[name].model_dump() | {"dropout": 0.5})), classes=5)
    images = some_images((70, 101))
    with torch.inference_mode():
        expected = detector.predict(images)
    assert_same(TorchRuntime.folded(detector.train(), torch.float32).run(images), expected)


def test_what_no_image_changes_is_computed_once():
    """Of three layers: the first self-attention and object query, and two positions in each of the later ones."""
    detector = shaken(TINY, classes=5)
    copies = folded(detector, torch.float32).modules()
    assert sum(isinstance(module, Constant) for module in copies) == 6
    assert not any(isinstance(module, Constant) for module in folded(shaken(TINY_DETR, 5), torch.float32).modules())


@pytest.mark.parametrize("name", ["diagonal", "detr", "channel norm", "learned reference", "refining", "log bias"])
def test_bfloat16_is_close_to_float32(name: str):
    detector, images = shaken(VARIANTS[name], classes=5), some_images((70, 101), (96, 40))
    runtime = TorchRuntime.folded(detector, torch.bfloat16)
    found, exact = runtime.run(images), TorchRuntime.plain(detector).run(images)
    assert found.logits.dtype == found.boxes.dtype == torch.float32
    assert 0 < (found.boxes - exact.boxes).abs().max() < 0.05
    assert 0 < (found.logits - exact.logits).abs().max() < 0.3


@pytest.mark.slow
def test_the_detector_compiles_as_one_graph():
    """torch.compile finds no graph break in the forward pass, nor in that of a folded copy.

    In a process of its own, because the compiler cannot trace the shape checks that are active in this one.
    """
    subprocess.run([sys.executable, "-c", COMPILE], check=True, timeout=120, cwd=Path(__file__).parents[2])


COMPILE = """
import torch
from condetr.runtime.folded import folded
from condetr.types import Images
from tests.tiny import TINY, TINY_REFINING, shaken

torch.set_num_threads(1)
detector, refining = shaken(TINY, classes=5), shaken(TINY_REFINING, classes=5)
images = Images.pad([torch.randn(3, 64, 96)] * 2)
for predict in (detector, detector.predict, folded(detector, torch.float32).predict, refining.predict):

    @torch.compile(backend="eager", fullgraph=True)
    def forward(pixels, padding):
        predictions = predict(Images(pixels, padding, ragged=False))
        return predictions.logits, predictions.boxes

    with torch.no_grad():
        logits, boxes = forward(images.pixels, images.padding)
        expected = predict(images)
    torch.testing.assert_close(logits, expected.logits)
    torch.testing.assert_close(boxes, expected.boxes)
"""
