"""The refining decoder and its box bias against slow code of their equations, values and gradients, in float64."""

import math

import pytest
import torch

from condetr import config
from condetr.build import build_detector, build_learner, build_loss
from condetr.config import Config
from condetr.errors import ConfigError
from condetr.model.box_bias import AxialBoxBias, LinearDistance, LogDistance
from condetr.model.initialise import DECAY
from condetr.model.reference import Anchors, jittered_grid
from condetr.model.refining import SizeModulation
from condetr.objective.query_groups import GroupedQueries
from condetr.objective.supervision import predictions_of
from condetr.recipes import recipe
from condetr.types import Images, OptimizerStep, Target
from tests.objective.alone import decoded_alone
from tests.tiny import TINY, shaken

DECODERS = {
    "plain": {},
    "linear": {"box_bias": "linear"},
    "log": {"box_bias": "log", "boxes": "relative", "size_modulation": True},
    "two scales": {"box_bias": "log", "keys": "multi_scale"},
    "two scales, no bias": {"keys": "multi_scale"},
}


def refining(keys: str = "encoder", **decoder) -> config.Model:
    changes = {"decoder": {"kind": "refining"} | decoder, "reference": "anchors", "keys": keys}
    return config.Model(**{**TINY.model_dump(), **changes})


def disturbed(model: config.Model, dtype: torch.dtype = torch.float64):
    """A detector none of whose parameters is zero; images of three sizes that are no multiples of the stride."""
    detector = shaken(model, classes=3).to(dtype)
    for name, parameter in detector.named_parameters():
        if name.startswith(("queries", "decoder.box_biases", "decoder.modulation")):
            torch.nn.init.normal_(parameter, 0, 0.2)
    images = Images.pad([torch.randn(3, h, w, dtype=dtype) for h, w in ((48, 80), (70, 50), (33, 90))])
    return detector, images


def sine(x: torch.Tensor, dim: int) -> torch.Tensor:
    """The embedding of one coordinate, dim / 2 channels."""
    columns = []
    for channel in range(dim // 2):
        angle = 2 * math.pi * x / 10000 ** (2 * (channel // 2) / (dim // 2))
        columns.append(angle.cos() if channel % 2 else angle.sin())
    return torch.stack(columns, dim=-1)


def slow_bias(bias: AxialBoxBias, box: torch.Tensor, size: tuple[int, int], grid: tuple[int, int], stride: int):
    """bias[head][row][column] of one query with a box (cxcywh) in an image of (width, height), number by number."""

    def along(mlp, centre, side, p):
        ends = torch.stack([centre - side / 2 - p, centre + side / 2 - p])
        if isinstance(bias.distance, LogDistance):
            ends = torch.stack([end.sign() * torch.log2(end.abs() + 1) / 3 for end in ends])
        outside = torch.clamp((p - centre).abs() / torch.clamp(side, min=stride) - 0.5, min=0)
        return mlp[2].weight @ torch.relu(mlp[0].weight @ ends + mlp[0].bias) - bias.decay * outside

    (width, height), (rows, columns) = size, grid
    cx, cy, w, h = box * torch.tensor([width, height, width, height], dtype=box.dtype)
    return torch.stack([
        torch.stack([
            along(bias.x, cx, w, (column + 0.5) * stride) + along(bias.y, cy, h, (row + 0.5) * stride)
            for column in range(columns)
        ], dim=-1)
        for row in range(rows)
    ], dim=-2)  # fmt: skip


def slow_cross_attention(attention, c, p_q, o, memory, bias):
    """softmax(c_q.c_k + p_q.p_k + bias) v for one image, head by head, with whole keys."""
    q, p = attention.query_content(c), attention.query_spatial(p_q)
    k, k_p = attention.key_content(memory.content), attention.key_spatial(memory.position)
    if attention.query_object is not None:
        q, k = q + attention.query_object(o), k + k_p
    v, heads = attention.value(memory.content), []
    width = v.shape[-1] // attention.heads
    for head in range(attention.heads):
        at = slice(head * width, (head + 1) * width)
        score = torch.einsum("bne,ble->bnl", q[..., at], k[..., at])
        score = (score + torch.einsum("bne,ble->bnl", p[..., at], k_p[..., at])) / (2 * width) ** 0.5 + bias[:, head]
        heads.append(score.masked_fill(memory.padding[:, None], -torch.inf).softmax(-1) @ v[..., at])
    return attention.out(torch.cat(heads, dim=-1))


def slow_decoder(detector, images, memory, relative: bool):
    """The boxes and embeddings of every layer, from DAB-DETR's and DINO's equations; boxes instead of logits."""
    decoder, dim = detector.decoder, detector.queries.weight.shape[1]
    f = detector.queries.weight.expand(len(images), -1, -1)
    clear = detector.reference.box.sigmoid().expand(len(images), -1, -1)  # with the gradient of the layer before
    b, embeddings, answers = clear, [], []
    for i, layer in enumerate(decoder.layers):
        x, y, w, h = b.unbind(-1)
        y_, x_, w_, h_ = (sine(each, dim) for each in (y, x, w, h))
        o = decoder.object_query(torch.cat([y_, x_, w_, h_], dim=-1))
        c = layer.norm1(f + layer.self_attention(f, o, None))
        if isinstance(decoder.modulation, SizeModulation):
            w_f, h_f = decoder.modulation.size(f).sigmoid().unbind(-1)
            y_, x_ = y_ * (h_f / h)[..., None], x_ * (w_f / w)[..., None]
        p = torch.cat([y_, x_], dim=-1)
        p_q = p if i == 0 else decoder.spatial_query.transform(f) * p
        cross = 0
        for attention, box_bias, tokens, stride in scales(layer.cross_attention, decoder.box_biases[i], memory):
            bias = torch.zeros(len(images), attention.heads, f.shape[1], tokens.content.shape[1])
            if isinstance(box_bias, AxialBoxBias):
                bias = torch.stack([
                    torch.stack([
                        slow_bias(box_bias, box.detach(), sizes(images)[image], tokens.grid, stride).flatten(1)
                        for box in b[image]
                    ], dim=1)
                    for image in range(len(images))
                ])  # fmt: skip
            cross = cross + slow_cross_attention(attention, c, p_q, o, tokens, bias)
        x = layer.norm2(c + cross)
        f = layer.norm3(x + layer.feed_forward(x))
        e = decoder.norm(f)
        embeddings.append(e)
        offset = detector.heads.box(e)

        def moved(box, offset=offset):
            if relative:
                centre, size = box[..., :2], box[..., 2:]
                return torch.cat([centre + offset[..., :2] * size, size * offset[..., 2:].exp()], dim=-1)
            return (box.logit() + offset).sigmoid()

        answers.append(moved(clear))
        clear = moved(b)
        clear = clear.clamp(1e-5, 1 - 1e-5) if relative else clear
        b = clear.detach()
    return torch.stack(embeddings), torch.stack(answers)


def scales(attention, box_bias, memory):
    """The attention, its bias, its tokens and their stride, for each scale."""
    if memory.finer is None:
        return [(attention, box_bias, memory, 16)]
    return [(attention.coarse, box_bias.coarse, memory, 16), (attention.fine, box_bias.fine, memory.finer, 8)]


def sizes(images: Images) -> list[tuple[int, int]]:
    return [(int((~p[0]).sum()), int((~p[:, 0]).sum())) for p in images.padding]


@pytest.mark.parametrize("name", DECODERS)
def test_the_decoder_computes_its_equations_and_their_gradients(name):
    """Refinement, look forward twice, box bias and modulation; the gradients of all parameters and of the memory."""
    detector, images = disturbed(refining(**DECODERS[name]))
    memory = detector.encode(images)
    memory = memory.with_content(memory.content.detach().requires_grad_())
    queries = detector.object_queries(images)
    weights = torch.randn(3, 3, TINY.queries, TINY.dim + 4, dtype=torch.float64)

    def gradients(embeddings, boxes):
        learned = {n: p for n, p in detector.named_parameters() if n.startswith(("queries", "reference", "decoder"))}
        learned |= {f"box.{n}": p for n, p in detector.heads.box.named_parameters()} | {"memory": memory.content}
        total = (torch.cat([embeddings, boxes], dim=-1) * weights).sum()
        return dict(zip(learned, torch.autograd.grad(total, list(learned.values()))))

    decoded = detector.decode(queries, memory)
    found = (decoded.embeddings, detector.apply_heads(decoded).boxes)
    expected = slow_decoder(detector, images, memory, relative=DECODERS[name].get("boxes") == "relative")
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    slow = gradients(*expected)
    for parameter, gradient in gradients(*found).items():
        torch.testing.assert_close(gradient, slow[parameter], atol=1e-6, rtol=1e-6, msg=lambda m, p=parameter: p + m)
        keys = ("key_content.bias", "key_position.bias", "key_spatial.bias")  # the softmax removes them
        assert gradient.abs().max() > 1e-6 or parameter.endswith(keys), parameter


def test_each_loss_trains_the_box_heads_of_two_layers():
    """Look forward twice: the boxes of a layer move with its own embedding and with that of the layer before."""
    detector, images = disturbed(refining())
    memory = detector.encode(images)
    decoded = detector.decode(detector.object_queries(images), memory)
    boxes = detector.apply_heads(decoded).boxes
    for layer in range(3):
        through = torch.autograd.grad(boxes[layer].sum(), decoded.references, retain_graph=True)[0]
        assert [bool(part.abs().max() > 0) for part in through] == [i == layer for i in range(3)]
    anchors = detector.reference.box
    assert torch.autograd.grad(boxes[1].sum(), anchors, retain_graph=True)[0].abs().max() > 0


@pytest.mark.parametrize("start", ["published", "local"])
def test_a_new_bias_is_the_analytic_one_alone(start):
    """Nothing with the published start. Else zero inside the box, and one decay less for each side beyond it."""
    torch.manual_seed(0)
    detector = build_detector(refining(box_bias="linear", start=start), 3)
    images = Images.pad([torch.randn(3, 160, 320)])
    box = torch.tensor([[[0.25, 0.5, 0.2, 0.2]]])  # 64 × 32 pixels around (80, 80): 4 × 2 cells
    scores = detector.decoder.box_biases[1](box, detector.tokens(images))
    cells = scores.of_cells().unflatten(-1, (10, 20))
    assert cells.shape == (1, 4, 1, 10, 20)
    if start == "published":
        assert cells.abs().max() == 0
        return
    assert (cells[0, :, 0, 4:6, 3:7] == 0).all()
    torch.testing.assert_close(cells[0, :, 0, 4, 8], torch.full((4,), -DECAY * ((8.5 * 16 - 80) / 64 - 0.5)))
    torch.testing.assert_close(cells[0, :, 0, 9, 8] - cells[0, :, 0, 9, 4], cells[0, :, 0, 4, 8])


def test_a_box_of_no_size_still_attends_to_the_nearest_cell():
    bias = AxialBoxBias(2, 8, LinearDistance())
    bias.start(decay=DECAY)
    detector = build_detector(refining(), 3)
    box = torch.tensor([[[0.3, 0.7, 0.0, 1e-9]]])
    cells = bias(box, detector.tokens(Images.pad([torch.randn(3, 160, 320)]))).of_cells()
    assert cells.max() == 0
    assert cells.min() > -100


def test_anchors_cover_the_image_and_take_the_sizes_they_are_given():
    torch.manual_seed(0)
    for queries in (1, 7, 16, 100):
        anchors = Anchors(queries)
        boxes = anchors(torch.zeros(2, queries, 8))[1].sigmoid()
        assert boxes.shape == (queries, 4)
        assert boxes[:, 2:].min() > 0.04
        assert boxes[:, 2:].max() < 0.61
    centres, cells = jittered_grid(100), torch.arange(10) / 10
    for cell_x in cells:
        for cell_y in cells:
            inside = (centres >= torch.stack([cell_x, cell_y]) - 1e-6) & (
                centres <= torch.stack([cell_x, cell_y]) + 0.1 + 1e-6
            )
            assert inside.all(-1).sum() >= 1
    sizes = torch.rand(1000, 2) * torch.tensor([0.2, 0.4]) + 0.01
    anchors.spread(sizes)
    given = anchors.box[:, 2:].sigmoid()
    assert all((sizes - size).norm(dim=-1).min() < 1e-5 for size in given)
    torch.testing.assert_close(given.prod(-1).median(), sizes.prod(-1).median(), rtol=0.1, atol=0)
    more = anchors.further(2).sigmoid()
    for group in more.split(100):
        torch.testing.assert_close(group[:, 2:].sort(0).values, given.sort(0).values)
        assert (group[:, :2] - anchors.box[:, :2].sigmoid()).abs().max() > 0.01


def test_groups_have_anchors_of_their_own():
    model = refining(box_bias="log")
    detector, images = disturbed(model, torch.float32)
    learner = build_learner(detector, build_loss(Config(model=model))[0], config.Train(groups=3)).eval()
    (groups,) = learner.parts
    assert isinstance(groups, GroupedQueries)
    with torch.no_grad():
        groups.extra_queries.weight.normal_()
        targets = [Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))] * len(images.pixels)
        queries = groups(detector, targets, OptimizerStep.of(targets))
        grouped = predictions_of(detector, decoded_alone(queries, detector, detector.encode(images)), 3)
        alone = [detector(images)]
        for queries, anchors in zip(groups.extra_queries.weight.split(7), groups.extra_anchors.split(7)):
            detector.queries.weight.copy_(queries)
            detector.reference.box.copy_(anchors)
            alone.append(detector(images))
    for group, expected in enumerate(alone):
        torch.testing.assert_close(grouped.logits[group::3], expected.logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(grouped.boxes[group::3], expected.boxes)


@pytest.mark.parametrize("name", DECODERS)
def test_an_image_gets_the_same_predictions_alone_and_in_a_batch(name):
    detector, images = disturbed(refining(**DECODERS[name]))
    with torch.no_grad():
        together = detector(images)
        for i, (width, height) in enumerate(sizes(images)):
            alone = detector(Images.pad([images.pixels[i, :, :height, :width]]))
            torch.testing.assert_close(together.logits[:, i], alone.logits[:, 0], atol=1e-10, rtol=0)
            torch.testing.assert_close(together.boxes[:, i], alone.boxes[:, 0], atol=1e-10, rtol=0)


def test_a_bias_of_zero_changes_no_score():
    """The separable spatial scores are those of whole keys: with a bias of zero, the predictions without one."""
    plain, images = disturbed(refining())
    biased = build_detector(refining(box_bias="linear"), 3).double().eval()
    missing, unexpected = biased.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    assert all(name.startswith("decoder.box_biases") for name in missing)
    with torch.no_grad():
        torch.testing.assert_close(biased(images).logits, plain(images).logits, atol=1e-10, rtol=0)


def test_the_kind_of_decoder_sets_the_reference_that_it_needs():
    small = config.override(recipe("conditional_detr_r18"), {"model.decoder.start": "local"})
    changed = config.override(small, {"model.decoder.kind": "refining"})
    assert (changed.model.reference, changed.model.decoder.start) == ("anchors", "local")
    back = config.override(changed, {"model.decoder.kind": "conditional"})
    assert back == small
    with pytest.raises(ConfigError, match=r"reference=centre: set model\.reference=anchors"):
        config.override(small, {"model.decoder.kind": "refining", "model.reference": "centre"})
    with pytest.raises(ConfigError, match=r"set model\.decoder\.kind=refining"):
        config.override(small, {"model.reference": "anchors"})
    with pytest.raises(ConfigError, match=r"needs model\.decoder\.kind=refining"):
        config.override(small, {"model.decoder.box_bias": "linear"})


def test_a_new_detector_predicts_its_anchors():
    torch.manual_seed(0)
    detector = build_detector(refining(box_bias="linear", start="local"), 3).eval()
    with torch.no_grad():
        boxes = detector(Images.pad([torch.randn(3, 64, 96)])).boxes
    torch.testing.assert_close(boxes, detector.reference.box.sigmoid().expand_as(boxes))
