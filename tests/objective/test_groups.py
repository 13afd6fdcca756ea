"""Groups of queries: each answers as if it were alone, and the loss is the mean over them."""

import pytest
import torch

from condetr import config
from condetr.build import build_detector, build_learner, build_loss
from condetr.engine.optimizer import adamw
from condetr.types import Images, ObjectCounts, Predictions, Target
from tests.tiny import TINY, TINY_DETR, shaken

GROUPS = 3
TRAIN = config.Train(groups=GROUPS)


@pytest.fixture
def images():
    torch.manual_seed(1)
    return Images.pad([torch.randn(3, 64, 48), torch.randn(3, 50, 80)])


@pytest.mark.parametrize("model", [TINY, TINY_DETR], ids=["conditional", "detr"])
def test_every_group_answers_as_the_detector_with_its_queries_would(model, images):
    detector = shaken(model, classes=5)
    learner = build_learner(detector, TRAIN).eval()
    with torch.no_grad():
        found = learner(images)
        apart = [detector(images)]
        for queries in learner.more.weight.unflatten(0, (GROUPS - 1, -1)):
            detector.queries.weight.copy_(queries)
            apart.append(detector(images))
    for group, alone in enumerate(apart):
        torch.testing.assert_close(found.logits[group::GROUPS], alone.logits)
        torch.testing.assert_close(found.boxes[group::GROUPS], alone.boxes)
    assert not torch.equal(apart[0].boxes, apart[1].boxes)


@pytest.mark.parametrize("scoring", [config.Focal(), config.Softmax()], ids=["focal", "softmax"])
def test_the_loss_is_the_mean_of_the_groups_own(scoring, images):
    model = TINY.model_copy(update={"scoring": scoring})
    learner = build_learner(shaken(model, classes=5), TRAIN).eval()
    loss, weights = build_loss(config.Config(model=model))
    targets = [
        Target(torch.tensor([1, 3]), torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.6, 0.3, 0.4]])),
        Target(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.4, 0.2]])),
    ]
    found, object_counts = learner(images), ObjectCounts.of(targets)
    together = weights.total(loss(found, targets, object_counts).mean_of(GROUPS))
    parts = [Predictions(found.logits[g::GROUPS], found.boxes[g::GROUPS]) for g in range(GROUPS)]
    apart = [weights.total(loss(part, targets, object_counts)) for part in parts]
    torch.testing.assert_close(together, torch.stack(apart).mean())
    assert len({round(part.item(), 4) for part in apart}) == GROUPS


def test_all_of_it_learns_at_the_detectors_rates():
    detector = build_detector(TINY, classes=5)
    assert build_learner(detector, config.Train()) is detector
    learner = build_learner(detector, TRAIN)
    alone, grouped = (adamw(each, TRAIN).param_groups for each in (detector, learner))
    assert [len(group["params"]) for group in grouped] == [len(alone[0]["params"]), len(alone[1]["params"]) + 1]
    assert learner.more.weight.shape == ((GROUPS - 1) * TINY.queries, TINY.dim)


def test_the_seed_alone_says_where_the_queries_start():
    torch.manual_seed(5)
    first = build_learner(build_detector(TINY, classes=5), TRAIN).more.weight
    torch.manual_seed(6)
    again, other = (
        build_learner(build_detector(TINY, classes=5), TRAIN.model_copy(update={"seed": s})) for s in (42, 7)
    )
    torch.testing.assert_close(again.more.weight, first, rtol=0, atol=0)
    assert not torch.equal(other.more.weight, first)
