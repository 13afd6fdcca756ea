"""Drawing stays inside the image, changes nothing else, keeps labels apart, and works at any size."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.reports.colors import COLORS, color_of, ink_on
from condetr.reports.drawing import SMALLEST_SIDE, draw_boxes, enlarge
from condetr.reports.labels import place_labels
from condetr.reports.outlines import Box, visible_part

GREY = np.full((240, 320, 3), 128, np.uint8)
BOX = np.array([[40.0, 60, 200, 180]])


def test_a_box_is_drawn_in_its_color_and_nothing_else_changes() -> None:
    drawn = draw_boxes(GREY, BOX, [""], np.array([3]))
    assert drawn[120, 40].tolist() == list(color_of(3))
    assert (drawn[80:160, 60:180] == 128).all()
    assert (drawn[:50] == 128).all()
    assert (GREY == 128).all()


def test_a_label_is_placed_above_its_box() -> None:
    drawn = draw_boxes(GREY, BOX, ["cat 0.91"], np.array([0]))
    changed = (drawn != 128).any(-1)
    assert changed[45:59, 45:70].mean() > 0.9
    assert not changed[:30].any()


def placed(boxes: np.ndarray, captions: list[str], width: int, height: int, font: float = 13.0) -> list[Box]:
    """The areas of labels, in the order of the boxes."""
    visible = [(i, box) for i, one in enumerate(boxes.tolist()) if (box := visible_part(one, width, height))]
    return [area for area, *_ in place_labels(visible, captions, font, width, height)]


def common(a: Box, b: Box) -> int:
    """Pixels that two areas have in common."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def test_labels_do_not_overlap_where_there_is_room() -> None:
    boxes = np.array([[40.0, 60, 140, 160], [42, 62, 138, 158], [44, 60, 142, 150], [60, 64, 136, 140]])
    areas = placed(boxes, [f"class {i} 0.50" for i in range(4)], 320, 240)
    assert len(areas) == 4
    assert all(common(a, b) == 0 for a, b in combinations(areas, 2))


def test_a_label_does_not_cover_its_own_small_box_at_any_place_in_the_image() -> None:
    for x in (0, 150, 300):
        for y in (0, 110, 225):
            box = np.array([[x, y, x + 20, y + 15]], float)
            (area,) = placed(box, ["platelet 0.91"], 320, 240)
            assert common(area, (x, y, x + 20, y + 15)) == 0


def test_a_label_does_not_cover_another_small_object() -> None:
    box, small = (100, 100, 160, 160), (102, 84, 118, 98)  # the small one is where the label of the other would be
    areas = placed(np.array([box, small], float), ["cell 0.95", "platelet 0.80"], 320, 240)
    assert all(common(area, small) == 0 for area in areas)


def test_the_labels_of_a_hundred_boxes_leave_the_image_and_its_objects_visible() -> None:
    random = np.random.default_rng(0)
    corners, sides = random.uniform(0, 600, (100, 2)), random.uniform(6, 60, (100, 2))
    boxes = np.concatenate([corners, (corners + sides).clip(0, 640)], axis=1)
    areas = placed(boxes, [f"thrombocyte {i / 100:.2f}" for i in range(100)], 640, 640)
    assert 10 < len(areas) < 100
    assert sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in areas) <= 0.21 * 640**2
    visible = [box for one in boxes.tolist() if (box := visible_part(one, 640, 640))]
    assert max(common(area, box) / common(box, box) for area in areas for box in visible) <= 0.5
    crowded = placed(np.repeat([[100.0, 100, 140, 140]], 100, axis=0), ["cell 0.50"] * 100, 640, 640)
    assert 1 <= len(crowded) < 20


def test_a_crowded_label_loses_its_score_before_it_is_left_out() -> None:
    boxes = [[x, y, x + 58.0, y + 40.0] for y in (20.0, 65.0, 110.0, 155.0) for x in (2.0, 64.0, 126.0, 188.0)]
    visible = [(i, box) for i, one in enumerate(boxes) if (box := visible_part(one, 260, 210))]
    texts = [caption for _, _, caption, _ in place_labels(visible, ["cell 0.50"] * len(boxes), 13.0, 260, 210)]
    assert texts[0] == "cell 0.50"
    assert "cell" in texts


def test_a_label_is_inside_only_where_there_is_no_room_above_or_below() -> None:
    (tall,) = placed(np.array([[40.0, 0, 140, 240]]), ["cell 0.9"], 320, 240)
    (top,) = placed(np.array([[40.0, 0, 140, 140]]), ["cell 0.9"], 320, 240)
    assert common(tall, (40, 0, 140, 240)) > 0
    assert top[1] == 140, "below"


@pytest.mark.parametrize(("size", "factor"), [((96, 96), 5), ((399, 20), 2), ((400, 10), 1), ((16, 8), 25)])
def test_small_images_are_enlarged_by_a_whole_factor(size: tuple[int, int], factor: int) -> None:
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 200
    large, found = enlarge(image)
    assert found == factor
    assert large.shape == (height * factor, width * factor, 3)
    assert max(large.shape) >= SMALLEST_SIDE
    assert (large[:, 0] < 10).all()
    assert (large[:, -1] > 190).all()


def test_labels_of_a_small_image_can_be_read() -> None:
    """At least 11 pixels of font on the enlarged image, which the unenlarged one has no room for beside its object."""
    image = np.zeros((96, 96, 3), np.uint8)
    large, factor = enlarge(image)
    changed = (draw_boxes(large, np.array([[30.0, 40, 60, 70]]) * factor, ["7 0.95"], np.array([0])) > 0).any(-1)
    rows = np.flatnonzero(changed.any(1))
    assert 40 * factor - rows[0] >= 14
    assert not changed[40 * factor + 10 : 70 * factor - 10, 30 * factor + 10 : 60 * factor - 10].any()


boxes_anywhere = st.lists(
    st.tuples(*[st.floats(-300, 600, width=32) for _ in range(4)]), max_size=6
)  # also inverted, empty and outside


@settings(max_examples=60, deadline=None)
@given(boxes_anywhere, st.integers(1, 200), st.integers(1, 200), st.text(max_size=30))
def test_any_boxes_on_any_image(boxes: list[tuple[float, ...]], width: int, height: int, caption: str) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    labels = np.arange(len(boxes)) * 50
    array = np.array(boxes, np.float32).reshape(-1, 4)
    drawn = draw_boxes(image, array, [caption] * len(boxes), labels)
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    for x1, y1, x2, y2 in placed(array, ["class 0.50"] * len(boxes), width, height):
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


@pytest.mark.parametrize("size", [(16, 16), (640, 480), (8000, 6000)])
def test_lines_have_the_right_width_from_icons_to_posters(size: tuple[int, int]) -> None:
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    box = np.array([[0.2 * width, 0.2 * height, 0.7 * width, 0.7 * height]])
    drawn = draw_boxes(image, box, ["cat 0.5"], np.array([0]))
    line = (drawn[height // 2, : width // 4] == color_of(0)).all(-1).sum()
    assert abs(line - max(1, 0.0044 * (width + height) / 2)) <= 2


def test_boxes_that_are_not_finite_or_outside_the_image_are_not_drawn() -> None:
    boxes = np.array([[np.nan, 0, 10, 10], [400, 10, 500, 20], [0, 0, np.inf, 10]])
    np.testing.assert_array_equal(draw_boxes(GREY, boxes, ["a", "b", "c"], np.array([0, 1, 2])), GREY)


def test_colors_are_distinct_and_text_on_them_is_readable() -> None:
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
