"""Matching and loss agree with the obvious computation, images without objects included, and the official digits."""

import pytest
import torch

from condetr import config, recipes
from condetr.build import build_loss
from condetr.objective.matching import Matcher, PaddedTargets
from condetr.objective.set_loss import SetLoss
from condetr.scoring import FocalScoring
from condetr.types import OptimizerStep, Predictions, Target

from .obvious import corners
from .obvious import loss as obvious

CONFIGS = {"focal": recipes.recipe("conditional_detr_r50"), "softmax": recipes.recipe("detr_r50")}
COUNTS = [(2, 0, 3), (0, 0, 0), (1, 4, 0), (5, 2, 1)]  # the last has more objects than queries


def scene(kind: str, counts, seed: int, layers: int = 2, queries: int = 4, classes: int = 3):
    random = torch.Generator().manual_seed(seed)
    width = classes + (kind == "softmax")
    shape = (layers, len(counts), queries)
    predictions = Predictions(
        torch.randn(*shape, width, generator=random) * 2, torch.rand(*shape, 4, generator=random) * 0.4 + 0.2
    )
    targets = [
        Target(torch.randint(classes, (n,), generator=random), torch.rand(n, 4, generator=random) * 0.4 + 0.2)
        for n in counts
    ]
    return predictions, targets


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_obvious_one(kind, counts, seed):
    predictions, targets = scene(kind, counts, seed)
    loss, weights = build_loss(CONFIGS[kind])
    terms = loss(predictions, targets, OptimizerStep.of(targets))
    layers = [
        [(predictions.logits[s, b].tolist(), predictions.boxes[s, b].tolist()) for b in range(len(counts))]
        for s in range(2)
    ]
    expected = obvious(kind, layers, [(t.labels.tolist(), t.boxes.tolist()) for t in targets])
    found = torch.stack([terms.classes, terms.l1, terms.giou], dim=1)
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=1e-6)
    c = CONFIGS[kind].loss
    total = sum(c.classes * a + c.l1 * b + c.giou * g for a, b, g in expected)
    torch.testing.assert_close(weights.total(terms), torch.tensor(total), atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("counts", COUNTS[:3])
def test_the_parts_of_a_step_add_up_to_its_loss(kind, counts):
    predictions, targets = scene(kind, counts, seed=5)
    loss, weights = build_loss(CONFIGS[kind])
    step = OptimizerStep.of(targets)
    whole = weights.total(loss(predictions, targets, step))
    parts = [
        weights.total(loss(Predictions(predictions.logits[:, i], predictions.boxes[:, i]), targets[i], step))
        for i in (slice(0, 1), slice(1, 3))
    ]
    torch.testing.assert_close(sum(parts), whole)


@pytest.mark.parametrize("kind", CONFIGS)
def test_images_without_objects_have_finite_gradients(kind):
    predictions, targets = scene(kind, (0, 0), seed=1)
    logits, boxes = predictions.logits.requires_grad_(), predictions.boxes.requires_grad_()
    loss, weights = build_loss(CONFIGS[kind])
    weights.total(loss(Predictions(logits, boxes), targets, OptimizerStep.of(targets))).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0
    assert boxes.grad is not None
    assert (boxes.grad == 0).all()


def test_official_numbers_of_loss_and_class_cost():
    """Facts about the official code: 1.2732378 and the cost matrix, at one object for both rows."""
    logits = torch.tensor([[[[0.3, -1.2], [2.0, -4.6]]]])
    predictions = Predictions(logits, torch.full((1, 1, 2, 4), 0.5))
    target = Target(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
    no_place = config.override(CONFIGS["focal"], {"loss.l1": 0.0, "loss.giou": 0.0})
    loss, _ = build_loss(no_place)
    # the second query would be matched, but the published number is of the first: it is made the only one
    step = OptimizerStep.of([target])
    terms = loss(Predictions(logits[:, :, :1], predictions.boxes[:, :, :1]), [target], step)
    background = loss(Predictions(logits[:, :, 1:], predictions.boxes[:, :, 1:]), [Target(
        torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))], step)  # fmt: skip
    torch.testing.assert_close(terms.classes + background.classes, torch.tensor([1.2732378]), atol=1e-6, rtol=0)


def test_deep_supervision_counts_every_layer():
    predictions, targets = scene("focal", (2, 1), seed=3, layers=3)
    logits = predictions.logits.requires_grad_()
    loss, weights = build_loss(CONFIGS["focal"])
    terms = loss(Predictions(logits, predictions.boxes), targets, OptimizerStep.of(targets))
    assert terms.classes.shape == (3,)
    weights.total(terms).backward()
    assert (logits.grad.abs().sum((1, 2, 3)) > 0).all()


def test_the_class_weight_is_two_and_the_costs_are_the_weights():
    loss, weights = build_loss(CONFIGS["focal"])
    assert (weights.classes, weights.l1, weights.giou) == (2.0, 5.0, 2.0)
    assert (loss.matcher.class_cost, loss.matcher.l1_cost, loss.matcher.giou_cost) == (2.0, 5.0, 2.0)
    loss, weights = build_loss(CONFIGS["softmax"])
    assert (weights.classes, weights.l1, weights.giou) == (1.0, 5.0, 2.0)


class Recording(FocalScoring):
    """Keeps the IoUs that the loss was given."""

    def loss(self, logits, matched, step):
        self.matched = matched
        return super().loss(logits, matched, step)


def iou_of(a: list[float], b: list[float]) -> float:
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = corners(a), corners(b)
    overlap = max(0.0, min(ax2, bx2) - max(ax1, bx1)) * max(0.0, min(ay2, by2) - max(ay1, by1))
    return overlap / (a[2] * a[3] + b[2] * b[3] - overlap)


def test_the_scoring_gets_the_iou_of_each_matched_pair_without_gradient():
    predictions, targets = scene("focal", (2, 0, 3), seed=2)
    predictions.boxes.requires_grad_()
    scoring = Recording(0.25, 2.0)
    SetLoss(scoring, Matcher(scoring, 2.0, 5.0, 2.0))(predictions, targets, OptimizerStep.of(targets))
    assert len(scoring.matched.iou) == 2 * 5
    assert not scoring.matched.iou.requires_grad
    assert scoring.matched.iou.unique().numel() > 5
    matches = Matcher(scoring, 2.0, 5.0, 2.0)(predictions, PaddedTargets.of(targets))
    for pair, (layer, image, query) in enumerate(zip(*(axis.tolist() for axis in scoring.matched.queries))):
        truth = targets[image].boxes[matches.object[pair]]
        expected = iou_of(predictions.boxes[layer, image, query].tolist(), truth.tolist())
        assert scoring.matched.iou[pair].item() == pytest.approx(expected, abs=1e-6)
