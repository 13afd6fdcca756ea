"""Boxes over a page's image: in layers that are switched, with labels that leave the image visible."""

import json
import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pytest

from condetr.reports.overlay import Layer, Mark, MarkedImage, legend, marked_image
from condetr.reports.page import Page
from tests.reports.test_page import HOSTILE, Reader

MISSED = Layer("missed", "missed objects", (255, 205, 40), dashed=True)
FOUND = Layer("found", "objects found", (255, 255, 255), shown=False)
GREY = np.full((60, 80, 3), 128, np.uint8)


def mark(box: tuple[float, ...], caption: str, layer: Layer, note: str = "") -> Mark:
    x1, y1, x2, y2 = map(float, box)
    return Mark((x1, y1, x2, y2), caption, layer, note)


def test_a_mark_is_a_rectangle_of_its_layer_in_pixels_of_the_image() -> None:
    html = marked_image(MarkedImage(GREY, [mark((10, 5, 30, 25.5), "cat 0.91", MISSED, "missed")], "one"))
    assert 'viewBox="0 0 80 60"' in html
    assert '<rect x="10.0" y="5.0" width="20.0" height="20.5" stroke="#ffcd28"' in html
    assert 'data-layer="missed" data-rank="0" data-caption="cat 0.91" class="dashed"><title>cat 0.91: missed<' in html


def test_a_layer_that_is_off_at_first_is_hidden_and_its_switch_too() -> None:
    html = marked_image(MarkedImage(GREY, [mark((1, 1, 5, 5), "a", FOUND), mark((1, 1, 9, 9), "b", MISSED)], "one"))
    assert [bool(re.search("hidden", rect)) for rect in re.findall("<rect[^>]*>", html)] == [False, True]
    switches = re.findall(r'data-switch="(\w+)"( checked)?', legend([MISSED, FOUND]))
    assert switches == [("missed", " checked"), ("found", ""), ("labels", " checked")]


def test_small_boxes_are_above_large_ones_and_boxes_that_are_not_finite_are_left_out() -> None:
    boxes = [(2.0, 2, 4, 4), (0.0, 0, 50, 50), (float("nan"), 0, 1, 1), (0.0, 0, 20, 20)]
    html = marked_image(MarkedImage(GREY, [mark(box, str(i), MISSED) for i, box in enumerate(boxes)], "one"))
    assert re.findall(r'data-rank="(\d)"', html) == ["1", "3", "0"]


def test_hostile_captions_are_text() -> None:
    def page(text: str) -> Reader:
        page = Page("t")
        one = MarkedImage(GREY, [mark((1, 1, 9, 9), text, MISSED, text)], text)
        page.gallery([one], [Layer("a", text, (1, 2, 3))])
        return Reader(page.html())

    assert page(HOSTILE).tags == page("plain").tags
    assert page(HOSTILE).handlers == []


def test_every_image_can_be_enlarged_with_the_keyboard() -> None:
    page = Page("t")
    page.gallery([MarkedImage(GREY, (), "one"), MarkedImage(GREY, (), "two")], ())
    assert page.html().count('role="button" tabindex="0"') == 2


def placed(items: list[dict], width: int, height: int, share: float = 0.2) -> list[dict | None]:
    """The result of the page's own function for placing labels."""
    source = (resources.files("condetr.reports") / "overlay.js").read_text(encoding="utf-8")
    function = source[source.index("const placeLabels") : source.index("// Draw the labels")]
    call = f"console.log(JSON.stringify(placeLabels({json.dumps(items)}, {width}, {height}, {share})))"
    done = subprocess.run(["node", "-e", function + call], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def covered(label: tuple[float, float, float, float], box: list[float]) -> float:
    """The fraction of a box that a label hides."""
    width = min(label[2], box[2]) - max(label[0], box[0])
    height = min(label[3], box[3]) - max(label[1], box[1])
    return max(0.0, width) * max(0.0, height) / ((box[2] - box[0]) * (box[3] - box[1]))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, which runs the page's JavaScript")
def test_a_hundred_labels_do_not_hide_the_image_and_none_hides_a_small_object() -> None:
    random = np.random.default_rng(0)
    corners, sides = random.uniform(0, 280, (100, 2)), random.uniform(3, 40, (100, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1).tolist()
    items = [{"box": box, "sizes": [[60, 16], [30, 16]]} for box in boxes]
    labels = [
        (at["x"], at["y"], at["x"] + one["sizes"][at["size"]][0], at["y"] + one["sizes"][at["size"]][1])
        for one, at in zip(items, placed(items, 320, 320))
        if at
    ]
    assert 5 < len(labels) < 100
    assert sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in labels) <= 0.2 * 320 * 320
    assert all(min(x1, y1) >= 0 and max(x2, y2) <= 320 for x1, y1, x2, y2 in labels)
    assert max(covered(label, one["box"]) for label in labels for one in items) <= 0.2
    assert max(covered(a, list(b)) for a in labels for b in labels if a is not b) == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, which runs the page's JavaScript")
def test_a_label_is_above_its_box_and_the_most_important_one_has_a_place() -> None:
    one, none = [{"box": [100, 100, 200, 200], "sizes": [[60, 16]]}], [{"box": [1, 1, 9, 9], "sizes": [[60, 16]]}]
    assert placed(one, 300, 300) == [{"x": 100, "y": 84, "size": 0}]
    assert placed(none, 20, 20) == [None]
    crowded = placed([{"box": [100, 100, 104, 104], "sizes": [[60, 16]]}] * 100, 300, 300)
    assert crowded[0] is not None
    assert crowded[-1] is None
