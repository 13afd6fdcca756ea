"""The IoU-aware losses and gradients are those of their formulas, one logit at a time; the ramp follows the run."""

import math

import pytest
import torch

from condetr import config
from condetr.build import build_loss, build_scoring
from condetr.iou_scoring import IouAwareScoring, MatchabilityScoring
from condetr.recipes import recipe
from condetr.scoring import FocalScoring, Matched
from condetr.types import ObjectCounts, OptimizerStep

SCORINGS = {"iou_aware": IouAwareScoring, "mal": MatchabilityScoring}
MATCHED = {(0, 0, 1): (2, 0.83), (0, 1, 0): (0, 0.0), (1, 0, 3): (1, 1.0), (1, 1, 2): (2, 0.4)}  # label, IoU
OBJECTS = 5


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def loss_of_a_logit(kind: str, x: float, constant: float, iou: float | None, r: float) -> float:
    """Of one logit x. What has no gradient is computed from `constant`, a copy of it. `iou` is None for a negative."""
    p, fixed = sigmoid(x), sigmoid(constant)
    if iou is None:
        weight = p**2 if kind == "iou_aware" else fixed**1.5
        return -weight * math.log(1 - p)
    target = max(0.01, fixed**0.25 * iou**0.75) if kind == "iou_aware" else iou**1.5
    target = (1 - r) + r * target
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def obvious(kind: str, logits: torch.Tensor, progress: float, ramp: float) -> tuple[list[float], torch.Tensor]:
    """The loss of each layer, and the gradient of their sum by central differences."""
    r, losses, gradient, h = min(1.0, progress / ramp), [0.0] * len(logits), torch.zeros_like(logits), 1e-5
    for index in torch.cartesian_prod(*(torch.arange(length) for length in logits.shape)).tolist():
        *query, label = index
        truth, iou = MATCHED.get(tuple(query), (None, None))
        x = logits[tuple(index)].item()
        iou = iou if label == truth else None
        losses[query[0]] += loss_of_a_logit(kind, x, x, iou, r) / OBJECTS
        above, below = (loss_of_a_logit(kind, x + d, x, iou, r) for d in (h, -h))
        gradient[tuple(index)] = (above - below) / (2 * h) / OBJECTS
    return losses, gradient


@pytest.mark.parametrize("kind", SCORINGS)
@pytest.mark.parametrize("progress", [0.0, 0.06, 0.9])
def test_the_loss_and_its_gradient_are_those_of_the_formula(kind, progress):
    torch.manual_seed(0)
    logits = (2 * torch.randn(2, 2, 4, 3, dtype=torch.float64)).requires_grad_()
    matched = tuple(torch.tensor(axis) for axis in zip(*MATCHED))
    labels, iou = (torch.tensor(values) for values in zip(*MATCHED.values()))
    step = OptimizerStep(ObjectCounts((2, 3)), progress)
    loss = SCORINGS[kind](ramp=0.15).loss(logits, Matched(matched, labels, iou.double()), step)
    loss.sum().backward()
    losses, gradient = obvious(kind, logits.detach(), progress, 0.15)
    torch.testing.assert_close(loss.detach(), torch.tensor(losses, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(logits.grad, gradient, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", SCORINGS)
def test_without_objects_all_logits_are_background(kind):
    none = tuple(torch.zeros(0, dtype=torch.int64) for _ in range(3))
    logits = torch.randn(2, 1, 4, 3, requires_grad=True)
    step = OptimizerStep(ObjectCounts((0,)), 1.0)
    loss = SCORINGS[kind](ramp=0.0).loss(logits, Matched(none, none[0], torch.zeros(0)), step)
    loss.sum().backward()
    assert (logits.grad > 0).all()


@pytest.mark.parametrize("kind", SCORINGS)
def test_the_kind_alone_gives_the_published_weights(kind):
    c = config.override(recipe("conditional_detr_r50"), {"model.scoring.kind": kind})
    assert (c.model.scoring.ramp, c.model.scoring.class_weight) == (0.15, 1.0)
    loss, weights = build_loss(c)
    assert isinstance(loss.scoring, SCORINGS[kind])
    assert (weights.classes, weights.l1, weights.giou) == (1.0, 5.0, 2.0)
    assert (loss.matcher.class_cost, loss.matcher.l1_cost, loss.matcher.giou_cost) == (2.0, 5.0, 2.0)


@pytest.mark.parametrize("kind", SCORINGS)
def test_all_but_the_loss_is_as_in_focal_scoring(kind):
    scoring = build_scoring(config.override(recipe("nano"), {"model.scoring.kind": kind}).model.scoring)
    focal = FocalScoring(0.25, 2.0)
    logits, labels, real = torch.randn(2, 6, 4), torch.tensor([[1, 3], [0, 0]]), torch.tensor([0, 1, 3])
    assert torch.equal(scoring.cost(logits, labels), focal.cost(logits, labels))
    assert torch.equal(scoring.probabilities(logits), focal.probabilities(logits))
    for own, other in zip(scoring.rank(logits.sigmoid(), real, 5), focal.rank(logits.sigmoid(), real, 5)):
        assert torch.equal(own, other)
    assert scoring.num_logits(4) == 4
