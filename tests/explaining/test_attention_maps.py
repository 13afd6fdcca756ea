"""Attention maps are what the layers use: they sum to one, exclude padding, and reproduce the layers' outputs."""

import pytest
import torch

from condetr import config
from condetr.build import build_detector
from condetr.explaining.attention_maps import MultiScaleCall, record_attention
from condetr.model.attention import split_heads
from condetr.recipes import recipe
from condetr.types import Images
from tests.tiny import FORMS, TINY, TINY_DETR, shaken

DC5 = config.Model(**{**TINY.model_dump(), "backbone": config.Backbone(name="resnet18", stride=16).model_dump()})
NANO = config.Model(**{**recipe("nano").model.model_dump(), "queries": 7})
PUBLISHED = config.Model(
    **{**TINY.model_dump(), "backbone": config.Backbone(name="resnet18", padding="published").model_dump()}
)
REFINING = config.Model(
    **{**TINY.model_dump(), "decoder": {"kind": "refining", "box_bias": "log"}, "reference": "anchors"}
)
FUSED = config.Model(**{**TINY.model_dump(), "keys": "fused"})
TWO_SCALES = config.Model(**{**REFINING.model_dump(), "keys": "multi_scale"})
MODELS = {
    "refining": REFINING,
    "two scales": TWO_SCALES,
    "fused": FUSED,
    "conditional": TINY,
    "detr": TINY_DETR,
    "dc5": DC5,
    "nano": NANO,
    "published": PUBLISHED,
}
QUERIES = torch.tensor([[5, 0, 3], [6, 6, 1]])
LAYERS = range(3)


def ragged() -> Images:
    torch.manual_seed(3)
    return Images.pad([torch.randn(3, 64, 96), torch.randn(3, 112, 50)])


def outputs(detector, images):
    """The outputs of the attention modules in a forward pass: the decoder's cross-attentions, the encoder's."""
    cross, within = [], []
    handles = [
        layer.cross_attention.register_forward_hook(lambda _, __, y: cross.append(y))
        for layer in detector.decoder.layers
    ] + [layer.attention.register_forward_hook(lambda _, __, y: within.append(y)) for layer in detector.encoder.layers]
    with torch.no_grad():
        detector(images)
    for handle in handles:
        handle.remove()
    return cross, within


def applied(attention, maps, memory):
    """Maps (B H N h w) applied to the values of an attention, then its output projection."""
    values = split_heads(attention.value(memory.content), attention.heads)
    return attention.out((maps.flatten(-2) @ values).transpose(1, 2).flatten(2))


@pytest.fixture(scope="module", params=MODELS)
def detector(request):
    return shaken(MODELS[request.param], classes=4)


@torch.no_grad()
def test_the_combined_map_applied_to_the_values_reproduces_the_layers_output(detector):
    cross, _ = outputs(detector, ragged())
    record = record_attention(detector, ragged())
    for i in range(len(detector.decoder.layers)):
        call, output = record.cross[i], 0
        for each in (call.coarse, call.fine) if isinstance(call, MultiScaleCall) else (call,):
            output = output + applied(each.attention, each.maps(QUERIES)[-1], each.inputs["memory"])
        expected = torch.stack([cross[i][b, q] for b, q in enumerate(QUERIES)])
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)
        assert expected.abs().max() > 0.05


@torch.no_grad()
def test_the_encoders_maps_applied_to_the_values_reproduce_its_layers_outputs(detector):
    _, within = outputs(detector, ragged())
    record = record_attention(detector, ragged())
    cells = torch.tensor([[0, 2], [1, 0]])
    for i, layer in enumerate(detector.encoder.layers):
        maps = record.self_attention(i, cells)
        output = applied(layer.attention, maps, record.encoder[i].inputs["memory"])
        torch.testing.assert_close(
            output, torch.stack([within[i][b, c] for b, c in enumerate(cells)]), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(maps.sum((-2, -1)), torch.ones(maps.shape[:3]))
        padding = record.encoder[i].inputs["memory"].padding.unflatten(1, record.encoder_grid)
        assert (maps * padding[:, None, None] == 0).all()


def test_every_map_sums_to_one_and_is_exactly_zero_on_padding(detector):
    record = record_attention(detector, ragged())
    assert record.padding.any()
    for layer in range(len(detector.decoder.layers)):
        attention = record.cross_attention(layer, QUERIES)
        assert attention.maps.shape[:4] == (
            len(attention.parts),
            2,
            record.cross[0].heads,
            3,
        )
        torch.testing.assert_close(attention.maps.sum((-2, -1)), torch.ones(attention.maps.shape[:4]))
        padding = record.padding[None, :, None, None].expand_as(attention.maps)
        assert (attention.maps[padding] == 0).all()
        assert (attention.maps[~padding] > 0).all()


@torch.no_grad()
def test_maps_of_two_scales_are_on_the_finer_grid_where_a_coarse_cell_is_four():
    record = record_attention(shaken(TWO_SCALES, 4), Images.pad([torch.randn(3, 64, 96)]))
    queries, call = QUERIES[:1], record.cross[1]
    maps, heads = record.cross_attention(1, queries).maps, TINY.heads // 2
    assert (record.padding.shape[1:], maps.shape[2], record.cross[1].heads) == ((8, 12), TINY.heads, TINY.heads)
    coarse = call.coarse.maps(queries)
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        torch.testing.assert_close(4 * maps[:, :, :heads, :, row::2, column::2], coarse)
    torch.testing.assert_close(maps[:, :, heads:], call.fine.maps(queries))


def test_detr_has_one_part_and_conditional_detr_three():
    assert record_attention(shaken(TINY_DETR, 4), ragged()).cross_attention(0, QUERIES).parts == ("combined",)
    assert record_attention(shaken(TINY, 4), ragged()).cross_attention(0, QUERIES).parts == (
        "spatial",
        "content",
        "combined",
    )


@pytest.mark.parametrize("form", FORMS)
def test_the_combined_map_is_the_normalised_product_of_the_other_two(form):
    """Equation 3: softmax(a + b) is softmax(a) softmax(b), normalised; for every form of the spatial query."""
    model = config.Model(**{**TINY.model_dump(), "decoder": {"kind": "conditional", "spatial_query": form}})
    record = record_attention(shaken(model, 4), ragged())
    for layer in LAYERS:
        spatial, content, combined = record.cross_attention(layer, QUERIES).maps
        product = spatial * content
        torch.testing.assert_close(combined, product / product.sum((-2, -1), keepdim=True), atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_the_spatial_part_does_not_depend_on_the_image_in_the_first_layer():
    """There p_q depends on the reference point alone; the image changes only the content part."""
    detector, other = shaken(TINY, 4), Images.pad([torch.randn(3, 64, 96), torch.randn(3, 112, 50)])
    one, two = (record_attention(detector, images).cross_attention(0, QUERIES) for images in (ragged(), other))
    torch.testing.assert_close(one.part("spatial"), two.part("spatial"))
    assert (one.part("content") - two.part("content")).abs().max() > 1e-4


@torch.no_grad()
def test_recording_changes_neither_the_predictions_nor_the_detector():
    for model in (TINY, TINY_DETR):
        detector, images = shaken(model, 4), ragged()
        before = detector(images)
        record = record_attention(detector, images)
        torch.testing.assert_close(record.predictions.boxes, before.boxes, atol=0, rtol=0)
        torch.testing.assert_close(record.predictions.logits, before.logits, atol=0, rtol=0)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in detector.modules())


def test_hooks_are_removed_also_when_the_forward_pass_fails():
    detector = shaken(TINY, 4)
    detector.decoder.layers[1].feed_forward = torch.nn.Linear(3, 3)  # of the wrong width
    with pytest.raises(RuntimeError):
        record_attention(detector, ragged())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in detector.modules())


def test_boxes_of_an_untrained_detector_are_at_the_reference_point():
    torch.manual_seed(0)
    record = record_attention(build_detector(TINY, 4).eval(), ragged())
    torch.testing.assert_close(record.predictions.boxes[..., :2], record.references)


def test_an_image_has_the_same_maps_alone_and_in_a_batch():
    detector, images = shaken(TINY, 4), ragged()
    alone = record_attention(
        detector, Images(images.pixels[:1, :, :64, :96], images.padding[:1, :64, :96], ragged=False)
    )
    maps = record_attention(detector, images).cross_attention(-1, QUERIES).maps[:, :1, ..., :4, :6]
    torch.testing.assert_close(maps, alone.cross_attention(-1, QUERIES[:1]).maps, atol=1e-5, rtol=1e-3)


@torch.no_grad()
def test_the_bias_around_a_box_is_part_of_the_spatial_map():
    """With p_q = 0 the spatial map of a layer is the softmax of the bias of the box that entered it."""
    detector = shaken(REFINING, 4)
    for layer in detector.decoder.layers:
        torch.nn.init.zeros_(layer.cross_attention.query_spatial.weight)
        torch.nn.init.zeros_(layer.cross_attention.query_spatial.bias)
    for bias in detector.decoder.box_biases:
        torch.nn.init.normal_(bias.x[2].weight)
        torch.nn.init.normal_(bias.decay)
    record, queries = record_attention(detector, ragged()), torch.arange(7).expand(2, -1)
    decoded = detector.decode(detector.object_queries(ragged()), detector.encode(ragged()))
    torch.testing.assert_close(record.references, decoded.references[..., :2].sigmoid())
    assert (record.references[0] - record.references[2]).abs().max() > 1e-3
    for layer in LAYERS:
        memory = record.cross[layer].inputs["memory"]
        scores = detector.decoder.box_biases[layer](decoded.references[layer].sigmoid(), memory).of_cells()
        expected = scores.masked_fill(memory.padding[:, None, None], -torch.inf).softmax(-1)
        found = record.cross_attention(layer, queries).part("spatial").flatten(-2)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        assert expected.std(-1).max() > 1e-3
