"""The papers' optimizer; each test excludes a mistake that makes DETRs converge badly."""

import math

import pytest
import torch
from torch import nn

from condetr import recipes
from condetr.build import build_decay, build_detector, build_optimizer, build_schedule
from condetr.config import Train
from condetr.engine.ema import Average, Decay
from condetr.engine.optimizer import clip, set_lr
from condetr.scoring import PRIOR

PUBLISHED = recipes.recipe("conditional_detr_r50")


@pytest.fixture(scope="module")
def published():
    with torch.device("meta"):
        return build_detector(PUBLISHED.model, 3)


def test_stem_and_first_stage_are_frozen_and_42_of_53_convolutions_learn(published):
    convolutions = {
        name: p for name, p in published.backbone.named_parameters() if p.dim() == 4 and name.endswith("weight")
    }
    assert len(convolutions) == 53
    learning = {name for name, p in convolutions.items() if p.requires_grad}
    assert len(learning) == 42
    assert not any(name.startswith(("conv1", "layer1")) for name in learning)


def test_every_class_starts_with_a_low_probability(published):
    detector = build_detector(recipes.recipe("nano").model, 5)
    assert abs(PRIOR + 4.59512) < 1e-5
    assert (detector.heads.classes.bias == PRIOR).all()


def test_the_backbone_has_a_tenth_of_the_learning_rate_and_all_parameters_decay(published):
    optimizer = build_optimizer(published, PUBLISHED.train)
    set_lr(optimizer, 1e-4)
    names = {id(p): name for name, p in published.named_parameters()}
    groups = {names[id(p)]: group for group in optimizer.param_groups for p in group["params"]}
    assert set(groups) == {name for name, p in published.named_parameters() if p.requires_grad}
    for name, group in groups.items():
        assert group["lr"] == pytest.approx(1e-5 if name.startswith("backbone.") else 1e-4)
        assert group["weight_decay"] == 1e-4
    assert len(optimizer.param_groups) == 2


def test_box_biases_do_not_decay():
    with torch.device("meta"):
        detector = build_detector(recipes.recipe("condetr_r50").model, 3)
    names = {id(p): name for name, p in detector.named_parameters()}
    groups = build_optimizer(detector, PUBLISHED.train).param_groups
    without = {names[id(p)] for group in groups for p in group["params"] if group["weight_decay"] == 0}
    assert without == {name for name in names.values() if ".box_biases." in name}
    assert len(without) == 6 * 7  # in each layer two MLPs of three tensors, and the decay
    assert sum(len(group["params"]) for group in groups) == sum(p.requires_grad for p in detector.parameters())


def test_the_learning_rate_drops_after_the_papers_epochs_and_grows_during_the_warm_up():
    lr = build_schedule(Train(epochs=50, drop_at=0.8, lr=1e-4), 10)
    assert [lr(epoch, 0) for epoch in (0, 39, 40, 49)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    detr = build_schedule(Train(epochs=300, drop_at=2 / 3), 10)
    assert (detr(199, 0), detr(200, 0)) == pytest.approx((1e-4, 1e-5))
    warm = build_schedule(Train(lr=1e-3, warmup_steps=4), 10)
    assert [warm(0, step) for step in range(6)] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3])
    assert build_schedule(Train(epochs=1), 1)(0, 0) == Train().lr  # a single epoch has the full learning rate


def test_the_warm_up_can_be_a_share_of_the_run_and_has_an_upper_limit():
    share = Train(epochs=10, warmup=0.05)
    assert [build_schedule(share, steps).warmup for steps in (1, 12, 100, 4000, 100_000)] == [0, 6, 50, 2000, 2000]
    assert build_schedule(share, 12)(0, 2) == pytest.approx(share.lr / 2)
    assert build_schedule(Train(warmup_steps=7), 100).warmup == 7


def test_a_flat_learning_rate_falls_along_a_cosine_to_a_twentieth():
    train = Train(epochs=10, lr=1e-3, warmup=0.1, schedule="flat_cosine", drop_at=0.2)
    lr = build_schedule(train, 10)
    values = [lr(step // 10, step) for step in range(100)]
    assert values[:10] == pytest.approx([1e-3 * (step / 10) ** 2 for step in range(1, 11)])
    assert values[9:51] == [1e-3] * 42  # `drop_at` is not used
    assert values[75] == pytest.approx(1e-3 * (0.05 + 0.95 / 2))
    assert values[50:] == sorted(set(values[50:]), reverse=True)
    assert values[-1] == pytest.approx(5e-5, rel=0.03)
    assert lr(10, 100) == pytest.approx(5e-5)


def test_clipping_is_by_the_norm_of_all_gradients_together():
    parameters = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.full((3,), 2.0), torch.full((4,), 1.0)
    before = [p.grad.clone() for p in parameters[:2]]
    assert clip(parameters, 0.1) == pytest.approx(4.0)
    assert sum((p.grad**2).sum() for p in parameters[:2]).sqrt() == pytest.approx(0.1, rel=1e-4)
    torch.testing.assert_close(parameters[0].grad / before[0], torch.full((3,), 0.025), rtol=1e-4, atol=0)
    assert clip(parameters, 0.1) == pytest.approx(0.1, rel=1e-4)
    parameters[0].grad = torch.full((3,), 5.0)
    assert clip(parameters, 0.0) > 1
    assert (parameters[0].grad == 5).all()


def test_the_step_is_torchs_own_adamw_after_torchs_own_clipping():
    torch.manual_seed(0)
    ours = nn.ModuleDict({"backbone": nn.Linear(3, 3), "rest": nn.Linear(3, 2)})
    theirs = nn.ModuleDict({"backbone": nn.Linear(3, 3), "rest": nn.Linear(3, 2)})
    theirs.load_state_dict(ours.state_dict())
    groups = [{"params": theirs["backbone"].parameters(), "lr": 1e-3}, {"params": theirs["rest"].parameters()}]
    reference = torch.optim.AdamW(groups, lr=1e-2, weight_decay=1e-4, foreach=False)
    optimizer = build_optimizer(ours, Train(lr=1e-2))
    for _ in range(3):
        x = torch.randn(5, 3)
        for model in (ours, theirs):
            model.zero_grad()
            (model["rest"](model["backbone"](x)) ** 2).sum().backward()
        clip(ours.parameters(), 0.1)
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
        set_lr(optimizer, 1e-2)
        optimizer.step()
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(a, b)


def test_the_average_is_an_exponential_moving_average():
    model = nn.Linear(1, 1, bias=False)
    average = Average(model, Decay(0.9, ramp=0))
    expected = model.weight.item()
    for step in range(200):
        nn.init.constant_(model.weight, float(step))
        average.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert not average.model.weight.requires_grad


def test_the_decay_of_the_average_ramps_up_and_its_window_is_at_most_a_share_of_the_run():
    ramp = build_decay(Train(ema=0.99, ema_ramp=100), steps=10)
    assert ramp(0) == pytest.approx(0.99 * (1 - math.exp(-0.01)))
    assert ramp(99) == pytest.approx(0.99 * (1 - math.exp(-1)))
    assert [build_decay(Train(ema=0.99), steps=10)(step) for step in (0, 89, 10_000)] == [0.1, 90 / 99, 0.99]
    window = Train(ema=0.99, ema_window=0.05)
    assert [build_decay(window, steps).limit for steps in (10, 200, 1000, 4000)] == pytest.approx([0, 0.9, 0.98, 0.99])
