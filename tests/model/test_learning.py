"""Every model and every ablation trains: it learns to detect the objects of two images, and nothing else."""

import pytest
import torch

from condetr import config
from condetr.boxes import cxcywh_to_xyxy, iou_and_giou
from condetr.build import build_detector, build_learner, build_loss, build_scoring
from condetr.model.detector import Detector
from condetr.types import Images, OptimizerStep, Target
from tests.tiny import FORMS, TINY, TINY_DETR

NANO = config.Backbone(name="nano", last_stage=2, stride=8, norm="channel", trains_from="stem")


def variant(base: config.Model, **changes: object) -> config.Model:
    return config.Model.model_validate(base.model_dump() | {"backbone": NANO.model_dump()} | changes)


REFINING = {"kind": "refining"}
VARIANTS = {
    "detr": variant(TINY_DETR),
    "refining": variant(TINY, decoder=REFINING, reference="anchors"),
    "linear bias": variant(TINY, decoder=REFINING | {"box_bias": "linear", "start": "local"}, reference="anchors"),
    "log bias": variant(TINY, decoder=REFINING | {"box_bias": "log", "boxes": "relative"}, reference="anchors"),
    "modulation": variant(TINY, decoder=REFINING | {"size_modulation": True}, reference="anchors"),
    "fused keys": variant(TINY, keys="fused"),
    "keys of two scales": variant(TINY, keys="multi_scale"),
    "softmax": variant(TINY, scoring={"kind": "softmax"}),
    **{f"reference {r}": variant(TINY, reference=r) for r in ("centre", "learned")},
    **{form: variant(TINY, decoder={"kind": "conditional", "spatial_query": form}) for form in FORMS},
}


OBJECTS = Target(torch.tensor([1, 3]), torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.6, 0.3, 0.4]]))
EMPTY = Target(torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))


def two_images() -> Images:
    """One with two rectangles of different colors, and a smaller one without an object."""
    scene = torch.zeros(3, 48, 64)
    scene[0, 10:19, 13:26] = 2
    scene[1:, 19:38, 35:54] = 2
    return Images.pad([scene, torch.zeros(3, 48, 40)])


@torch.no_grad()
def detects_the_objects(detector: Detector, model: config.Model, images: Images) -> bool:
    """The two best detections are the two objects (class, IoU above 0.5), twice as sure as any other in both images."""
    predictions = detector.eval().predict(images)
    scoring = build_scoring(model.scoring)
    scores, queries, labels = scoring.rank(scoring.probabilities(predictions.logits[0]), torch.arange(5), limit=3)
    best, order = scores[0, :2], labels[0, :2].argsort()
    boxes = predictions.boxes[0, 0][queries[0, :2][order]]
    iou, _ = iou_and_giou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(OBJECTS.boxes))
    others = torch.stack([scores[0, 2], scores[1, 0]])
    return bool((labels[0, :2][order] == OBJECTS.labels).all() and (iou > 0.5).all() and best.min() > 2 * others.max())


@pytest.mark.parametrize("model", VARIANTS.values(), ids=VARIANTS)
def test_two_images_are_learnt_by_heart(model):
    torch.manual_seed(0)
    detector = build_detector(model, classes=5)
    loss, weights = build_loss(config.Config(model=model))
    learner = build_learner(detector, loss, config.Train())
    images, targets = two_images(), [OBJECTS, EMPTY]
    optimizer = torch.optim.AdamW(detector.parameters(), 3e-3)
    assert not detects_the_objects(detector, model, images)
    for step in range(300):
        total = weights.total(learner.train()(images, targets, OptimizerStep.of(targets)))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if step == 0:
            untouched = [n for n, p in detector.named_parameters() if p.requires_grad and p.grad is None]
            assert untouched == []
        if step % 20 == 19 and detects_the_objects(detector, model, images):
            return
    raise AssertionError(f"not learnt after 300 steps, loss {total.item():.2f}")
