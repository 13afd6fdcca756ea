"""Every model and every ablation trains: two images are learnt by heart."""

import pytest
import torch

from condetr import config
from condetr.build import build_detector, build_loss
from condetr.types import Images, ObjectCounts, Target
from tests.tiny import FORMS, TINY, TINY_DETR

NANO = config.Backbone(name="nano", last_stage=2, stride=8, norm="channel", trains_from="stem")


def variant(base: config.Model, **changes: object) -> config.Model:
    return config.Model.model_validate(base.model_dump() | {"backbone": NANO.model_dump()} | changes)


VARIANTS = {
    "detr": variant(TINY_DETR),
    "softmax": variant(TINY, scoring={"kind": "softmax"}),
    **{f"reference {r}": variant(TINY, reference=r) for r in ("centre", "learned")},
    **{form: variant(TINY, decoder={"kind": "conditional", "spatial_query": form}) for form in FORMS},
}


@pytest.mark.parametrize("model", VARIANTS.values(), ids=VARIANTS)
def test_two_images_are_learnt(model):
    torch.manual_seed(0)
    detector = build_detector(model, classes=5)
    loss, weights = build_loss(config.Config(model=model))
    images = Images.pad([torch.randn(3, 48, 64), torch.randn(3, 48, 40)])
    targets = [
        Target(torch.tensor([1, 3]), torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.6, 0.3, 0.4]])),
        Target(torch.zeros(0, dtype=torch.long), torch.zeros(0, 4)),
    ]
    optimizer = torch.optim.AdamW(detector.parameters(), 3e-3)
    history = []
    for _ in range(60):
        total = weights.total(loss(detector(images), targets, ObjectCounts.of(targets)))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(total.item())
    assert history[-1] < 0.6 * history[0], (history[0], history[-1])
    untouched = [n for n, p in detector.named_parameters() if p.requires_grad and p.grad is None]
    assert untouched == []
