"""Labels with defects are scored as they are: the numbers equal pycocotools' on the same files."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from condetr.evaluating.evaluate import evaluate_detections
from condetr.evaluating.evaluation import Evaluation

WIDTH, HEIGHT = 160, 120


def dirty(root: Path, seed: int, images: int = 8) -> tuple[Path, Path]:
    """A COCO data set with every defect of a box, and detections near its objects: the paths of both files."""
    random = np.random.default_rng(seed)
    (root / "test").mkdir(parents=True)
    entries, annotations, found = [], [], []
    for image in range(1, images + 1):
        Image.new("RGB", (WIDTH, HEIGHT), (60, 60, 60)).save(root / "test" / f"{image}.png")
        entries.append({"id": image, "file_name": f"{image}.png", "width": WIDTH, "height": HEIGHT})
        for _ in range(int(random.integers(3, 8))):
            box = [*random.uniform(-20, 130, 2), *random.uniform(5, 60, 2)]
            box = [round(value, 1) for value in box]
            kind = int(random.integers(0, 8))
            if kind == 0:
                box[int(random.integers(2, 4))] = 0.0
            if kind == 1:
                box[:2] = [500.0, 400.0]
            if kind == 4:
                side = int(random.integers(2))
                box[side], box[2 + side] = box[side] + box[2 + side], -box[2 + side]
            area = [box[2] * box[3], 0.0, 0.4 * box[2] * box[3], 5000.0][int(random.integers(0, 4))]
            one = {"image_id": image, "category_id": int(random.choice([3, 70])), "bbox": box, "area": area}
            copies = 2 if kind == 2 else 1
            annotations += [{**one, "iscrowd": int(kind == 3)}] * copies
            moved = [round(value + float(move), 1) for value, move in zip(box, random.normal(0, 3, 4))]
            for _ in range(copies):
                found.append(
                    {**one, "bbox": [*moved[:2], *np.abs(moved[2:]).tolist()], "score": round(random.random(), 2)}
                )
    labels = {
        "images": entries,
        "annotations": [{**one, "id": number} for number, one in enumerate(annotations, start=1)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 70, "name": "dog"}],
    }
    truth, detections = root / "test" / "_annotations.coco.json", root / "found.json"
    truth.write_text(json.dumps(labels))
    detections.write_text(json.dumps([{key: one[key] for key in one if key != "area"} for one in found]))
    return truth, detections


def pycocotools_numbers(truth: Path, detections: Path) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluator = COCOeval(coco, coco.loadRes(str(detections)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats


@pytest.mark.parametrize("seed", range(8))
def test_dirty_labels_score_as_in_pycocotools(tmp_path: Path, seed: int) -> None:
    truth, detections = dirty(tmp_path / "data", seed)
    evaluation = evaluate_detections(detections, tmp_path / "data")
    expected = pycocotools_numbers(truth, detections)
    np.testing.assert_allclose(list(evaluation.numbers.values()), expected, rtol=0, atol=1e-12)
    assert 0 < evaluation.ap < 1
    labelled = json.loads(truth.read_text())["annotations"]
    assert evaluation.metrics.objects == sum(not one["iscrowd"] for one in labelled)


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    _, detections = dirty(tmp_path / "data", 0, images=20)
    return evaluate_detections(detections, tmp_path / "data")


def test_warnings_say_which_boxes_are_scored_as_labelled(evaluation: Evaluation) -> None:
    warnings = " | ".join(evaluation.warnings)
    assert "scored as labelled" in warnings
    for text in ("exceeds the image by more than a pixel", "occur twice in one image", "completely outside the image"):
        assert text in warnings
    assert "no width or no height; no detection can match it" in warnings
    assert "the corners are swapped; no detection can match it" in warnings


def test_warnings_say_what_cannot_be_scored(tmp_path: Path) -> None:
    truth, detections = dirty(tmp_path / "data", 1)
    labels = json.loads(truth.read_text())
    labels["annotations"][0]["category_id"] = 5
    labels["annotations"][1]["bbox"][0] = float("nan")
    truth.write_text(json.dumps(labels))
    (tmp_path / "data" / "test" / "8.png").unlink()
    warnings = evaluate_detections(detections, tmp_path / "data").warnings
    assert "not scored: 1 × the labels name an image that does not exist" in warnings
    assert "not scored: 1 × the object's category is not in the list of classes" in warnings
    assert "not scored: 1 × the box contains NaN or infinity" in warnings


def test_the_page_of_dirty_labels_is_written(evaluation: Evaluation, tmp_path: Path) -> None:
    assert "scored as labelled" in evaluation.write(tmp_path / "out").read_text(encoding="utf-8")
