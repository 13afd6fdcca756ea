"""Drawing: stays inside, leaves the rest alone, keeps names apart, and works at any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.reports import drawing as drawing
from condetr.reports.colors import COLORS, color_of, ink_on
from condetr.reports.drawing import draw_boxes

GREY = np.full((240, 320, 3), 128, np.uint8)
BOX = np.array([[40.0, 60, 200, 180]])


def test_a_box_is_drawn_in_its_color_and_nothing_else_is_touched() -> None:
    drawn = draw_boxes(GREY, BOX, [""], np.array([3]))
    assert drawn[120, 40].tolist() == list(color_of(3))
    assert (drawn[80:160, 60:180] == 128).all()
    assert (drawn[:50] == 128).all()
    assert (GREY == 128).all()


def test_a_caption_makes_a_tab_above_its_box() -> None:
    drawn = draw_boxes(GREY, BOX, ["cat 0.91"], np.array([0]))
    changed = (drawn != 128).any(-1)
    assert changed[45:59, 45:70].mean() > 0.9
    assert not changed[:30].any()


def test_dashes_leave_gaps() -> None:
    whole, dashed = (draw_boxes(GREY, BOX, [""], np.array([0]), dashed=d) for d in (False, True))
    colored = [(d[120 - 50 : 120 + 50, 40] == color_of(0)).all(-1) for d in (whole, dashed)]
    assert colored[0].all()
    assert 0.3 < colored[1].mean() < 0.9


def test_names_do_not_hide_each_other_where_there_is_room() -> None:
    boxes = np.array([[40.0, 60, 140, 160], [42, 62, 138, 158], [44, 60, 142, 150], [60, 64, 136, 140]])
    inside = [(i, drawing._visible(box, 320, 240)) for i, box in enumerate(boxes.tolist())]
    tabs = [np.array(tab, float) for tab, *_ in drawing._place(inside, [f"class {i} 0.50" for i in range(4)], 320, 240)]
    assert len(tabs) == 4
    for i in range(4):
        assert drawing._overlaps(tuple(tabs[i].astype(int).tolist()), np.array(tabs[:i]).reshape(-1, 4)).sum() == 0


boxes_anywhere = st.lists(
    st.tuples(*[st.floats(-300, 600, width=32) for _ in range(4)]), max_size=6
)  # also inverted, empty and outside


@settings(max_examples=60, deadline=None)
@given(boxes_anywhere, st.integers(1, 200), st.integers(1, 200), st.text(max_size=30), st.booleans())
def test_any_boxes_on_any_image(
    boxes: list[tuple[float, ...]], width: int, height: int, caption: str, dashed: bool
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    labels = np.arange(len(boxes)) * 50
    array = np.array(boxes, np.float32).reshape(-1, 4)
    drawn = draw_boxes(image, array, [caption] * len(boxes), labels, dashed)
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    for tab, *_ in drawing._place(
        [(i, box) for i, one in enumerate(array.tolist()) if (box := drawing._visible(one, width, height))],
        ["class 0.50"] * len(boxes),
        width,
        height,
    ):
        assert tab[0] >= 0
        assert tab[1] >= 0
        assert tab[2] <= width
        assert tab[3] <= height


@pytest.mark.parametrize("size", [(16, 16), (640, 480), (8000, 6000)])
def test_from_icons_to_posters(size: tuple[int, int]) -> None:
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    box = np.array([[0.2 * width, 0.2 * height, 0.7 * width, 0.7 * height]])
    drawn = draw_boxes(image, box, ["cat 0.5"], np.array([0]))
    line = (drawn[height // 2, : width // 4] == color_of(0)).all(-1).sum()
    assert abs(line - max(1, 0.0044 * (width + height) / 2)) <= 2


def test_boxes_that_are_no_numbers_or_outside_are_left_out() -> None:
    boxes = np.array([[np.nan, 0, 10, 10], [400, 10, 500, 20], [0, 0, np.inf, 10]])
    np.testing.assert_array_equal(draw_boxes(GREY, boxes, ["a", "b", "c"], np.array([0, 1, 2])), GREY)


def test_colors_are_apart_and_their_ink_is_readable() -> None:
    colors = np.array([color_of(label) for label in range(COLORS)], float)
    distance = np.linalg.norm(colors[:, None] - colors[None], axis=-1) + 1e9 * np.eye(COLORS)
    assert distance[:20, :20].min() > 40
    assert distance.min() > 8
    assert color_of(COLORS + 5) == color_of(5)

    def luminance(color: tuple[int, int, int]) -> float:
        c = np.array(color) / 255
        return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    for label in range(COLORS):
        low, high = sorted((luminance(color_of(label)), luminance(ink_on(color_of(label)))))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, level AA
