"""Denoising queries, computed one image and one group at a time: noise, assignment, loss, gradients; and isolation."""

import pytest
import torch

from condetr.build import build_detector, build_learner, build_loss
from condetr.config import Config, override
from condetr.errors import ConfigError
from condetr.model.tokens import Tokens
from condetr.objective.denoising import CONTRASTIVE, DenoisingQueries, add_noise, groups_of
from condetr.objective.matching import PaddedTargets
from condetr.recipes import recipe
from condetr.types import Images, ObjectCounts, OptimizerStep, Target
from tests.objective.alone import loss_alone
from tests.tiny import TINY, shaken

CLASSES = 4
REFINING = override(Config(model=TINY), {"model.decoder.kind": "refining", "train.denoising": 12})
COUNTS = (3, 0, 1)  # 3 objects at most: 12 queries are 2 groups


def scene(counts=COUNTS) -> tuple[Images, list[Target]]:
    random = torch.Generator().manual_seed(3)
    images = Images.pad([torch.randn(3, 48, 32 + 16 * i, generator=random).double() for i in range(len(counts))])
    boxes = [torch.rand(n, 4, generator=random, dtype=torch.float64) * 0.4 + 0.2 for n in counts]
    return images, [Target(torch.randint(CLASSES, (len(b),), generator=random), b) for b in boxes]


def noise_of(targets, groups, kinds):
    """[image][group][kind][object] → (label, box): the same random numbers, applied one coordinate at a time."""
    shape = (len(targets), groups, kinds, max(1, *(len(t.labels) for t in targets)))
    random, other = torch.rand(*shape, 5).tolist(), torch.randint(CLASSES, shape).tolist()

    def noised(image, group, kind, object):
        u = random[image][group][kind][object]
        x, y, w, h = targets[image].boxes[object].tolist()
        corners = []
        for value, side, v in zip((x - w / 2, y - h / 2, x + w / 2, y + h / 2), (w, h, w, h), u):
            distance, sign = abs(2 * v - 1), 1 if v >= 0.5 else -1
            corners.append(min(1.0, max(0.0, value + sign * (distance + kind) * side / 2)))
        (x1, x2), (y1, y2) = sorted(corners[0::2]), sorted(corners[1::2])
        label = other[image][group][kind][object] if u[4] < 0.25 else targets[image].labels[object].item()
        return label, [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]

    return [
        [[[noised(i, g, k, o) for o in range(len(t.labels))] for k in range(kinds)] for g in range(groups)]
        for i, t in enumerate(targets)
    ]


def focal(x, positive):
    p = x.sigmoid() if positive else 1 - x.sigmoid()
    return -(0.25 if positive else 0.75) * (1 - p) ** 2 * p.log()


def obvious(detector, labels, memory, targets, noise, groups):
    """Terms (3, S): every group of every image is decoded alone, without padding, and its assignment is known."""
    terms = torch.zeros(3, TINY.decoder_layers, dtype=torch.float64)
    for i, target in enumerate(targets):
        if not len(target.labels):
            continue
        alone = Tokens(
            memory.content[i : i + 1], memory.position[i : i + 1], memory.padding[i : i + 1], memory.grid, True,
            type(memory.cells)(memory.cells.stride, memory.cells.size[i : i + 1]),
        )  # fmt: skip
        for group in noise[i]:
            queries = [query for kind in group for query in kind]
            content = torch.stack([labels.weight[label] for label, _ in queries])[None]
            start = torch.tensor([box for _, box in queries], dtype=torch.float64).clamp(1e-3, 1 - 1e-3)
            predictions = detector.apply_heads(detector.decode(content, alone, (start / (1 - start)).log()[None]))
            for s in range(TINY.decoder_layers):
                for n in range(len(queries)):
                    own = target.labels[n] if n < len(target.labels) else None
                    for label in range(CLASSES):
                        terms[0, s] += focal(predictions.logits[s, 0, n, label], own is not None and label == own)
                    if own is not None:
                        box, truth = predictions.boxes[s, 0, n], target.boxes[n]
                        terms[1, s] += (box - truth).abs().sum()
                        terms[2, s] += 1 - giou(box, truth)
    return terms / sum(len(t.labels) for t in targets) / groups


def giou(a, b):
    a1, a2, b1, b2 = a[:2] - a[2:] / 2, a[:2] + a[2:] / 2, b[:2] - b[2:] / 2, b[:2] + b[2:] / 2
    overlap = (torch.minimum(a2, b2) - torch.maximum(a1, b1)).clamp(min=0).prod()
    union = a[2:].prod() + b[2:].prod() - overlap
    hull = (torch.maximum(a2, b2) - torch.minimum(a1, b1)).prod()
    return overlap / union - (hull - union) / hull


@pytest.mark.parametrize(("noise", "kinds", "groups"), [("contrastive", 2, 2), ("positive", 1, 4)])
def test_the_loss_and_its_gradients_are_those_of_each_group_alone(noise, kinds, groups):
    detector, (images, targets) = shaken(REFINING.model, CLASSES).double(), scene()
    train = override(REFINING, {"train.denoising_noise": noise}).train
    learner = build_learner(detector, build_loss(REFINING)[0], train).double().eval()
    queries = learner.parts[1]
    assert isinstance(queries, DenoisingQueries)
    weights = [*queries.parameters(), *detector.decoder.parameters(), *detector.heads.parameters()]
    memory = detector.encode(images)

    def gradients(terms):
        total = (terms * torch.tensor([[2.0], [5.0], [2.0]])).sum()
        return torch.autograd.grad(total, weights, allow_unused=True, retain_graph=True)

    torch.manual_seed(1)
    terms = torch.stack(loss_alone(queries, detector, memory, targets, OptimizerStep.of(targets)).values())
    torch.manual_seed(1)
    expected = obvious(detector, queries.labels, memory, targets, noise_of(targets, groups, kinds), groups)
    torch.testing.assert_close(terms, expected, atol=1e-6, rtol=1e-6)
    for found, wanted in zip(gradients(terms), gradients(expected)):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)


def test_the_noise_of_positives_and_negatives_is_in_its_range_and_uniform():
    box = torch.tensor([[0.5, 0.5, 0.2, 0.1]])
    targets = PaddedTargets.of([Target(torch.tensor([1]), box)])
    torch.manual_seed(0)
    noised = add_noise(targets, 4000, CONTRASTIVE, CLASSES)
    x, _, w, h = noised.boxes.view(4000, 2, 4).unbind(-1)  # of each group, the positive and the negative query
    left, right = (x - w / 2 - 0.4) / 0.1, (x + w / 2 - 0.6) / 0.1  # in half widths
    assert left[:, 0].abs().max() <= 1 >= right[:, 0].abs().max()
    assert left[:, 0].mean().abs() < 0.03 > right[:, 0].mean().abs()
    assert left[:, 0].abs().mean().item() == pytest.approx(0.5, abs=0.03)
    kept = (left[:, 1].abs() >= 1 - 1e-5) & (right[:, 1].abs() >= 1 - 1e-5)
    crossed = ((left[:, 1] - 2).abs() <= 2 + 1e-5) & ((right[:, 1] + 2).abs() <= 2 + 1e-5)
    assert (kept | crossed).all()
    assert left[:, 1].min() < -1.9
    assert right[:, 1].max() > 1.9
    assert torch.minimum(w, h).min() >= 0
    other = (noised.labels != 1).float().mean().item()
    assert other == pytest.approx(0.25 * (CLASSES - 1) / CLASSES, abs=0.02)


def test_the_number_of_groups_is_that_of_the_whole_step():
    def groups(budget, *counts):
        return groups_of(budget, 2, OptimizerStep(ObjectCounts(counts), 0.0))

    assert [groups(50, 5, 1), groups(50, 1), groups(50, 30), groups(50, 0)] == [5, 25, 1, 25]


def test_the_parts_of_a_step_add_up_to_its_loss(monkeypatch):
    detector, (images, targets) = shaken(REFINING.model, CLASSES).double(), scene()
    queries = build_learner(detector, build_loss(REFINING)[0], REFINING.train).double().parts[1]
    step = OptimizerStep.of(targets)
    monkeypatch.setattr(torch, "rand", lambda *shape, device: torch.full(shape, 0.8))

    def share(i):
        part = Images(images.pixels[i], images.padding[i], ragged=True)
        return torch.stack(loss_alone(queries, detector, detector.encode(part), targets[i], step).values())

    with torch.no_grad():
        whole, parts = share(slice(0, 3)), [share(slice(0, 1)), share(slice(1, 2)), share(slice(2, 3))]
    torch.testing.assert_close(sum(parts), whole)
    assert (parts[1][1:] == 0).all()  # of the image without objects
    assert (parts[1][0] == 0).all()


@pytest.mark.parametrize("more", [{}, {"train.groups": 3, "train.supervision": "one_to_many"}])
def test_all_else_learns_as_without_denoising(more):
    with_all = override(REFINING, {"model.scoring.kind": "iou_aware", **more})
    detector, (images, targets) = shaken(with_all.model, CLASSES), scene()
    images, step = Images(images.pixels.float(), images.padding), OptimizerStep.of(targets, progress=0.1)
    targets = [Target(t.labels, t.boxes.float()) for t in targets]
    learner = build_learner(detector, build_loss(with_all)[0], with_all.train)
    without = override(with_all, {"train.denoising": 0})
    plain = build_learner(detector, build_loss(without)[0], without.train)
    assert all(torch.equal(a, b) for a, b in zip(learner.parts[0].parameters(), plain.parts[0].parameters()))
    torch.manual_seed(2)
    both, own = learner(images, targets, step), plain(images, targets, step)
    torch.manual_seed(2)
    added = loss_alone(learner.parts[1], detector, detector.encode(images), targets, step)
    for a, b, c in zip(both.values(), own.values(), added.values()):
        torch.testing.assert_close(a, b + c)
        assert (c > 0).all()
    assert not any("labels" in name for name in detector.state_dict())


def test_a_step_without_objects_has_finite_gradients():
    detector, (images, targets) = build_detector(REFINING.model, CLASSES).double(), scene((0, 0))
    loss, weights = build_loss(REFINING)
    learner = build_learner(detector, loss, REFINING.train).double()
    weights.total(learner(images, targets, OptimizerStep.of(targets))).backward()
    assert (learner.parts[1].labels.weight.grad == 0).all()
    assert all(p.grad.isfinite().all() for p in learner.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "train.denoising needs model.decoder.kind=refining"),
        ({"model.decoder.kind": "refining", "model.scoring.kind": "softmax"},
         "train.denoising needs model.scoring.kind=focal, iou_aware or mal"),
    ],
)  # fmt: skip
def test_models_that_denoising_does_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(ConfigError) as caught:
        override(recipe("conditional_detr_r18"), {"train.denoising": 50, **settings})
    assert str(caught.value) == message
