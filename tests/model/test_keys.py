"""Keys at half the encoder's stride: their equation, what they start as, and that padding does not matter."""

import pytest
import torch
from torch.nn import functional as F

from condetr import config
from condetr.build import build_detector
from condetr.errors import ConfigError
from condetr.model.layers import embed_grid
from condetr.recipes import recipe
from condetr.types import Images
from tests.tiny import TINY, shaken

BACKBONES = {
    "small": config.Backbone(name="resnet18", last_stage=3, stride=16),
    "nano": config.Backbone(name="nano", last_stage=2, stride=8, norm="channel"),
    "resnet50": config.Backbone(name="resnet50"),
    "timm": config.Backbone(name="timm:test_efficientnet", last_stage=3, stride=16),
}


def fused(backbone: str, keys: str = "fused") -> config.Model:
    return config.Model(**{**TINY.model_dump(), "keys": keys, "backbone": BACKBONES[backbone].model_dump()})


@torch.no_grad()
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_keys_are_those_of_the_equation(backbone):
    detector, image = shaken(fused(backbone), 3), torch.randn(1, 3, 70, 101)
    torch.nn.init.normal_(detector.keys.fuse.weight, 0, 0.1)
    images, stride = Images.pad(list(image)), BACKBONES[backbone].stride // 2
    features, _, finer, padding = detector.backbone(images)
    assert finer.shape[2:] == padding.shape[1:] == (-(-70 // stride), -(-101 // stride))
    memory, keys = detector.encoder(detector.tokens(images)), detector.encode(images)
    assert (keys.grid, keys.cells.stride) == (tuple(finer.shape[2:]), stride)
    coarse = memory.content[0].T.unflatten(1, memory.grid)
    up = torch.stack([torch.stack([coarse[:, i // 2, j // 2] for j in range(keys.grid[1])], -1)
                      for i in range(keys.grid[0])], 1)  # fmt: skip
    project, fuse = detector.keys.project, detector.keys.fuse
    inner = up + torch.einsum("oi,ihw->ohw", project.weight[:, :, 0, 0], finer[0]) + project.bias[:, None, None]
    expected = up + F.conv2d(inner[None], fuse.weight, fuse.bias, padding=1)[0]
    torch.testing.assert_close(keys.content[0].T.unflatten(1, keys.grid), expected, atol=1e-5, rtol=1e-5)
    assert features.shape[2:] == memory.grid


@torch.no_grad()
def test_keys_of_two_scales_are_the_encoders_and_fused_ones_with_half_the_channels():
    detector, image = shaken(fused("small", "multi_scale"), 3), torch.randn(3, 70, 101)
    torch.nn.init.normal_(detector.keys.fuse.weight, 0, 0.1)
    images = Images.pad([image, torch.randn(3, 96, 40)])
    memory, keys = detector.encoder(detector.tokens(images)), detector.encode(images)
    torch.testing.assert_close(keys.content, memory.content)
    assert (keys.grid, keys.cells.stride, keys.finer.cells.stride) == (memory.grid, 16, 8)
    *_, finer, padding = detector.backbone(images)
    assert (keys.finer.grid, keys.finer.content.shape[2]) == (tuple(finer.shape[2:]), TINY.dim // 2)
    reduce, project, fuse = detector.keys.reduce, detector.keys.project, detector.keys.fuse
    coarse = reduce(memory.content.mT.unflatten(2, memory.grid)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    coarse = coarse[..., : finer.shape[2], : finer.shape[3]]
    expected = coarse + fuse((coarse + project(finer)) * ~padding[:, None])
    torch.testing.assert_close(keys.finer.content.mT.unflatten(2, keys.finer.grid), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(keys.finer.position, embed_grid(padding, TINY.dim).flatten(1, 2))


def test_at_first_the_keys_are_the_encoders_and_all_of_it_learns():
    torch.manual_seed(0)
    detector, images = build_detector(fused("small"), 3), Images.pad([torch.randn(3, 64, 96)])
    keys, memory = detector.encode(images), detector.encoder(detector.tokens(images))
    coarse = memory.content.unflatten(1, memory.grid)
    torch.testing.assert_close(keys.content.unflatten(1, keys.grid)[:, ::2, 1::2], coarse)
    keys.content.square().sum().backward()
    assert detector.keys.fuse.weight.grad.abs().max() > 0


@pytest.mark.parametrize("keys", ["fused", "multi_scale"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_an_image_gets_the_same_predictions_alone_and_in_a_batch(backbone, keys):
    detector = shaken(fused(backbone, keys), 3).double()
    torch.nn.init.normal_(detector.keys.fuse.weight, 0, 0.1)
    torch.nn.init.normal_(detector.keys.project.bias)
    images = [torch.randn(3, h, w, dtype=torch.float64) for h, w in ((70, 101), (96, 40), (33, 150))]
    with torch.no_grad():
        together = detector(Images.pad(images))
        for i, image in enumerate(images):
            torch.testing.assert_close(
                detector(Images.pad([image])).logits[:, 0], together.logits[:, i], atol=1e-10, rtol=0
            )


def test_backbones_without_such_features_are_refused_with_the_way_out():
    for keys in ("fused", "multi_scale"):
        with pytest.raises(ConfigError, match=rf"keys={keys} does .*: set model\.backbone\.stride=32"):
            config.override(recipe("conditional_detr_dc5_r50"), {"model.keys": keys})
    single = config.override(recipe("small"), {"model.backbone.name": "timm:test_vit"})  # the same stride in all stages
    with pytest.raises(ConfigError, match=r"none of 8, which finer keys need\. Set model\.keys=encoder"):
        build_detector(single.model, 3)


def test_the_keys_fit_the_backbone_that_replaces_another():
    dilated = config.override(recipe("small"), {"model.backbone.last_stage": 4})
    assert (recipe("small").model.keys, dilated.model.keys) == ("multi_scale", "encoder")
    for name in ("resnet34", "timm:mobilenetv2_100"):
        assert config.override(recipe("small"), {"model.backbone.name": name}).model.keys == "multi_scale"


def test_keys_of_two_scales_need_a_conditional_decoder_and_an_even_number_of_heads():
    detr = config.override(recipe("small"), {"model.decoder.kind": "detr"})
    assert detr.model.keys == "fused"
    with pytest.raises(ConfigError, match=r"decoder.kind=detr: set model\.keys=fused"):
        config.override(detr, {"model.keys": "multi_scale"})
    with pytest.raises(ConfigError, match=r"an even number of heads, not 1: set model\.heads"):
        config.override(recipe("small"), {"model.heads": 1})
