"""What an Evaluation offers: numbers, curves ready to plot, thresholds by name, files with the data set's own ids."""

import json
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from condetr import checkpoint
from condetr.errors import CondetrError, WeightsError
from condetr.evaluating import drawings as drawings_module
from condetr.evaluating.drawings import LAYERS, drawings
from condetr.evaluating.evaluate import evaluate, evaluate_detections
from condetr.evaluating.evaluation import Evaluation
from condetr.evaluating.terminal import tables
from condetr.images.decode import Pixels
from condetr.predicting.predictor import Predictor
from condetr.reports.overlay import MarkedImage
from condetr.reports.page import Page
from condetr.types import Categories

from .test_evaluate import HOSTILE, folder, weights


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Detections that are the ground truth, each moved by its number in pixels."""
    place = tmp_path_factory.mktemp("evaluation")
    root = folder(place / "data")
    return evaluate_detections(moved(root, place / "found.json"), root)


def moved(root: Path, file: Path) -> Path:
    labels = json.loads((root / "test" / "_annotations.coco.json").read_text())
    found = [
        {
            "image_id": one["image_id"], "category_id": one["category_id"], "score": 1 / (number + 1),
            "bbox": [one["bbox"][0] + number, *one["bbox"][1:]],
        }
        for number, one in enumerate(labels["annotations"])
    ]  # fmt: skip
    file.write_text(json.dumps(found))
    return file


def test_the_numbers_are_cocos_twelve(evaluation: Evaluation) -> None:
    assert list(evaluation.numbers)[:3] == ["AP", "AP50", "AP75"]
    assert len(evaluation.numbers) == 12
    assert evaluation.numbers["AP50"] == evaluation.ap50
    assert 0 < evaluation.ap < evaluation.ap50 < 1
    assert evaluation.to_dict()["summary"] == evaluation.numbers
    assert evaluation.ap_large == -1  # no object is so large


def test_the_area_under_a_precision_recall_curve_is_the_ap_at_its_iou(evaluation: Evaluation) -> None:
    for one in evaluation.classes:
        recall, precision = evaluation.precision_recall(one.name)
        assert recall[[0, -1]].tolist() == [0, 1]
        assert precision.mean() == pytest.approx(one.ap50)
        assert evaluation.precision_recall(one.name, iou=0.75).precision.mean() == pytest.approx(one.ap75)
    ious = [evaluation.precision_recall(iou=iou).precision.mean() for iou in np.arange(0.5, 1, 0.05).tolist()]
    assert np.mean(ious) == pytest.approx(evaluation.ap)


def test_an_unknown_class_or_iou_is_refused_in_one_line(evaluation: Evaluation) -> None:
    with pytest.raises(CondetrError, match=r"no class 'Cat'\. Did you mean 'cat'\?"):
        evaluation.precision_recall("Cat")
    with pytest.raises(CondetrError, match=r"iou 0\.62 is not evaluated"):
        evaluation.precision_recall(iou=0.62)


def test_thresholds_go_by_class_name(evaluation: Evaluation) -> None:
    assert evaluation.thresholds == {one.name: one.best.threshold for one in evaluation.classes}
    assert set(evaluation.thresholds) == {"cat", HOSTILE}


def test_image_ids_of_64_bits_stay_as_they_are_from_labels_to_detections(tmp_path: Path) -> None:
    """2^53 and 2^53 + 1 are the same float64."""
    ids = [2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1, 2**63 - 2, 7]
    root = folder(tmp_path / "data")
    small = evaluate_detections(moved(root, tmp_path / "small.json"), root)
    file = root / "test" / "_annotations.coco.json"
    labels = json.loads(file.read_text())
    renamed = {image["id"]: id for image, id in zip(labels["images"], ids, strict=True)}
    for image in labels["images"]:
        image["id"] = renamed[image["id"]]
    for one in labels["annotations"]:
        one["image_id"] = renamed[one["image_id"]]
    file.write_text(json.dumps(labels))
    large = evaluate_detections(moved(root, tmp_path / "large.json"), root, out=tmp_path / "out")
    assert large.numbers == small.numbers
    assert sorted(one.image_id for one in large.metrics.by_image) == sorted(ids)
    written = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {one["image_id"] for one in written} == {one["image_id"] for one in labels["annotations"]}
    again = evaluate_detections(tmp_path / "out" / "detections.json", root)
    assert again.metrics.to_dict() == large.metrics.to_dict()


def test_weights_may_be_a_folder_or_a_predictor(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", 3)
    source = weights(tmp_path / "w", Categories((1, 2), (HOSTILE, "cat")))
    by_folder = evaluate(source, str(root), device="cpu", out=tmp_path / "out")
    assert (tmp_path / "out" / "report.html").exists()
    by_predictor = evaluate(Predictor.load(source, "cpu"), root)
    assert by_predictor.metrics.to_dict() == by_folder.metrics.to_dict()
    assert by_predictor.name == "tiny"


def page_images(evaluation: Evaluation) -> Iterator[MarkedImage]:
    samples = {sample.truth.image_id: sample for sample in evaluation.split}
    metrics, names = evaluation.metrics, evaluation.data.categories
    return drawings(samples, list(samples), evaluation.table, metrics.thresholds, names)


def test_the_images_of_a_page_are_in_memory_one_at_a_time(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[weakref.ref[np.ndarray]] = []
    living: list[int] = []
    original: Callable[[Path], Pixels] = drawings_module.open_image

    def watched(path: Path) -> Pixels:
        pixels = original(path)
        opened.append(weakref.ref(pixels))
        living.append(sum(one() is not None for one in opened))
        return pixels

    monkeypatch.setattr(drawings_module, "open_image", watched)
    Page("images").gallery(page_images(evaluation), LAYERS)
    assert len(opened) == len(evaluation.metrics.by_image) == 6
    assert max(living) <= 2


def test_an_images_marks_are_its_counts_and_its_caption_names_what_was_missed(evaluation: Evaluation) -> None:
    counts = {one.image_id: one for one in evaluation.metrics.by_image}
    assert sum(one.missed for one in counts.values()) > 0
    for sample, image in zip(evaluation.split, page_images(evaluation), strict=True):
        kinds = Counter(mark.layer.key for mark in image.marks)
        one = counts[sample.truth.image_id]
        assert (kinds["correct"], kinds["false"], kinds["missed"]) == (one.correct, one.false, one.missed)
        assert kinds["found"] == kinds["correct"]
        missed = [mark.caption for mark in image.marks if mark.layer.key == "missed"]
        for name in dict.fromkeys(missed):
            count = missed.count(name)
            assert (name if count == 1 else f"{name} ×{count}") in image.caption.split("; missed ")[1]
        assert image.pixels.shape == (64, 80, 3)


def test_saving_thresholds_replaces_config_json_alone(tmp_path: Path) -> None:
    source = weights(tmp_path / "w", Categories((1, 2), ("model_type", "cat")))
    before = {file.name: (file.stat().st_ino, file.read_bytes()) for file in source.iterdir()}
    checkpoint.save_thresholds(source, (0.25, 0.75), "valid")
    after = {file.name: (file.stat().st_ino, file.read_bytes()) for file in source.iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["config.json"]
    assert checkpoint.load(source).thresholds == (0.25, 0.75)
    with pytest.raises(WeightsError, match="3 thresholds for 2 categories"):
        checkpoint.save_thresholds(source, (0.1, 0.2, 0.3), "valid")


def test_thresholds_are_not_saved_with_weights_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "detr"}')
    with pytest.raises(WeightsError, match=r"condetr convert .* DIR"):
        checkpoint.save_thresholds(tmp_path, (0.5,), "valid")
    assert (tmp_path / "config.json").read_text() == '{"model_type": "detr"}'


def test_a_narrow_terminal_shows_fewer_columns_and_whole_numbers(evaluation: Evaluation) -> None:
    for width in (100, 40):
        console = Console(width=width, file=StringIO())
        console.print(tables(evaluation))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert f"{evaluation.ap:.3f}" in text
        assert f"{evaluation.classes[0].ap:.3f}" in text
        assert max(len(line) for line in text.splitlines()) <= width
        assert ("too narrow for" in text) == (width == 40)


def test_warnings_name_flags_on_the_command_line(evaluation: Evaluation) -> None:
    warned = replace(evaluation, warnings=("only 100 detections: `max_detections=N` scores more",))
    for as_typed, expected in ((str, "`max_detections=N` scores"), (str.upper, "`MAX_DETECTIONS=N` SCORES")):
        console = Console(width=100, file=StringIO())
        console.print(tables(warned, as_typed))
        assert expected in console.file.getvalue()  # type: ignore[attr-defined]
