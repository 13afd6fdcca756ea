"""The assembled models: sizes, start, what learns, and the same predictions alone or in a batch."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from condetr import config
from condetr.build import build_detector
from condetr.model.tokens import Tokens
from condetr.recipes import recipe
from condetr.types import ComputedImages, Images
from tests.tiny import FORMS, TINY, TINY_DETR, shaken

PUBLISHED = {  # facts §5: parameters, of which learning, buffers, GMACs at 800 x 1066
    "conditional_detr_r50": (43_418_401, 43_196_001, 106_240, 85.25),
    "conditional_detr_dc5_r50": (43_418_401, 43_196_001, 106_240, 180.92),
    "conditional_detr_r101": (62_358_305, 62_135_905, 210_688, 148.69),
    "conditional_detr_dc5_r101": (62_358_305, 62_135_905, 210_688, None),
    "detr_r50": (41_524_768, 41_302_368, 106_240, 81.25),
    "detr_dc5_r50": (41_524_768, 41_302_368, 106_240, 173.25),
    "detr_r101": (60_464_672, 60_242_272, 210_688, 144.69),
    "detr_dc5_r101": (60_464_672, 60_242_272, 210_688, None),
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name):
    parameters, learning, buffers, _ = PUBLISHED[name]
    with torch.device("meta"):
        detector = build_detector(recipe(name).model, 91)
    assert count(detector) == parameters
    assert sum(p.numel() for p in detector.parameters() if p.requires_grad) == learning
    assert sum(b.numel() for b in detector.buffers()) == buffers


@pytest.mark.parametrize("name", [name for name, row in PUBLISHED.items() if row[3]])
def test_multiplications_are_the_published_ones(name):
    with torch.device("meta"):
        detector = build_detector(recipe(name).model, 91).eval()
        images = Images(torch.zeros(1, 3, 800, 1066), torch.zeros(1, 800, 1066, dtype=torch.bool), ragged=False)
        with FlopCounterMode(display=False) as counter:
            detector(images)
    assert counter.get_total_flops() / 2e9 == pytest.approx(PUBLISHED[name][3], abs=0.05)


def test_parts_have_the_published_sizes():
    with torch.device("meta"):
        detector = build_detector(recipe("conditional_detr_r50").model, 91)
        detr = build_detector(recipe("detr_r50").model, 91)
    assert {count(layer) for layer in detector.encoder.layers} == {1_315_072}
    assert [count(layer) for layer in detector.decoder.layers] == [1_907_712] + [1_841_920] * 5
    assert count(detector.decoder.spatial_query) == 131_584
    assert count(detector.reference) == 66_306
    assert (count(detector.heads.classes), count(detector.heads.box)) == (23_387, 132_612)
    assert (count(detector.queries), count(detector.project)) == (76_800, 524_544)
    assert {count(layer) for layer in detr.decoder.layers} == {1_578_752}
    assert (count(detr.heads.classes), count(detr.queries)) == (23_644, 25_600)


def test_42_of_53_convolutions_of_a_resnet_50_learn():
    with torch.device("meta"):
        backbone = build_detector(recipe("detr_r50").model, 91).backbone
    convolutions = [m.weight for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 53
    assert sum(w.requires_grad for w in convolutions) == 42
    assert not any(p.requires_grad for p in [backbone.conv1.weight, *backbone.layer1.parameters()])


def test_a_conditional_detr_starts_as_the_official_one():
    torch.manual_seed(0)
    detector = build_detector(config.Model(backbone=TINY.backbone), 91).eval()
    assert detector.heads.classes.bias.unique().item() == pytest.approx(-4.59512, abs=1e-5)
    reference = detector.reference(detector.queries.weight[None])
    assert 0.12 < reference.sigmoid().std() < 0.20
    with torch.no_grad():
        predictions = detector(Images.pad([torch.randn(3, 64, 96)]))
    centre, size = predictions.boxes[-1].split(2, dim=-1)
    torch.testing.assert_close(centre, reference.sigmoid(), atol=1e-6, rtol=0)
    assert (size == 0.5).all()
    assert predictions.logits.mean().item() == pytest.approx(-4.59, abs=0.15)
    layers = detector.decoder.layers
    for linear in (lambda layer: layer.cross_attention.key_content, lambda layer: layer.feed_forward[0]):
        assert all(torch.equal(linear(layers[0]).bias, linear(layer).bias) for layer in layers)
        assert not torch.equal(linear(layers[0]).weight, linear(layers[1]).weight)
        assert linear(layers[1]).bias.abs().max() > 0
    assert all(layer.cross_attention.out.bias.abs().max() == 0 for layer in layers)
    bound = layers[0].cross_attention.query_content.weight.abs().max().item()
    assert bound == pytest.approx((6 / 512) ** 0.5, rel=1e-2)
    bound = detector.encoder.layers[0].attention.query.weight.abs().max().item()
    assert bound == pytest.approx((6 / 1024) ** 0.5, rel=1e-2)
    assert detector.reference.point[2].weight.abs().max().item() == pytest.approx((6 / 258) ** 0.5, rel=5e-2)
    assert detector.queries.weight.std().item() == pytest.approx(1, abs=0.02)


def test_detrs_heads_start_with_torchs_defaults():
    torch.manual_seed(0)
    heads = build_detector(TINY_DETR, 91).heads
    assert heads.classes.bias.abs().max() < TINY.dim**-0.5
    assert heads.box[-1].weight.abs().min() > 0


def test_without_content_the_first_self_attention_gives_every_query_the_same():
    """Facts §6: with content zero every query gets the same vector, so it may be computed once."""
    layer = shaken(config.Model(**{**TINY.model_dump(), "dim": 64}), 3).decoder.layers[0]
    x = layer.self_attention(torch.zeros(1, 5, 64), torch.randn(1, 5, 64), None)
    torch.testing.assert_close(x, x[:, :1].expand_as(x), atol=1e-6, rtol=0)


def test_at_the_start_only_these_parameters_have_no_gradient():
    torch.manual_seed(0)
    detector = build_detector(TINY, 3).eval()
    predictions = detector(Images.pad([torch.randn(3, 64, 64)]))
    (predictions.logits.square().sum() + predictions.boxes.square().sum()).backward()
    silent = {
        name for name, p in detector.named_parameters()
        if p.requires_grad and (p.grad is None or p.grad.abs().max() < 1e-12)
    }  # fmt: skip
    content = {f"decoder.layers.0.self_attention.{part}.weight" for part in ("query_content", "key_content", "value")}
    box = {f"heads.box.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    keys = {
        name for name in silent if "self_attention" in name and "layers.0" in name
    }  # all tokens are equal: no effect
    assert content <= silent
    assert box <= silent
    biases = {n for n in silent if n.endswith(("key.bias", "key_content.bias", "key_position.bias"))}  # softmax's own
    assert silent - content - box - keys - biases <= {"heads.box.0.weight"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reference", ["centre", "learned", "predicted"])
def test_every_ablation_predicts_boxes_inside_the_image(form, reference):
    decoder = {"kind": "conditional", "spatial_query": form}
    detector = shaken(config.Model(**{**TINY.model_dump(), "decoder": decoder, "reference": reference}), 3)
    predictions = detector(Images.pad([torch.randn(3, 48, 80)]))
    assert predictions.logits.shape == (3, 1, 7, 3)
    assert predictions.boxes.shape == (3, 1, 7, 4)
    assert ((predictions.boxes > 0) & (predictions.boxes < 1)).all()


def test_the_last_layer_alone_predicts_the_same():
    detector = shaken(TINY, 3)
    images = Images.pad([torch.randn(3, 48, 80)])
    with torch.no_grad():
        torch.testing.assert_close(detector.predict(images).logits[0], detector(images).logits[-1])
        torch.testing.assert_close(detector.predict(images).boxes[0], detector(images).boxes[-1])


def test_keys_lie_where_queries_point():
    """A query whose reference point is the far corner of a cell has the embedding p that is this cell's key position,
    in every layer, whatever the size of the image and of the batch around it."""
    model = config.Model(**{**TINY.model_dump(), "reference": "learned", "queries": 6})
    detector = shaken(model, 3)
    images = Images.pad([torch.randn(3, 32, 48), torch.randn(3, 64, 80)])  # the first has 2 × 3 cells of stride 16
    corners = [((column + 1) / 3, (row + 1) / 2) for row in range(2) for column in range(3)]
    points = torch.tensor(corners).clamp(max=1 - 1e-6)
    given = []
    detector.decoder.spatial_query.register_forward_hook(lambda _, inputs, __: given.append(inputs[2]))
    with torch.no_grad():
        detector.reference.point.copy_(points.logit())
        tokens = detector.tokens(images)
        detector(images)
    assert len(given) == model.decoder_layers - 1  # the first layer takes p as it is
    rows, columns = tokens.grid
    assert (rows, columns) == (4, 5)
    keys = tokens.position.unflatten(1, tokens.grid)[0, :2, :3].flatten(0, 1)
    for p in given:
        torch.testing.assert_close(p[0], keys, atol=1e-4, rtol=0)
    assert (keys[:, None] - keys[None]).abs().amax(-1).fill_diagonal_(1).min() > 0.1  # each cell has its own


sides = st.integers(33, 150)
backbones = st.sampled_from(
    [
        config.Backbone(name="nano", last_stage=2, stride=8, norm="channel"),
        config.Backbone(name="nano", last_stage=3, stride=16, norm="channel"),
        config.Backbone(name="resnet18", last_stage=3, stride=16),
        config.Backbone(name="resnet34"),
        config.Backbone(name="resnet50"),
        config.Backbone(name="resnet50", stride=16),
        config.Backbone(name="resnet101", stride=16),
    ]
)


@settings(max_examples=20)
@given(st.lists(st.tuples(sides, sides), min_size=2, max_size=3), backbones, st.sampled_from([TINY, TINY_DETR]))
def test_an_image_gets_the_same_predictions_alone_and_in_a_batch(sizes, backbone, model):
    """Equal, up to rounding: to the digits of float64, and within what is promised of float32."""
    detector = shaken(config.Model(**{**model.model_dump(), "backbone": backbone.model_dump()}), 3)
    for dtype, logit in ((torch.float32, 1e-4), (torch.float64, 1e-10)):  # boxes are float32 in both
        detector.to(dtype)
        images = [torch.randn(3, h, w, dtype=dtype) for h, w in sizes]
        with torch.no_grad():
            together = detector(Images.pad(images))
            for i, image in enumerate(images):
                alone = detector(Images.pad([image]))
                assert (together.logits[:, i] - alone.logits[:, 0]).abs().max() <= logit
                torch.testing.assert_close(together.boxes[:, i], alone.boxes[:, 0], atol=1e-6, rtol=1e-5)


def test_the_published_padding_leaks():
    """The reason for our own rule: with the official one, the predictions of an image depend on its batch."""
    exact = shaken(TINY, 3)
    backbone = {**TINY.backbone.model_dump(), "padding": "published"}
    published = shaken(config.Model(**{**TINY.model_dump(), "backbone": backbone}), 3)
    published.load_state_dict(exact.state_dict())
    images = [torch.randn(3, 64, 64), torch.randn(3, 96, 120)]
    with torch.no_grad():
        alone = exact(Images.pad(images[:1])).logits
        torch.testing.assert_close(published(Images.pad(images[:1])).logits, alone)
        torch.testing.assert_close(exact(Images.pad(images)).logits[:, :1], alone, atol=1e-5, rtol=1e-4)
        assert (published(Images.pad(images)).logits[:, :1] - alone).abs().max() > 1e-3


@pytest.mark.parametrize("model", [TINY, TINY_DETR], ids=["conditional", "detr"])
def test_padding_is_never_seen(model):
    """Not by the encoder, and not by any decoder layer: whatever stands in the padded tokens, predictions are equal."""
    detector = shaken(model, 3)
    images = Images.pad([torch.randn(3, 96, 96), torch.randn(3, 50, 64)])
    queries = detector.object_queries(images)
    with torch.no_grad():
        tokens = detector.tokens(images)
        memory = detector.encoder(tokens)
        expected = detector.apply_heads(detector.decode(queries, memory))
        assert 0 < tokens.padding.sum() < tokens.padding.numel() / 2
        loud = with_noise(tokens, tokens.padding)
        encoded = detector.encoder(loud)
        torch.testing.assert_close(encoded.content[~tokens.padding], memory.content[~tokens.padding])
        found = detector.apply_heads(detector.decode(queries, with_noise(memory, memory.padding)))
        torch.testing.assert_close(found.logits, expected.logits)
        torch.testing.assert_close(found.boxes, expected.boxes)
        inside = torch.zeros_like(tokens.padding)
        inside[:, 0] = True  # the same noise in one token of the image is seen by both: the test can fail
        assert not torch.allclose(detector.encoder(with_noise(tokens, inside)).content[:, 1], memory.content[:, 1])
        changed = detector.apply_heads(detector.decode(queries, with_noise(memory, inside)))
        assert not torch.allclose(changed.logits, expected.logits)


def with_noise(tokens: Tokens, where: torch.Tensor) -> Tokens:
    """Large content and positions in some tokens."""
    noise = 100 * torch.randn(tokens.content.shape, generator=torch.Generator().manual_seed(0))
    content, position = (torch.where(where[..., None], noise, x) for x in (tokens.content, tokens.position))
    return replace(tokens, content=content, position=position)


def test_features_computed_before_give_the_same_predictions():
    detector = shaken(TINY, classes=3)
    images = Images.pad([torch.randn(3, 60, 40), torch.randn(3, 33, 64)])
    computed = ComputedImages.of(detector.backbone(images), images.padding, images.ragged)
    expected, found = detector(images), detector(computed.to("cpu"))
    assert len(computed) == 2
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.boxes, expected.boxes)
