"""The two hub checkpoints on COCO val 000000039769, to the digits of transformers' own integration tests (facts §6).

Needs the checkpoints in the hub's cache or a network, and the image: CONDETR_COCO_39769 names the JPEG.
"""

import os

import pytest
import torch

from condetr import checkpoint
from condetr.build import build_prepare, build_scoring
from condetr.decoding import decode
from condetr.errors import WeightsError
from condetr.images.prepare import open_image

BOUND = 2e-4  # as in those tests

GOLDENS = {
    "microsoft/conditional-detr-resnet-50": (
        [[-10.4371, -5.7565, -8.6765], [-10.5413, -5.8700, -8.0589], [-10.6824, -6.3477, -8.3927]],
        [[0.7733, 0.6576, 0.4496], [0.5171, 0.1184, 0.9095], [0.8846, 0.5647, 0.2486]],
        [0.8330, 0.8315, 0.8039, 0.6829, 0.5354],
        [75, 17, 17, 75, 63],
        [38.3089, 72.1023, 177.6292, 118.4514],
    ),
    "facebook/detr-resnet-50": (
        [[-19.1194, -0.0893, -11.0154], [-17.3640, -1.8035, -14.0219], [-20.0461, -0.5837, -11.1060]],
        [[0.4433, 0.5302, 0.8852], [0.5494, 0.2517, 0.0529], [0.4998, 0.5360, 0.9955]],
        [0.9988, 0.9987, 0.9982, 0.9960, 0.9955],
        [17, 17, 75, 75, 63],
        [40.1615, 70.8090, 175.5476, 117.9810],
    ),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_published_weights_see_the_two_cats(name, monkeypatch):
    image = os.environ.get("CONDETR_COCO_39769")
    if image is None:
        pytest.skip("CONDETR_COCO_39769 does not name the image 000000039769.jpg of COCO val2017")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    try:
        weights = checkpoint.load(name)
    except WeightsError as error:
        pytest.skip(f"no published weights here: {error}")
    logits, boxes, scores, category_ids, first = GOLDENS[name]
    pixels = open_image(image)
    with torch.no_grad():
        predictions = weights.detector.predict(build_prepare(weights.config.data)([pixels]))
    torch.testing.assert_close(predictions.logits[0, 0, :3, :3], torch.tensor(logits), atol=BOUND, rtol=BOUND)
    torch.testing.assert_close(predictions.boxes[0, 0, :3, :3], torch.tensor(boxes), atol=BOUND, rtol=BOUND)
    size = (pixels.shape[1], pixels.shape[0])
    found = decode(predictions, build_scoring(weights.config.model.scoring), [size], weights.categories)[0]
    found = found.filter(min_score=0.3 if "conditional" in name else 0.9)
    torch.testing.assert_close(torch.tensor(found.scores), torch.tensor(scores), atol=BOUND, rtol=0)
    assert sorted(found.category_ids) == sorted(category_ids)
    assert min(abs(found.boxes - torch.tensor(first).numpy()).max(-1)) < BOUND * max(size)
