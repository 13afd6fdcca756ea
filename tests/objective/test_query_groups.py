"""Groups of queries: each predicts as if it were alone, and the loss is the mean over them."""

import pytest
import torch

from condetr import config
from condetr.build import build_detector, build_learner, build_loss, build_optimizer
from condetr.config import Config
from condetr.model.detector import Detector
from condetr.objective import supervision
from condetr.objective.learners import Learner
from condetr.objective.query_groups import GroupedQueries
from condetr.types import Images, OptimizerStep, Predictions, Target
from tests.objective.alone import decoded_alone
from tests.tiny import TINY, TINY_DETR, shaken

GROUPS = 3
TRAIN = config.Train(groups=GROUPS)


def learner_of(detector: Detector, model: config.Model = TINY, train: config.Train = TRAIN) -> Learner:
    return build_learner(detector, build_loss(Config(model=model))[0], train)


def predictions_of(learner: Learner, images: Images) -> Predictions:
    """S·G B N: those of a layer's groups are adjacent."""
    detector, (part,) = learner.detector, learner.parts
    assert isinstance(part, GroupedQueries)
    targets = [Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))] * len(images.pixels)
    queries = part(detector, targets, OptimizerStep.of(targets))
    return supervision.predictions_of(detector, decoded_alone(queries, detector, detector.encode(images)), GROUPS)


@pytest.fixture
def images():
    torch.manual_seed(1)
    return Images.pad([torch.randn(3, 64, 48), torch.randn(3, 50, 80)])


@pytest.mark.parametrize("model", [TINY, TINY_DETR], ids=["conditional", "detr"])
def test_every_group_predicts_as_the_detector_would_with_its_queries(model, images):
    detector = shaken(model, classes=5)
    learner = learner_of(detector, model).eval()
    with torch.no_grad():
        grouped = predictions_of(learner, images)
        alone = [detector(images)]
        for queries in learner.parts[0].extra_queries.weight.unflatten(0, (GROUPS - 1, -1)):
            detector.queries.weight.copy_(queries)
            alone.append(detector(images))
    for group, expected in enumerate(alone):
        torch.testing.assert_close(grouped.logits[group::GROUPS], expected.logits)
        torch.testing.assert_close(grouped.boxes[group::GROUPS], expected.boxes)
    assert not torch.equal(alone[0].boxes, alone[1].boxes)


@pytest.mark.parametrize("scoring", [config.Focal(), config.Softmax()], ids=["focal", "softmax"])
def test_the_loss_is_the_mean_of_the_losses_of_the_groups(scoring, images):
    model = TINY.model_copy(update={"scoring": scoring})
    learner = learner_of(shaken(model, classes=5), model).eval()
    loss, weights = build_loss(Config(model=model))
    targets = [
        Target(torch.tensor([1, 3]), torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.6, 0.3, 0.4]])),
        Target(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.4, 0.2]])),
    ]
    step = OptimizerStep.of(targets)
    together = weights.total(learner(images, targets, step))
    grouped = predictions_of(learner, images)
    parts = [Predictions(grouped.logits[g::GROUPS], grouped.boxes[g::GROUPS]) for g in range(GROUPS)]
    apart = [weights.total(loss(part, targets, step)) for part in parts]
    torch.testing.assert_close(together, torch.stack(apart).mean())
    assert len({round(part.item(), 4) for part in apart}) == GROUPS


def test_extra_queries_learn_at_the_detectors_learning_rate():
    detector = build_detector(TINY, classes=5)
    plain, grouped = learner_of(detector, train=config.Train()), learner_of(detector)
    assert [len(group["params"]) for group in build_optimizer(plain, TRAIN).param_groups] == [
        len(group["params"]) for group in build_optimizer(detector, TRAIN).param_groups
    ]
    backbone, rest = build_optimizer(plain, TRAIN).param_groups
    assert [len(group["params"]) for group in build_optimizer(grouped, TRAIN).param_groups] == [
        len(backbone["params"]), len(rest["params"]) + 1
    ]  # fmt: skip
    assert grouped.parts[0].extra_queries.weight.shape == ((GROUPS - 1) * TINY.queries, TINY.dim)


def test_extra_queries_depend_on_the_seed_alone():
    def extra_queries(seed: int) -> torch.Tensor:
        learner = learner_of(build_detector(TINY, classes=5), train=TRAIN.model_copy(update={"seed": seed}))
        return learner.parts[0].extra_queries.weight

    torch.manual_seed(5)
    first = extra_queries(42)
    torch.manual_seed(6)
    torch.testing.assert_close(extra_queries(42), first, rtol=0, atol=0)
    assert not torch.equal(extra_queries(7), first)
