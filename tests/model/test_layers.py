"""Facts §6: the two sine embeddings, to the official code's digits."""

import torch

from condetr.model.layers import embed_grid, embed_points

GRID = torch.zeros(1, 3, 4, dtype=torch.bool)


def near(a: torch.Tensor, b: list[float]) -> None:
    torch.testing.assert_close(a, torch.tensor(b), atol=2e-6, rtol=0)


def test_grid_cells_are_embedded_as_published():
    at = embed_grid(GRID, 256)[0]
    near(at[0, 0, :4], [0.866026, -0.499999, 0.970651, -0.240494])
    near(at[0, 0, 126:132], [0.000242, 1.0, 1.0, 0.0, 0.977918, 0.208991])
    near(at[1, 2, :4], [-0.866025, -0.500001, -0.466871, -0.884325])
    near(at[1, 2, 128:132], [-1.0, -1e-6, -0.807067, -0.59046])


def test_points_are_embedded_as_published():
    p = embed_points(torch.tensor([0.25, 0.75]), 256)
    near(p[:4], [-1.0, 0.0, -0.807067, -0.590459])
    near(p[128:132], [1.0, 0.0, 0.977918, 0.208991])


def test_a_cell_is_the_point_at_its_far_corner():
    rows, columns = torch.meshgrid(torch.arange(1, 4) / 3, torch.arange(1, 5) / 4, indexing="ij")
    corners = embed_points(torch.stack([columns, rows], dim=-1), 256)
    torch.testing.assert_close(embed_grid(GRID, 256)[0], corners, atol=2e-6, rtol=0)


def test_a_padded_image_is_embedded_as_alone():
    padding = torch.ones(1, 5, 7, dtype=torch.bool)
    padding[:, :3, :4] = False
    torch.testing.assert_close(embed_grid(padding, 256)[:, :3, :4], embed_grid(GRID, 256), atol=0, rtol=0)
