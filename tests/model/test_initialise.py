"""Where attention lies before training."""

import pytest
import torch

from condetr import config
from condetr.build import build_detector
from condetr.model.attention import split_heads
from condetr.model.initialise import OFFSETS, SIDES
from condetr.model.layers import embed_grid, embed_points
from tests.tiny import TINY

CELLS = 40
POINTS = torch.rand(60, 2, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2


@torch.no_grad()
def spatial_maps(start: str, dim: int, heads: int) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(p_q.p_k) in a new detector's later layers, (layers heads points cells), and the places of the cells."""
    torch.manual_seed(0)
    decoder = {"kind": "conditional", "start": start}
    model = config.Model.model_validate(TINY.model_dump() | {"dim": dim, "heads": heads, "decoder": decoder})
    decoder = build_detector(model, classes=3).decoder
    grid = embed_grid(torch.zeros(1, CELLS, CELLS, dtype=torch.bool), dim).flatten(1, 2)
    f = torch.randn(1, len(POINTS), dim)
    maps = []
    for layer in decoder.layers[1:]:
        attention, p = layer.cross_attention, embed_points(POINTS, dim)[None]
        p_q = split_heads(attention.query_spatial(decoder.spatial_query(f, f, p)), heads)
        p_k = split_heads(attention.key_spatial(grid), heads)
        maps.append((p_q @ p_k.mT / (2 * dim // heads) ** 0.5).softmax(-1)[0])
    side = torch.arange(1, CELLS + 1) / CELLS
    return torch.stack(maps), torch.stack([side.repeat(CELLS), side.repeat_interleave(CELLS)], -1)


@pytest.mark.parametrize(("dim", "heads"), [(128, 8), (256, 8), (32, 4)])
def test_a_local_start_attends_to_the_reference_point_and_beside_it(dim, heads):
    maps, cells = spatial_maps("local", dim, heads)
    attended = cells[maps.argmax(-1)]  # layers, heads, points, xy
    meant = POINTS + torch.tensor([OFFSETS[head % len(OFFSETS)] for head in range(heads)])[:, None]
    assert (attended - meant).abs().max() <= 0.5 / CELLS + 0.005
    near = ((cells - meant[:, :, None]).norm(dim=-1) < 0.2).float()
    assert (maps * near).sum(-1).mean() > 0.5


def test_with_two_scales_the_finer_heads_start_beside_the_reference_point():
    model = config.Model.model_validate(
        TINY.model_dump()
        | {"dim": 128, "heads": 8, "keys": "multi_scale", "decoder": {"kind": "conditional", "start": "local"}}
    )
    decoder = build_detector(model, classes=3).decoder
    grid = embed_grid(torch.zeros(1, CELLS, CELLS, dtype=torch.bool), 128).flatten(1, 2)
    side = torch.arange(1, CELLS + 1) / CELLS
    cells = torch.stack([side.repeat(CELLS), side.repeat_interleave(CELLS)], -1)
    f, p = torch.randn(1, len(POINTS), 128), embed_points(POINTS, 128)[None]
    for layer in decoder.layers[1:]:
        for attention, offsets in (
            (layer.cross_attention.coarse, [(0.0, 0.0)] * 4),
            (layer.cross_attention.fine, SIDES),
        ):
            p_q = split_heads(attention.query_spatial(decoder.spatial_query(f, f, p)), 4)
            attended = cells[(p_q @ split_heads(attention.key_spatial(grid), 4).mT).argmax(-1)[0]]
            meant = POINTS + torch.tensor(offsets)[:, None]
            assert (attended - meant).abs().max() <= 0.5 / CELLS + 0.005


def test_the_published_start_attends_uniformly():
    maps, cells = spatial_maps("published", 128, 8)
    near = ((cells - POINTS[:, None]).norm(dim=-1) < 0.2).float()
    even = near.mean(-1)
    assert ((maps * near).sum(-1) / even).mean().item() == pytest.approx(1, abs=0.1)


def test_only_the_conditional_decoder_has_a_start():
    with pytest.raises(ValueError, match="start"):
        config.Detr.model_validate({"kind": "detr", "start": "local"})
