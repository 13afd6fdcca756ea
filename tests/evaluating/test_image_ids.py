"""A detection belongs to the image that its file name or id names, however labels and detections write them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from condetr.detections import Detections
from condetr.errors import DataError
from condetr.evaluating.evaluate import evaluate_detections
from condetr.image_keys import key_of, keys_of_files
from condetr.predicting.sources import Found, Opened, find_one
from condetr.predicting.writers import Coco
from condetr.types import Categories
from tests.datasets import field
from tests.labelled import HEIGHT, WIDTH, write_image

CATEGORIES = Categories((0, 1), ("cat", "dog"))
NAMES = ("2.png", "10.png", "33.png", "garden.png")  # sorted as 10, 2, 33, garden


def box(number: int) -> list[int]:
    return [4 + 5 * number, 6 + 3 * number, 12, 10]


def yolo(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    for number, name in enumerate(names):
        write_image(root / "images" / "val" / name, number)
        x, y, w, h = box(number)
        line = f"{number % 2} {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}\n"
        labels = (root / "labels" / "val" / name).with_suffix(".txt")
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(line)
    (root / "data.yaml").write_text("names: [cat, dog]\nval: images/val\n")
    return root


def coco(root: Path, ids: tuple[Any, ...], names: tuple[str, ...] = NAMES) -> Path:
    for number, name in enumerate(names):
        write_image(root / "valid" / name, number)
    content = {
        "images": [
            {"id": id, "file_name": name, "width": WIDTH, "height": HEIGHT} for id, name in zip(ids, names)
        ],
        "annotations": [
            {"id": i + 1, "image_id": id, "category_id": i % 2, "bbox": box(i), "area": 120, "iscrowd": 0}
            for i, id in enumerate(ids)
        ],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }  # fmt: skip
    (root / "valid" / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def results(root: Path, ids: tuple[Any, ...], encoding: str = "utf-8", **more: tuple[Any, ...]) -> Path:
    entries = [
        {"image_id": id, "category_id": i % 2, "bbox": box(i), "score": 0.9, **{k: v[i] for k, v in more.items()}}
        for i, id in enumerate(ids)
    ]
    file = root / "found.json"
    file.write_text(json.dumps(entries), encoding=encoding)
    return file


def predicted(root: Path, folder: Path) -> Path:
    """What `condetr predict FOLDER --format coco` writes for perfect detections."""
    file = root / "coco.json"
    written = io.StringIO()
    with Coco.open(written, io.StringIO(), CATEGORIES) as writer:
        for found in find_one(str(folder)):
            if not isinstance(found, Found):
                continue  # the labels
            number = NAMES.index(found.name.rpartition("/")[2])
            x, y, w, h = box(number)
            boxes, label = np.array([[x, y, x + w, y + h]], float), np.array([number % 2])
            detections = Detections(boxes, np.array([0.9]), label, np.array([0]), CATEGORIES, (WIDTH, HEIGHT))
            writer.write(Opened(found, keep=False), detections)
    file.write_text(written.getvalue())
    return file


@pytest.mark.parametrize("ids", [(5, 6, 7, 8), (0, 1, 2, 3), (33, 2, 10, 7), ("a", "b", "c", "d")])
def test_what_predict_writes_scores_in_any_data_set(tmp_path: Path, ids: tuple[Any, ...]) -> None:
    root = coco(tmp_path / "coco", ids)
    assert evaluate_detections(predicted(tmp_path, root / "valid"), root).ap == 1
    root = yolo(tmp_path / "yolo")
    assert evaluate_detections(predicted(tmp_path, root / "images" / "val"), root).ap == 1


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ((7, 8, 9, 10), (7, 8, 9, 10)),
        ((7, 8, 9, 10), ("7", 8.0, "9", 10)),
        (("7", "8", "9", "10"), (7, 8, 9, 10)),
        (("007", "008", "009", "010"), ("007", "008", "009", "010")),
        (("007", "008", "009", "010"), (7, 8, 9, 10)),
        (("img_1", "img_2", "img_3", "7"), ("img_1", "img_2", "img_3", 7)),
        (("img_1", 1, "01", "1.0"), ("img_1", 1, "01", "1.0")),
        ((1.0, 2.0, 3.0, 4.0), (1, 2, 3, 4)),
        ((2**63 - 1, 2**63 - 2, 2**70, -5), (2**63 - 1, 2**63 - 2, 2**70, -5)),
        (("a/1", "b/1", "c 1", "ä"), ("a/1", "b/1", "c 1", "ä")),
    ],
)
def test_ids_of_any_type_match_and_are_written_back(tmp_path: Path, labels: Any, found: Any) -> None:
    root = coco(tmp_path / "data", labels)
    evaluation = evaluate_detections(results(tmp_path, found), root)
    assert (evaluation.ap, evaluation.warnings) == (1, ())
    evaluation.write(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {str(key_of(one["image_id"])) for one in written} == {str(key_of(id)) for id in labels}
    assert evaluate_detections(tmp_path / "out" / "detections.json", root).ap == 1


@pytest.mark.parametrize(
    "ids", [(2, 10, 33, "garden"), ("2", "10.png", "33", "garden.png"), ("images/val/2.png", 10, 33.0, "garden")]
)
def test_images_of_yolo_labels_are_found_by_the_names_of_their_files(tmp_path: Path, ids: tuple[Any, ...]) -> None:
    root = yolo(tmp_path / "data")
    evaluation = evaluate_detections(results(tmp_path, ids), root)
    assert evaluation.ap == 1
    evaluation.write(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {one["image_id"] for one in written} == {2, 10, 33, "garden"}


def test_positions_are_no_ids_of_yolo_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image_id 1 is none of the 4 images.*name of the image's file"):
        evaluate_detections(results(tmp_path, (2, 1, 3, 4)), yolo(tmp_path / "data"))


def test_a_file_name_counts_more_than_an_id_and_is_found_by_its_folder(tmp_path: Path) -> None:
    names = ("a/1.png", "b/1.png", "b/2.png", "c/3.png")
    root, wrong = coco(tmp_path / "data", (1, 2, 3, 4), names), (4, 3, 2, 1)
    assert evaluate_detections(results(tmp_path, wrong, file_name=names), root).ap == 1
    windows = ("C:\\x\\a\\1.png", "x\\b\\1.PNG", "2", "c/3.png")
    assert evaluate_detections(results(tmp_path, wrong, file_name=windows), root).ap == 1
    bare = ("1.png", "1.png", "2.png", "3.png")
    assert evaluate_detections(results(tmp_path, (1, 2, 9, 9), file_name=bare), root).ap == 1
    with pytest.raises(DataError, match=r"detection 0: file_name '1.png' fits several images.*with its folder"):
        evaluate_detections(results(tmp_path, wrong, file_name=bare), root)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_detections_can_have_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    root = coco(tmp_path / "data", (1, 2, 3, 4))
    assert evaluate_detections(results(tmp_path, (1, 2, 3, 4), encoding), root).ap == 1


def test_scores_outside_0_and_1_and_images_without_a_file_are_reported(tmp_path: Path) -> None:
    root, score = coco(tmp_path / "data", (1, 2, 3, 4)), (91.5, 3.0, -2.0, 40.0)
    evaluation = evaluate_detections(results(tmp_path, (1, 2, 3, 4), score=score), root)
    assert evaluation.ap == 1
    assert any("scores from -2 to 91.5, not in [0, 1]" in one for one in evaluation.warnings)
    assert evaluation.metrics.calibration.count.sum() == 0
    evaluation.write(tmp_path / "out")
    (root / "valid" / NAMES[0]).unlink()
    evaluation = evaluate_detections(results(tmp_path, (1, 2, 3, 4)), root)
    assert any("1 of 4 images cannot be used" in one for one in evaluation.warnings)


def test_files_with_the_same_name_have_their_folders_in_their_keys() -> None:
    paths = [Path("/d/a/1.png"), Path("/d/b/01.png"), Path("/d/b/x.png"), Path("/d/c/y.png"), Path("/d/c/y.jpg")]
    assert keys_of_files(paths) == ("a/1", "b/01", "x", "c/y.png", "c/y.jpg")


@pytest.mark.parametrize(
    ("bbox", "remark"),
    [
        (tuple([v / s for v, s in zip(box(i), (WIDTH, HEIGHT) * 2)] for i in range(4)), "lie between 0 and 1"),
        (tuple([40 + i, 30, 60, 46] for i in range(4)), "look like x1, y1, x2, y2"),
    ],
)
def test_boxes_in_another_form_are_reported(tmp_path: Path, bbox: tuple[Any, ...], remark: str) -> None:
    root = coco(tmp_path / "data", (1, 2, 3, 4))
    (warning,) = evaluate_detections(results(tmp_path, (1, 2, 3, 4), bbox=bbox), root).warnings
    assert remark in warning


def test_detections_can_be_the_annotations_of_a_coco_file(tmp_path: Path) -> None:
    root = coco(tmp_path / "data", (1, 2, 3, 4))
    file = results(tmp_path, (1, 2, 3, 4))
    file.write_text(json.dumps({"images": [], "annotations": json.loads(file.read_text())}))
    assert evaluate_detections(file, root).ap == 1


@pytest.mark.parametrize(("shift", "words"), [(1, "one larger"), (-1, "one smaller"), (0, None)])
def test_category_ids_that_are_one_off_are_remarked_upon(shift: int, words: str | None, tmp_path: Path) -> None:
    """Ultralytics numbers the classes of its predictions.json from 1, in YOLO's labels they start at 0."""
    root, found = tmp_path / "data", []
    for i in range(12):
        field.image(root / "images" / "val" / f"{i}.png", i)
        label = 1 + i % 2
        field.write(root / "labels" / "val" / f"{i}.txt", f"{label}{field.line(i % 8)[1:]}")
        found.append({"image_id": i, "category_id": label + shift, "bbox": field.box(i % 8), "score": 0.9})
    field.write(root / "data.yaml", "names: [a, b, c, d]\nval: images/val\n")
    warnings = evaluate_detections(field.write(tmp_path / "found.json", found), root, split="valid").warnings
    assert [words in warning for warning in warnings if "category ids" in warning] == ([True] if words else [])
