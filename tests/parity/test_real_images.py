"""Image files to detections: `Predictor`, with its folded model and ragged batches, compared with transformers' model
of the same weights on images prepared here one at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tiny import shaken
from transformers import AutoModelForObjectDetection

from condetr import checkpoint, interchange
from condetr.config import override
from condetr.images.decode import SUFFIXES
from condetr.predicting.predictor import Predictor
from condetr.recipes import recipe
from condetr.types import Images

SIZE, THRESHOLD = 320, 0.3
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def paths(real_data) -> list[Path]:
    return sorted(p for p in (real_data / "tinycoco" / "valid").iterdir() if p.suffix in SUFFIXES)[:4]


@pytest.fixture(scope="module")
def weights(paths, tmp_path_factory) -> tuple[Path, Path]:
    """A folder of ours and one of theirs with the same weights, which are untrained but predict as trained ones do:
    tokens differ from place to place, queries attend to their reference points and differ, and in the first
    image 39 scores are above the threshold."""
    config = override(recipe("conditional_detr_r50"), {"data.size": SIZE, "model.decoder.start": "local"})
    detector = shaken(config.model, 91)
    unused = [label for label in range(91) if label not in interchange.coco_categories().real]
    with torch.no_grad():
        images = Images.pad([prepared(paths[0])[0]])
        tokens = detector.project(detector.backbone(images)[0])
        mean, spread = tokens.mean((0, 2, 3)), tokens.std((0, 2, 3))
        detector.project.weight /= spread[:, None, None, None]
        detector.project.bias.sub_(mean).div_(spread)
        detector.heads.classes.weight *= 10
        detector.heads.classes.bias[unused] -= 100  # numbers without a class: never detected here
        logits = detector(images).logits[-1, 0]
        assert logits.std(0).mean() > 0.1  # the queries disagree
        detector.heads.classes.bias += torch.tensor(THRESHOLD).logit() - logits.flatten().topk(40).values[-2:].mean()
    ours, theirs = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    checkpoint.save(ours, checkpoint.Weights(detector, config, interchange.coco_categories(), None), "card")
    interchange.write_transformers(theirs, detector, config, interchange.coco_categories(), "card")
    return ours, theirs


def prepared(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    scale = min(SIZE / min(rgb.size), SIZE * 1333 / 800 / max(rgb.size))
    width, height = (SIZE if side == min(rgb.size) else int(side * scale) for side in rgb.size)
    values = torch.from_numpy(np.array(rgb.resize((width, height), Image.Resampling.BILINEAR))).float() / 255
    return ((values - MEAN) / STD).permute(2, 0, 1)[None]


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 4])
def test_the_same_detections_in_real_images(paths, weights, batch):
    theirs = AutoModelForObjectDetection.from_pretrained(weights[1]).eval()
    found = Predictor.load(weights[0], "cpu")(paths, threshold=THRESHOLD, batch=batch)
    counts = []
    for path, ours in zip(paths, found):
        with Image.open(path) as image:
            size = torch.tensor([*image.size, *image.size])
        output = theirs(pixel_values=prepared(path))
        scores, places = output.logits[0].sigmoid().flatten().topk(100)
        places = places[scores > THRESHOLD]
        counts.append(len(places))
        x, y, w, h = output.pred_boxes[0, places // 91].unbind(-1)
        boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)
        assert len(ours) == len(places)
        assert ours.scores.tolist() == pytest.approx(scores[scores > THRESHOLD].tolist(), abs=1e-4)
        for label, box in zip(ours.labels, torch.as_tensor(ours.boxes) / size):
            assert (boxes[places % 91 == label] - box).abs().amax(-1).min() <= 1e-4
    assert sum(counts) > 40
