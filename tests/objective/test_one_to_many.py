"""One-to-many supervision selects the queries that its rule names, and its loss is added to the one-to-one loss."""

import pytest
import torch

from condetr import config
from condetr.build import build_detector, build_learner, build_loss
from condetr.config import Config, override
from condetr.errors import ConfigError
from condetr.objective.matching import PaddedTargets
from condetr.objective.one_to_many import ALPHA, GAMMA, select
from condetr.objective.set_loss import loss_of_matches
from condetr.recipes import recipe
from condetr.scoring import FocalScoring
from condetr.types import Images, OptimizerStep, Predictions, Target
from tests.objective.alone import decoded_alone
from tests.tiny import TINY, shaken

from . import obvious


def obvious_pairs(logits, boxes, labels, truth):
    """Pairs (query, object) of one image, one rule after another."""
    score = [
        [0.7 * obvious.iou(box, truth[o]) + 0.3 * obvious.sigmoid(row[labels[o]]) for o in range(len(labels))]
        for row, box in zip(logits, boxes)
    ]
    chosen = {}
    for query, row in enumerate(score):
        forced = [o for o in range(len(row)) if row[o] == max(other[o] for other in score)]
        objects = forced or [o for o in range(len(row)) if row[o] >= 0.4]
        if objects:
            chosen[query] = max(objects, key=lambda o: row[o])
    pairs = []
    for o in range(len(labels)):
        queries = sorted((q for q in chosen if chosen[q] == o), key=lambda q: -score[q][o])
        pairs += [(q, o) for q in queries[:6]]
    return sorted(pairs)


def scene(counts, seed, queries=20, classes=3):
    """Many queries near each object, some far from all."""
    random = torch.Generator().manual_seed(seed)
    targets, boxes = [], []
    for n in counts:
        truth = torch.rand(n, 4, generator=random) * 0.4 + 0.3
        targets.append(Target(torch.randint(classes, (n,), generator=random), truth))
        near = truth[torch.arange(queries) % n] if n else torch.full((queries, 4), 0.5)
        noise = torch.randn(2, queries, 4, generator=random) * 0.15 * torch.rand(queries, 1, generator=random)
        boxes.append((near + noise).clamp(0.05, 0.95))
    logits = torch.randn(2, len(counts), queries, classes, generator=random) * 2
    return Predictions(logits, torch.stack(boxes, dim=1)), targets


@pytest.mark.parametrize("seed", range(4))
def test_the_selected_pairs_are_those_of_the_rule(seed):
    predictions, targets = scene((3, 0, 2, 1), seed)
    found = select(predictions, PaddedTargets.of(targets))
    pairs = list(zip(*(axis.tolist() for axis in (found.layer, found.image, found.query, found.object))))
    sizes = []
    for layer in range(2):
        for image, target in enumerate(targets):
            own = [(q, o) for s, b, q, o in pairs if (s, b) == (layer, image)]
            values = (part[layer, image].tolist() for part in (predictions.logits, predictions.boxes))
            assert sorted(own) == obvious_pairs(*values, target.labels.tolist(), target.boxes.tolist())
            sizes += [sum(o == object for _, o in own) for object in range(len(target.labels))]
    assert max(sizes) == 6  # the limit
    assert min(sizes) < 6


def test_an_object_that_no_query_is_near_is_learned_by_its_best():
    boxes = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]])
    predictions = Predictions(torch.tensor([[-4.0], [-3.0]])[None, None], boxes[None, None])
    target = Target(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.1, 0.1]]))
    found = select(predictions, PaddedTargets.of([target]))
    assert (found.query.tolist(), found.object.tolist()) == ([1], [0])


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", ["focal", "iou_aware"])
def test_the_loss_is_added_to_the_one_to_one_loss(groups, kind):
    c = override(Config(model=TINY), {"model.scoring.kind": kind, "train.groups": groups})
    many = override(c, {"train.supervision": "one_to_many"})
    images = Images.pad([torch.randn(3, 64, 48), torch.randn(3, 48, 64)])
    _, targets = scene((2, 0), seed=1, queries=TINY.queries)
    step = OptimizerStep.of(targets)
    detector = shaken(c.model, classes=3)
    plain, learner = (build_learner(detector, build_loss(each)[0], each.train).eval() for each in (c, many))
    queries = learner.parts[0]
    if groups > 1:
        plain.parts[0].load_state_dict({"extra_queries.weight": queries.extra_queries.weight})
    one, both = plain(images, targets, step), learner(images, targets, step)
    decoded = decoded_alone(queries(detector, targets, step), detector, detector.encode(images))
    boxes, logits = (
        x.unflatten(2, (groups, -1))
        for x in (detector.apply_heads(decoded).boxes, queries.supervision.classes(decoded.embeddings))
    )
    expected = torch.zeros(3, TINY.decoder_layers, dtype=torch.float64)
    for layer in range(TINY.decoder_layers):
        for group in range(groups):
            rows = [(logits[layer, b, group], boxes[layer, b, group]) for b in range(2)]
            expected[:, layer] += loss_of(rows, targets) / groups
    added = torch.stack([b - a for a, b in zip(one.values(), both.values())])
    torch.testing.assert_close(added.double(), expected * torch.tensor([[2.0], [1.0], [1.0]]), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_formula(seed):
    """Along random directions, the derivative of the loss is the difference quotient of the slow formula."""
    predictions, targets = scene((3, 0, 2), seed)
    targets = [Target(target.labels, target.boxes.double()) for target in targets]
    values = [x[:1].double().requires_grad_() for x in (predictions.logits, predictions.boxes)]
    padded, step = PaddedTargets.of(targets), OptimizerStep.of(targets)
    predictions = Predictions(*values)
    terms = loss_of_matches(FocalScoring(ALPHA, GAMMA), predictions, select(predictions, padded), padded, step)

    def formula(logits, boxes):
        return loss_of(list(zip(logits[0], boxes[0])), targets)

    random = torch.Generator().manual_seed(seed)
    for place, term in enumerate((terms.classes, terms.l1, terms.giou)):
        slopes = torch.autograd.grad(term.sum(), values, retain_graph=True, allow_unused=True)
        for _ in range(3):
            steps = [torch.randn(x.shape, generator=random, dtype=torch.float64) * 1e-6 for x in values]
            above, below = (
                formula(*(x.detach() + sign * move for x, move in zip(values, steps)))[place] for sign in (1, -1)
            )
            along = sum((slope * move).sum() for slope, move in zip(slopes, steps) if slope is not None)
            assert along.abs() > 1e-8
            assert along.item() == pytest.approx((above - below).item() / 2, rel=1e-6, abs=1e-12)


def loss_of(rows, targets):
    """Focal loss, L1 and 1 - GIoU of the pairs of one layer, divided by the number of objects."""
    classes = place = overlap = 0.0
    for (logits, boxes), target in zip(rows, targets):
        logits, boxes, labels, truth = (x.tolist() for x in (logits, boxes, target.labels, target.boxes))
        pairs = dict(obvious_pairs(logits, boxes, labels, truth)) if labels else {}
        for query, row in enumerate(logits):
            classes += obvious.focal(row, labels[pairs[query]] if query in pairs else None)
        place += sum(obvious.l1(boxes[q], truth[o]) for q, o in pairs.items())
        overlap += sum(1 - obvious.giou(boxes[q], truth[o]) for q, o in pairs.items())
    total = torch.tensor([classes, place, overlap], dtype=torch.float64)
    return total / sum(len(target.labels) for target in targets)


def test_the_second_head_is_trained_and_not_part_of_the_detector():
    c = override(Config(model=TINY), {"train.supervision": "one_to_many"})
    detector = build_detector(TINY, classes=3)
    loss, weights = build_loss(c)
    learner = build_learner(detector, loss, c.train)
    images, (_, targets) = Images.pad([torch.randn(3, 32, 32)] * 2), scene((2, 1), seed=0)
    weights.total(learner(images, targets, OptimizerStep.of(targets))).backward()
    head = learner.parts[0].supervision.classes
    assert head.weight.grad.abs().sum() > 0
    assert (head.in_features, head.out_features) == (TINY.dim, 3)
    assert not any("supervision" in name for name in detector.state_dict())


def test_the_class_weights_are_the_published_ones():
    one_to_many = {"train.supervision": "one_to_many"}
    assert build_loss(override(recipe("conditional_detr_r18"), one_to_many))[1].classes == 1.0
    iou_aware = {**one_to_many, "model.scoring.kind": "iou_aware"}
    loss, weights = build_loss(override(recipe("conditional_detr_r18"), iou_aware))
    assert (weights.classes, loss.matcher.class_cost) == (1.0, 2.0)
    with pytest.raises(ConfigError, match=r"^train.supervision=one_to_many needs model.scoring.kind=focal") as caught:
        override(recipe("detr_r50"), one_to_many)
    assert "\n" not in str(caught.value)
    assert config.Train().supervision == "one_to_one"
