"""Same weights, same predictions as transformers' models; and transformers loads all weights that we write.

The stock models let the padding of a batch leak into its images. So a padded batch is compared twice: with
`padding: published`, the same arithmetic, on the whole batch; and with our exact padding, image by image, against
the stock model on each image alone.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny import shaken
from transformers import AutoModelForObjectDetection

from condetr import checkpoint, config, interchange
from condetr.build import build_detector
from condetr.recipes import recipe
from condetr.types import Images

NAMES = ["conditional_detr_r50", "conditional_detr_dc5_r50", "detr_r50", "detr_dc5_r50"]


@pytest.fixture(scope="module", params=NAMES)
def both(request, tmp_path_factory):
    """Our detector, transformers' model of the same weights, and the folder between them."""
    c = recipe(request.param)
    detector = shaken(c.model, 91)
    folder = tmp_path_factory.mktemp(request.param)
    interchange.write_transformers(folder, detector, c, interchange.coco_categories(), "card")
    model, report = AutoModelForObjectDetection.from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return c, detector, model.eval(), folder


def published_padding(c: config.Config, folder: Path) -> torch.nn.Module:
    leaky = config.override(c, {"model.backbone.padding": "published"})
    detector = build_detector(leaky.model, 91).eval()
    detector.load_state_dict(checkpoint.load(folder).detector.state_dict())
    return detector


def agree(ours, theirs) -> None:
    assert (ours.logits[-1] - theirs.logits).abs().max() <= 1e-4
    assert (ours.boxes[-1] - theirs.pred_boxes).abs().max() <= 1e-5


@torch.no_grad()
def test_the_same_predictions(both):
    c, detector, model, folder = both
    pixels = [torch.randn(3, 96, 128), torch.randn(3, 75, 101)]
    images = Images.pad(pixels)
    theirs = model(pixel_values=images.pixels, pixel_mask=(~images.padding).long())
    agree(published_padding(c, folder)(images), theirs)
    together = detector(images)
    for i, one in enumerate(pixels):
        alone = Images.pad([one])
        theirs = model(pixel_values=alone.pixels, pixel_mask=(~alone.padding).long())
        assert (together.logits[-1, i] - theirs.logits[0]).abs().max() <= 1e-4
        assert (together.boxes[-1, i] - theirs.pred_boxes[0]).abs().max() <= 1e-5


@torch.no_grad()
def test_there_and_back(both, tmp_path):
    """transformers' own folder, with the names of its version 4, and with those of version 5."""
    c, detector, model, _ = both
    images = Images.pad([torch.randn(3, 64, 64)])
    expected = detector(images).logits
    model.save_pretrained(tmp_path)
    written = checkpoint.load(tmp_path)
    assert written.config.model == c.model
    assert written.categories == interchange.coco_categories()
    torch.testing.assert_close(written.detector(images).logits, expected, atol=0, rtol=0)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    assert any("mlp.fc1" in name for name in state)
    save_file(state, tmp_path / "model.safetensors")
    torch.testing.assert_close(checkpoint.load(tmp_path).detector(images).logits, expected, atol=0, rtol=0)


def test_the_hubs_layout_of_a_softmax_head_keeps_its_last_logit(both):
    c, _, _, folder = both
    rows = load_file(folder / "model.safetensors")["class_labels_classifier.weight"].shape[0]
    assert rows == (92 if c.model.scoring.kind == "softmax" else 91)
