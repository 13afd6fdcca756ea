"""What a decoder hands to the heads: embeddings, and the references that its layers started from."""

import pytest
import torch

from condetr.model.box_offsets import LogitOffsets
from condetr.model.detector import Heads
from condetr.model.groups import EqualGroups
from condetr.types import Images
from tests.tiny import TINY, TINY_DETR, shaken


@pytest.mark.parametrize("model", [TINY, TINY_DETR], ids=["conditional", "detr"])
def test_without_refinement_every_layer_starts_from_the_reference(model):
    detector = shaken(model, classes=3)
    images = Images.pad([torch.randn(3, 48, 80), torch.randn(3, 64, 64)])
    decoded = detector.decode(detector.object_queries(images), detector.encode(images))
    reference = detector.reference(detector.object_queries(images))
    assert decoded.embeddings.shape == (model.decoder_layers, 2, model.queries, model.dim)
    assert decoded.references.shape == (model.decoder_layers, 2, model.queries, 2)
    assert all(torch.equal(layer, reference) for layer in decoded.references)
    last = decoded.last_layer()
    assert torch.equal(last.embeddings[0], decoded.embeddings[-1])
    assert torch.equal(last.references[0], decoded.references[-1])


def test_heads_offset_the_box_of_each_layer_from_its_own_reference():
    """A point moves the centre alone, a box all four coordinates; both are logits, and layers may differ."""
    torch.manual_seed(0)
    heads, embeddings = Heads(16, 3, LogitOffsets()), torch.randn(2, 1, 5, 16)
    points, boxes = torch.randn(2, 1, 5, 2), torch.randn(2, 1, 5, 4)
    offset = heads.box(embeddings)
    by_point, by_box = heads(embeddings, points).boxes, heads(embeddings, boxes).boxes
    torch.testing.assert_close(by_point[..., :2], (offset[..., :2] + points).sigmoid())
    torch.testing.assert_close(by_point[..., 2:], offset[..., 2:].sigmoid())
    torch.testing.assert_close(by_box, (offset + boxes).sigmoid())
    assert not torch.equal(points[0], points[1])


@pytest.mark.parametrize("model", [TINY, TINY_DETR], ids=["conditional", "detr"])
def test_groups_of_different_sizes_are_decoded_as_if_each_were_alone(model):
    detector = shaken(model, classes=3)
    images = Images.pad([torch.randn(3, 48, 80), torch.randn(3, 64, 64)])
    memory, queries, reference = detector.encode(images), torch.randn(2, 13, model.dim), torch.randn(2, 13, 2)
    together = detector.decode(queries, memory, reference, (EqualGroups(1, 5), EqualGroups(2, 3), EqualGroups(1, 2)))
    assert together.embeddings.shape[2] == 13
    sizes = (5, 3, 3, 2)
    for own, group, start in zip(together.split(sizes), queries.split(sizes, dim=1), reference.split(sizes, dim=1)):
        alone = detector.decode(group, memory, start)
        torch.testing.assert_close(own.embeddings, alone.embeddings)
        assert torch.equal(own.references, alone.references)
    ungrouped = detector.decode(queries, memory, reference).embeddings
    assert not torch.allclose(ungrouped, together.embeddings)


@pytest.mark.parametrize("model", [TINY, TINY_DETR], ids=["conditional", "detr"])
def test_padding_queries_change_nothing_and_groups_of_them_alone_stay_finite(model):
    """Groups of different lengths, filled up with anything: the valid queries are decoded as if they were alone."""
    detector = shaken(model, classes=3)
    images = Images.pad([torch.randn(3, 48, 80), torch.randn(3, 64, 64), torch.randn(3, 64, 64)])
    memory, queries, reference = detector.encode(images), torch.randn(3, 5, model.dim), torch.randn(3, 5, 2)
    valid = torch.arange(5) < torch.tensor([[3], [5], [0]])
    filled = detector.decode(queries, memory, reference, (EqualGroups(1, 5, valid),)).embeddings
    whole = detector.decode(queries, memory, reference).embeddings
    alone = detector.decode(queries[:, :3], memory, reference[:, :3]).embeddings
    torch.testing.assert_close(filled[:, 0, :3], alone[:, 0])
    torch.testing.assert_close(filled[:, 1], whole[:, 1])
    assert not torch.allclose(whole[:, 0, :3], alone[:, 0])
    assert filled.isfinite().all()
