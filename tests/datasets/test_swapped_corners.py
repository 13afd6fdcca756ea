"""Boxes whose right edge is left of their left edge are sorted and reported, in every format and every orientation."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from condetr.examining.examine import examine
from condetr.examining.page import page
from tests.labelled import HEIGHT, WIDTH, write_image

CORNERS = (8, 6, 20, 30)
SWAPPED = ((20, 6, 8, 30), (8, 30, 20, 6), (20, 30, 8, 6))
Box = tuple[float, float, float, float]


def coco(root: Path, box: Box) -> None:
    x1, y1, x2, y2 = box
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
            }
        ],
    }
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(content))


def coco_with_names(root: Path, box: Box) -> None:
    coco(root, box)
    file = root / "train" / "_annotations.coco.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = dict(zip(("xmin", "ymin", "xmax", "ymax"), box))
    file.write_text(json.dumps(content))


def hugging_face(root: Path, box: Box) -> None:
    x1, y1, x2, y2 = box
    line = {"file_name": "a.png", "objects": {"bbox": [[x1, y1, x2 - x1, y2 - y1]], "categories": ["cat"]}}
    (root / "train" / "metadata.jsonl").write_text(json.dumps(line) + "\n")


def yolo(root: Path, box: Box) -> None:
    x1, y1, x2, y2 = box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT
    (root / "data.yaml").write_text("names: [cat]\ntrain: train\n")
    (root / "train" / "a.txt").write_text(f"0 {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n")


def voc(root: Path, box: Box, database: str = "mine") -> None:
    sides = "".join(f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box))
    (root / "train" / "a.xml").write_text(
        f"<annotation><filename>a.png</filename><source><database>{database}</database></source><size><width>{WIDTH}"
        f"</width><height>{HEIGHT}</height></size><object><name>cat</name><bndbox>{sides}</bndbox></object></annotation>"
    )


def devkit(root: Path, box: Box) -> None:
    voc(root, box, "The VOC2007 Database")


@pytest.mark.parametrize("swapped", SWAPPED)
@pytest.mark.parametrize("write", [coco, coco_with_names, hugging_face, yolo, voc, devkit])
def test_the_box_is_the_same_and_the_defect_is_named(
    tmp_path: Path, write: Callable[[Path, Box], None], swapped: Box
) -> None:
    write_image(tmp_path / "train" / "a.png", 1)
    write(tmp_path, CORNERS)
    sound = examine(tmp_path)
    write(tmp_path, swapped)
    diagnosis = examine(tmp_path)
    names = [finding.name for finding in diagnosis.findings]
    assert sorted(names) == sorted(["swapped_corners", *(finding.name for finding in sound.findings)])
    truths = [one.dataset.split("train").samples[0].truth for one in (sound, diagnosis)]
    np.testing.assert_allclose(truths[1].boxes, truths[0].boxes)
    np.testing.assert_allclose(truths[1].areas, truths[0].areas)
    assert 'data-layer="defective"' in page(diagnosis).html()


def test_the_corners_of_a_rotated_image_are_sorted_before_they_are_rotated(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "a.png", 1, orientation=6)
    coco(tmp_path, CORNERS)
    sound = examine(tmp_path)
    coco(tmp_path, SWAPPED[0])
    diagnosis = examine(tmp_path)
    assert {finding.name for finding in diagnosis.findings} == {"swapped_corners", "turned_boxes"}
    boxes = [one.dataset.split("train").samples[0].truth.boxes for one in (sound, diagnosis)]
    np.testing.assert_allclose(boxes[1], boxes[0])
