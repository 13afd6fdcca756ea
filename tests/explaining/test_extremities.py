"""Where attention falls on an object, on maps simple enough to compute by hand."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from condetr.explaining.extremities import (
    REGIONS,
    box_coordinates,
    coverage,
    distances,
    extremities,
    mass_centre,
    peak,
    peak_region,
    region,
    shares,
)

sides = st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32))


def one_cell(row: int, column: int, height: int = 10, width: int = 20) -> torch.Tensor:
    maps = torch.zeros(height, width)
    maps[row, column] = 1
    return maps


@given(x=sides, y=sides, cells=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_the_share_of_a_uniform_map_inside_the_box_is_the_boxs_area(x, y, cells):
    box = torch.tensor([[min(x), min(y), max(x), max(y)]])
    height, width = cells
    result = shares(torch.full((1, height, width), 1 / (height * width)), box)
    area = (box[0, 2] - box[0, 0]) * (box[0, 3] - box[0, 1])
    torch.testing.assert_close(result.inside[0], area, atol=1e-5, rtol=0)
    torch.testing.assert_close(result.inside, result.inside_uniform)
    torch.testing.assert_close(result.border, result.border_uniform)


def test_a_cell_counts_by_the_fraction_that_the_box_covers():
    cover = coverage(torch.tensor([[0.25, 0.0, 0.6, 1.0]]), 1, 4)
    torch.testing.assert_close(cover, torch.tensor([[[0.0, 1.0, 0.4, 0.0]]]), atol=1e-6, rtol=0)


def test_shares_inside_the_box_and_near_its_border():
    box = torch.tensor([[0.2, 0.2, 0.7, 0.8]]).expand(4, 4)
    maps = torch.stack([one_cell(5, 9), one_cell(5, 4), one_cell(5, 3), one_cell(0, 0)])
    result = shares(maps, box)
    assert result.inside.tolist() == [1, 1, 0, 0]
    torch.testing.assert_close(result.border, torch.tensor([0.0, 1.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_positions_are_middles_of_cells_x_first():
    maps = torch.stack([one_cell(3, 12), (one_cell(0, 0) + one_cell(9, 19)) / 2])
    torch.testing.assert_close(peak(maps)[0], torch.tensor([12.5 / 20, 3.5 / 10]))
    torch.testing.assert_close(mass_centre(maps), torch.tensor([[12.5 / 20, 3.5 / 10], [0.5, 0.5]]))


def test_each_extremity_is_in_the_region_of_its_side():
    boxes = torch.tensor([[0.1, 0.3, 0.5, 0.4], [0.2, 0.0, 0.3, 0.9]])
    sides = extremities(boxes)
    assert sides.shape == (2, 4, 2)
    torch.testing.assert_close(sides[0], torch.tensor([[0.1, 0.35], [0.3, 0.3], [0.5, 0.35], [0.3, 0.4]]))
    for i, name in enumerate(REGIONS[1:5]):
        assert [REGIONS[k] for k in region(box_coordinates(sides[:, i], boxes))] == [name, name]
    middle = box_coordinates((boxes[:, :2] + boxes[:, 2:]) / 2, boxes)
    assert [REGIONS[k] for k in region(middle)] == ["inside", "inside"]
    torch.testing.assert_close(distances(middle), torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0]] * 2), atol=1e-5, rtol=0)


def test_a_point_belongs_to_the_side_in_whose_direction_it_is_furthest_from_the_middle():
    points = torch.tensor([[0.3, -0.3], [0.4, 0.1], [-0.4, 0.5], [0.2, -0.9], [-3.0, 2.0]])
    assert [REGIONS[k] for k in region(points)] == ["inside", "right", "bottom", "top", "left"]


def test_a_cell_entirely_beyond_the_box_is_elsewhere():
    box = torch.tensor([[0.2, 0.2, 0.6, 0.6]]).expand(6, 4)  # beyond 1.5 half sides: less than 0.1 or more than 0.7
    maps = torch.stack(
        [one_cell(4, c, 10, 10) for c in (9, 7, 6, 4)] + [one_cell(0, 4, 10, 10), one_cell(1, 3, 10, 10)]
    )
    assert [REGIONS[k] for k in peak_region(maps, box)] == ["elsewhere", "right", "right", "inside", "top", "top"]
    assert [REGIONS[k] for k in peak_region(maps, box + 0.02)][4] == "elsewhere"


def test_the_cell_that_contains_a_small_box_is_never_elsewhere():
    box = torch.tensor([[0.31, 0.31, 0.32, 0.32]])
    assert REGIONS[peak_region(one_cell(3, 3, 10, 10)[None], box)] != "elsewhere"
    assert REGIONS[peak_region(one_cell(3, 5, 10, 10)[None], box)] == "elsewhere"


def test_distances_are_to_the_regions_that_have_a_point():
    assert REGIONS[5:] == ("elsewhere",)
    assert distances(torch.tensor([[3.0, 0.0]])).shape == (1, 5)


def test_box_coordinates_of_a_box_without_area_are_finite():
    assert box_coordinates(torch.tensor([[0.4, 0.6]]), torch.tensor([[0.5, 0.5, 0.5, 0.5]])).isfinite().all()
