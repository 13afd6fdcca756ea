"""Where attention falls on an object, on maps simple enough to know the answer."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from condetr.explaining.extremities import (
    LANDMARKS,
    coverage,
    distances,
    extremities,
    landmark,
    looks_at,
    mass_centre,
    peak,
    shares,
    within_box,
)

sides = st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32))


def one_cell(row: int, column: int, height: int = 10, width: int = 20) -> torch.Tensor:
    maps = torch.zeros(height, width)
    maps[row, column] = 1
    return maps


@given(x=sides, y=sides, cells=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_attention_that_looks_nowhere_has_the_share_of_the_boxs_area(x, y, cells):
    box = torch.tensor([[min(x), min(y), max(x), max(y)]])
    height, width = cells
    answer = shares(torch.full((1, height, width), 1 / (height * width)), box)
    area = (box[0, 2] - box[0, 0]) * (box[0, 3] - box[0, 1])
    torch.testing.assert_close(answer.inside[0], area, atol=1e-5, rtol=0)
    torch.testing.assert_close(answer.inside, answer.inside_uniform)
    torch.testing.assert_close(answer.border, answer.border_uniform)


def test_a_cell_counts_by_the_part_of_it_that_the_box_covers():
    cover = coverage(torch.tensor([[0.25, 0.0, 0.6, 1.0]]), 1, 4)
    torch.testing.assert_close(cover, torch.tensor([[[0.0, 1.0, 0.4, 0.0]]]), atol=1e-6, rtol=0)


def test_inside_near_the_border_and_elsewhere():
    box = torch.tensor([[0.2, 0.2, 0.7, 0.8]]).expand(4, 4)
    maps = torch.stack([one_cell(5, 9), one_cell(5, 4), one_cell(5, 3), one_cell(0, 0)])
    answer = shares(maps, box)
    assert answer.inside.tolist() == [1, 1, 0, 0]
    torch.testing.assert_close(answer.border, torch.tensor([0.0, 1.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_places_are_middles_of_cells_x_first():
    maps = torch.stack([one_cell(3, 12), (one_cell(0, 0) + one_cell(9, 19)) / 2])
    torch.testing.assert_close(peak(maps)[0], torch.tensor([12.5 / 20, 3.5 / 10]))
    torch.testing.assert_close(mass_centre(maps), torch.tensor([[12.5 / 20, 3.5 / 10], [0.5, 0.5]]))


def test_each_extremity_is_at_its_own_side():
    boxes = torch.tensor([[0.1, 0.3, 0.5, 0.4], [0.2, 0.0, 0.3, 0.9]])
    sides = extremities(boxes)
    assert sides.shape == (2, 4, 2)
    torch.testing.assert_close(sides[0], torch.tensor([[0.1, 0.35], [0.3, 0.3], [0.5, 0.35], [0.3, 0.4]]))
    for i, name in enumerate(LANDMARKS[1:5]):
        assert [LANDMARKS[k] for k in landmark(within_box(sides[:, i], boxes))] == [name, name]
    middle = within_box((boxes[:, :2] + boxes[:, 2:]) / 2, boxes)
    assert [LANDMARKS[k] for k in landmark(middle)] == ["inside", "inside"]
    torch.testing.assert_close(distances(middle), torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0]] * 2), atol=1e-5, rtol=0)


def test_a_point_is_at_the_side_it_is_furthest_towards():
    points = torch.tensor([[0.3, -0.3], [0.4, 0.1], [-0.4, 0.5], [0.2, -0.9], [-3.0, 2.0]])
    assert [LANDMARKS[k] for k in landmark(points)] == ["inside", "right", "bottom", "top", "left"]


def test_a_cell_wholly_beyond_the_box_is_elsewhere():
    box = torch.tensor([[0.2, 0.2, 0.6, 0.6]]).expand(6, 4)  # beyond 1.5 half sides: less than 0.1 or more than 0.7
    maps = torch.stack(
        [one_cell(4, c, 10, 10) for c in (9, 7, 6, 4)] + [one_cell(0, 4, 10, 10), one_cell(1, 3, 10, 10)]
    )
    assert [LANDMARKS[k] for k in looks_at(maps, box)] == ["elsewhere", "right", "right", "inside", "top", "top"]
    assert [LANDMARKS[k] for k in looks_at(maps, box + 0.02)][4] == "elsewhere"


def test_the_cell_that_holds_a_small_box_is_never_elsewhere():
    box = torch.tensor([[0.31, 0.31, 0.32, 0.32]])
    assert LANDMARKS[looks_at(one_cell(3, 3, 10, 10)[None], box)] != "elsewhere"
    assert LANDMARKS[looks_at(one_cell(3, 5, 10, 10)[None], box)] == "elsewhere"


def test_distances_are_to_the_landmarks_that_have_a_place():
    assert LANDMARKS[5:] == ("elsewhere",)
    assert distances(torch.tensor([[3.0, 0.0]])).shape == (1, 5)


def test_a_box_without_sides_has_places_all_the_same():
    assert within_box(torch.tensor([[0.4, 0.6]]), torch.tensor([[0.5, 0.5, 0.5, 0.5]])).isfinite().all()
