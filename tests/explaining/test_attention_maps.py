"""Maps are what the layers use: they sum to one, leave padding out, and give back the layers' own outputs."""

import pytest
import torch

from condetr import config
from condetr.build import build_detector
from condetr.explaining.attention_maps import witness
from condetr.model.attention import split_heads
from condetr.recipes import recipe
from condetr.types import Images
from tests.tiny import FORMS, TINY, TINY_DETR, shaken

DC5 = config.Model(**{**TINY.model_dump(), "backbone": config.Backbone(name="resnet18", stride=16).model_dump()})
NANO = config.Model(**{**recipe("nano").model.model_dump(), "queries": 7})
PUBLISHED = config.Model(
    **{**TINY.model_dump(), "backbone": config.Backbone(name="resnet18", padding="published").model_dump()}
)
MODELS = {"conditional": TINY, "detr": TINY_DETR, "dc5": DC5, "nano": NANO, "published": PUBLISHED}
QUERIES = torch.tensor([[5, 0, 3], [6, 6, 1]])
LAYERS = range(3)


def ragged() -> Images:
    torch.manual_seed(3)
    return Images.pad([torch.randn(3, 64, 96), torch.randn(3, 112, 50)])


def outputs(detector, images):
    """What the attentions themselves answer in a forward pass: the decoder's on the image, and the encoder's."""
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
    """Maps (B H N h w) applied to an attention's values, and its output projection."""
    values = split_heads(attention.value(memory.content), attention.heads)
    return attention.out((maps.flatten(-2) @ values).transpose(1, 2).flatten(2))


@pytest.fixture(scope="module", params=MODELS)
def detector(request):
    return shaken(MODELS[request.param], classes=4)


@torch.no_grad()
def test_the_combined_map_gives_the_layers_output_when_applied_to_its_values(detector):
    cross, _ = outputs(detector, ragged())
    witnessed = witness(detector, ragged())
    for i, layer in enumerate(detector.decoder.layers):
        maps = witnessed.gaze(i, QUERIES).part("combined")
        answer = applied(layer.cross_attention, maps, witnessed.cross[i].given["memory"])
        expected = torch.stack([cross[i][b, q] for b, q in enumerate(QUERIES)])
        torch.testing.assert_close(answer, expected, atol=1e-5, rtol=0)
        assert expected.abs().max() > 0.05


@torch.no_grad()
def test_the_encoders_maps_give_its_layers_output(detector):
    _, within = outputs(detector, ragged())
    witnessed = witness(detector, ragged())
    cells = torch.tensor([[0, 2], [1, 0]])
    for i, layer in enumerate(detector.encoder.layers):
        maps = witnessed.self_attention(i, cells)
        answer = applied(layer.attention, maps, witnessed.encoder[i].given["memory"])
        torch.testing.assert_close(
            answer, torch.stack([within[i][b, c] for b, c in enumerate(cells)]), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(maps.sum((-2, -1)), torch.ones(maps.shape[:3]))
        assert (maps * witnessed.padding[:, None, None] == 0).all()


def test_every_part_sums_to_one_and_gives_padding_exactly_nothing(detector):
    witnessed = witness(detector, ragged())
    assert witnessed.padding.any()
    for layer in range(len(detector.decoder.layers)):
        gaze = witnessed.gaze(layer, QUERIES)
        assert gaze.maps.shape[:4] == (len(gaze.parts), 2, detector.decoder.layers[0].cross_attention.heads, 3)
        torch.testing.assert_close(gaze.maps.sum((-2, -1)), torch.ones(gaze.maps.shape[:4]))
        padding = witnessed.padding[None, :, None, None].expand_as(gaze.maps)
        assert (gaze.maps[padding] == 0).all()
        assert (gaze.maps[~padding] > 0).all()


def test_detr_has_one_part_and_conditional_detr_three():
    assert witness(shaken(TINY_DETR, 4), ragged()).gaze(0, QUERIES).parts == ("combined",)
    assert witness(shaken(TINY, 4), ragged()).gaze(0, QUERIES).parts == ("spatial", "content", "combined")


@pytest.mark.parametrize("form", FORMS)
def test_scores_add_so_maps_multiply(form):
    """Equation 3: softmax(a + b) is softmax(a) softmax(b), normalised again; in every form of the spatial query."""
    model = config.Model(**{**TINY.model_dump(), "decoder": {"kind": "conditional", "spatial_query": form}})
    witnessed = witness(shaken(model, 4), ragged())
    for layer in LAYERS:
        spatial, content, combined = witnessed.gaze(layer, QUERIES).maps
        product = spatial * content
        torch.testing.assert_close(combined, product / product.sum((-2, -1), keepdim=True), atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_the_spatial_part_is_blind_to_the_image_in_the_first_layer():
    """There p_q is the reference point alone; what lies in the image moves the content part only."""
    detector, other = shaken(TINY, 4), Images.pad([torch.randn(3, 64, 96), torch.randn(3, 112, 50)])
    one, two = (witness(detector, images).gaze(0, QUERIES) for images in (ragged(), other))
    torch.testing.assert_close(one.part("spatial"), two.part("spatial"))
    assert (one.part("content") - two.part("content")).abs().max() > 1e-4


@torch.no_grad()
def test_witnessing_changes_neither_the_answer_nor_the_detector():
    for model in (TINY, TINY_DETR):
        detector, images = shaken(model, 4), ragged()
        before = detector(images)
        witnessed = witness(detector, images)
        torch.testing.assert_close(witnessed.predictions.boxes, before.boxes, atol=0, rtol=0)
        torch.testing.assert_close(witnessed.predictions.logits, before.logits, atol=0, rtol=0)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in detector.modules())


def test_hooks_go_also_when_the_forward_pass_fails():
    detector = shaken(TINY, 4)
    detector.decoder.layers[1].feed_forward = torch.nn.Linear(3, 3)  # does not fit
    with pytest.raises(RuntimeError):
        witness(detector, ragged())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in detector.modules())


def test_boxes_start_at_the_reference_point():
    torch.manual_seed(0)
    witnessed = witness(build_detector(TINY, 4).eval(), ragged())
    torch.testing.assert_close(witnessed.predictions.boxes[0, ..., :2], witnessed.reference)


def test_an_image_has_the_same_maps_alone_and_in_a_batch():
    detector, images = shaken(TINY, 4), ragged()
    alone = witness(detector, Images(images.pixels[:1, :, :64, :96], images.padding[:1, :64, :96], ragged=False))
    maps = witness(detector, images).gaze(-1, QUERIES).maps[:, :1, ..., :4, :6]
    torch.testing.assert_close(maps, alone.gaze(-1, QUERIES[:1]).maps, atol=1e-5, rtol=1e-3)
