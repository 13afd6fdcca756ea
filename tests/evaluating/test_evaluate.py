"""The same numbers from weights, from a detections file and from several processes; and bad input in one line."""

import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from condetr import checkpoint, config
from condetr.cli import app
from condetr.datasets.dataset import DataSet
from condetr.detections import Detections
from condetr.engine.distributed import Processes
from condetr.errors import CondetrError, DataError, ImageError
from condetr.evaluating.evaluate import evaluate, evaluate_detections, save_best_thresholds, weights_name
from condetr.evaluating.evaluation import Evaluation
from condetr.evaluating.samples import evaluate_samples
from condetr.examining.examine import examine
from condetr.types import Categories, Sample
from tests.tiny import TINY, shaken

HOSTILE = "<img src=x onerror=alert(1)> $\\frac"
CLASSES = [{"id": 3, "name": "cat"}, {"id": 70, "name": HOSTILE}]


def folder(root: Path, count: int = 6, split: str = "test") -> Path:
    """Grey images with a few bright rectangles, as COCO in Roboflow's layout."""
    random = np.random.default_rng(0)
    (root / split).mkdir(parents=True)
    images, annotations = [], []
    for number in range(count):
        canvas = np.full((64, 80, 3), 90, np.uint8)
        for _ in range(int(random.integers(0, 4)) if number else 2):
            x, y, w, h = (int(v) for v in (*random.integers(0, 40, 2), *random.integers(8, 24, 2)))
            canvas[y : y + h, x : x + w] = 220
            annotations.append(
                {
                    "id": len(annotations), "image_id": 100 - number, "category_id": int(random.choice([3, 70])),
                    "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0,
                }
            )  # fmt: skip
        name = f"{number}<b>.png"
        Image.fromarray(canvas).save(root / split / name)
        images.append({"id": 100 - number, "file_name": name, "width": 80, "height": 64})
    labels = {"images": images, "annotations": annotations, "categories": CLASSES}
    (root / split / "_annotations.coco.json").write_text(json.dumps(labels))
    return root


def weights(path: Path, categories: Categories) -> Path:
    """A folder of randomly initialised weights."""
    model = config.Model(**{**TINY.model_dump(), "queries": 20})
    whole = config.Config(recipe="tiny", model=model, data=config.Data(size=64))
    checkpoint.save(path, checkpoint.Weights(shaken(model, len(categories)), whole, categories, None), "card")
    return path


class ShiftedTruth:
    """Predicts the ground truth, randomly shifted; an image with `broken` in its name cannot be read."""

    def __init__(self, categories: Categories) -> None:
        self.categories = categories

    def stream(
        self, sources: Iterable[Sample], threshold: float, batch: int, read: Callable[[Sample], Any]
    ) -> Iterator[tuple[Sample, Detections | ImageError]]:
        assert threshold == 0
        for sample in sources:
            truth = sample.truth
            random = np.random.default_rng(truth.image_id)
            if "broken" in sample.path.name:
                yield sample, ImageError("cut short")
                continue
            boxes = truth.boxes + random.normal(0, 2, truth.boxes.shape)
            scores = np.sort(random.random(len(truth)))[::-1]
            yield sample, Detections(boxes, scores, truth.labels, truth.labels, self.categories, truth.size)


def dataset(root: Path) -> DataSet:
    return examine(root).dataset


def test_several_processes_evaluate_each_image_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(folder(tmp_path, 7))
    samples, predictor = data.split("test").samples, ShiftedTruth(data.categories)
    alone = evaluate_samples(predictor, samples, data.categories).metrics(20)
    sent: list[np.ndarray] = []

    def gather(self: Processes, values: np.ndarray, device: torch.device) -> list[np.ndarray]:
        sent.append(values)
        return sent

    monkeypatch.setattr(Processes, "gather", gather)
    for rank in range(3):
        evaluator = evaluate_samples(predictor, samples, data.categories, processes=Processes(rank, 3, rank))
    assert len(sent) == 3
    assert evaluator.metrics(20).to_dict() == alone.to_dict()
    assert alone.images == 7
    assert alone.summary.ap50 > 0.3


def test_an_unreadable_image_is_left_out_and_named(tmp_path: Path) -> None:
    data = dataset(folder(tmp_path, 4))
    first, *others = data.split("test").samples
    unread: list[str] = []
    samples = [replace(first, path=Path("broken.png")), *others]
    evaluator = evaluate_samples(ShiftedTruth(data.categories), samples, data.categories, unread=unread)
    assert unread == ["broken.png: cut short"]
    assert evaluator.metrics(20).images == 3


def test_an_unreadable_image_is_named_whichever_process_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dataset(folder(tmp_path, 5))
    one, two, three, *others = data.split("test").samples
    broken = [replace(sample, path=Path(f"broken {i}.png")) for i, sample in enumerate((one, two, three))]
    calls: dict[int, int] = {}
    sent: dict[int, list[np.ndarray]] = {}

    def gather(self: Processes, values: np.ndarray, device: torch.device) -> list[np.ndarray]:
        number = calls[self.rank] = calls.get(self.rank, 0) + 1
        sent.setdefault(number, []).append(values)
        return sent[number]

    monkeypatch.setattr(Processes, "gather", gather)
    for rank in range(2):
        unread: list[str] = []
        evaluator = evaluate_samples(
            ShiftedTruth(data.categories), [*broken, *others], data.categories, processes=Processes(rank, 2, rank),
            unread=unread,
        )  # fmt: skip
    assert unread == [f"broken {i}.png: cut short" for i in (0, 2, 1)]
    assert evaluator.metrics(20).images == 2


def test_the_written_detections_evaluate_to_the_same_metrics(tmp_path: Path) -> None:
    """And the page escapes hostile names."""
    root = folder(tmp_path / "data")
    source = weights(tmp_path / "weights", Categories((1, 2), (HOSTILE, "cat")))
    evaluation = evaluate(source, root, split="test", device="cpu", batch=2)
    report = evaluation.write(tmp_path / "out")
    again = evaluate_detections(tmp_path / "out" / "detections.json", root, split="test")
    assert again.metrics.to_dict() == evaluation.metrics.to_dict()
    assert evaluation.metrics.detections == 6 * 40
    html = report.read_text()
    assert "<h1>Evaluation of tmp on data</h1>".replace("tmp", tmp_path.name) in html
    assert "Conditional DETR, recipe tiny · 6 images of the split &#x27;test&#x27;" in html
    assert "<img src=x" not in html
    assert "<b>.png" not in html
    assert "&lt;img src=x" in html
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["summary"]["AP"] == evaluation.ap
    assert metrics["split"] == "test"
    assert {entry["category_id"] for entry in json.loads((tmp_path / "out" / "detections.json").read_text())} == {3, 70}


def with_ap(evaluation: Evaluation, ap: float) -> Evaluation:
    """As if the random detector had learned something."""
    return replace(evaluation, metrics=replace(evaluation.metrics, summary=replace(evaluation.metrics.summary, ap=ap)))


def test_best_thresholds_are_saved_by_the_labels_of_the_weights(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    source = weights(tmp_path / "weights", Categories((1, 2, 5), (HOSTILE, "cat", "fox")))
    before = (source / "model.safetensors").read_bytes()
    evaluation = with_ap(evaluate(source, root, split=None, device="cpu", batch=4), 0.5)
    save_best_thresholds(source, evaluation)
    cat, hostile = evaluation.metrics.thresholds
    assert checkpoint.load(source).thresholds == (hostile, cat, 0.5)
    assert (source / "model.safetensors").read_bytes() == before
    assert (source / "README.md").read_text() == "card"
    with pytest.raises(CondetrError, match="condetr convert owner/name DIR"):
        save_best_thresholds("owner/name", evaluation)
    for file in ("birds.onnx", "birds.xml"):
        with pytest.raises(CondetrError, match=f"{file}: .* Give the folder that the file was exported from"):
            save_best_thresholds(file, evaluation)


def test_thresholds_chosen_on_valid_are_kept_and_none_are_saved_where_ap_is_0(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    source = weights(tmp_path / "weights", Categories((1, 2), (HOSTILE, "cat")))
    on_test = evaluate(source, root, split="test", device="cpu", batch=4)
    learned, nothing = with_ap(on_test, 0.5), with_ap(on_test, 0.0)
    with pytest.raises(CondetrError, match=r"no thresholds saved, as AP is 0\.\d+ on test: nothing has been learned"):
        save_best_thresholds(source, nothing)
    assert checkpoint.thresholds_split(source) is None
    checkpoint.save_thresholds(source, (0.25, 0.75), "valid")
    with pytest.raises(CondetrError, match=r"thresholds chosen on valid, and these were chosen on test. `replace_thr"):
        save_best_thresholds(source, learned)
    assert checkpoint.load(source).thresholds == (0.25, 0.75)
    save_best_thresholds(source, learned, replace=True)
    assert checkpoint.thresholds_split(source) == "test"
    save_best_thresholds(source, learned)  # from test to test


@pytest.mark.parametrize("name", ["predictions.jsonl", "coco.json"])
def test_the_files_that_predict_writes_by_default_are_told_from_coco_results(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path / "data")
    (tmp_path / "predictions.jsonl").write_text("{}\n{}\n")
    with pytest.raises(DataError, match=r"`condetr predict IMAGES --format coco` writes coco\.json$"):
        evaluate_detections(tmp_path / name, root)


def test_weights_that_cannot_be_written_are_named_before_images_are_predicted(tmp_path: Path, monkeypatch) -> None:
    source = weights(tmp_path / "weights", Categories((1, 2), (HOSTILE, "cat")))

    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    words = ["evaluate", str(tmp_path / "nothing yet"), "--weights", str(source), "--save-thresholds"]
    (tmp_path / "nothing yet").mkdir()
    failed = CliRunner().invoke(app, words).exception
    assert str(failed) == (
        f"{source}: cannot be written (Read-only file system). Copy the weights to another folder, and give that one"
    )


def test_thresholds_of_a_run_are_saved_with_its_best_weights(tmp_path: Path) -> None:
    root, run = folder(tmp_path / "data"), tmp_path / "birds"
    weights(run / "best", Categories((1, 2), (HOSTILE, "cat")))
    (run / "config.json").write_text("{}")
    save_best_thresholds(run, with_ap(evaluate(run, root, split=None, device="cpu", batch=4), 0.5))
    assert checkpoint.load(run / "best").thresholds is not None
    assert (run / "config.json").read_text() == "{}"
    assert sorted(path.name for path in run.iterdir()) == ["best", "config.json"]


def test_weights_are_named_after_their_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "birds-2" / "best").mkdir(parents=True)
    (tmp_path / "demo" / "run" / "best").mkdir(parents=True)
    assert weights_name(str(tmp_path / "runs" / "birds-2" / "best")) == "birds-2"
    assert weights_name(str(tmp_path / "runs" / "birds-2")) == "birds-2"
    assert weights_name(str(tmp_path / "demo" / "run" / "best")) == "demo"
    assert weights_name("facebook/detr-resnet-50") == "facebook/detr-resnet-50"
    monkeypatch.chdir(tmp_path / "runs" / "birds-2" / "best")
    assert weights_name(".") == "birds-2"


def test_a_warning_names_the_classes_that_the_weights_do_not_have(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    evaluation = evaluate(
        weights(tmp_path / "w", Categories((9,), ("cat",))), root, split="test", device="cpu", batch=4
    )
    objects = evaluation.classes[1].objects
    assert f"the weights do not know {HOSTILE}: {objects} objects counted as missed" in evaluation.warnings
    assert evaluation.classes[1].ap == 0
    others = weights(tmp_path / "v", Categories(tuple(range(12)), tuple(f"fox{i}" for i in range(12))))
    way = re.escape(f"`condetr.train({str(root)!r}, init={str(others)!r})`")
    with pytest.raises(DataError, match=rf"theirs are fox0, .*, fox7 and 4 others\. Train them .*{way}"):
        evaluate(others, root, split="test", device="cpu", batch=4)


def test_the_default_split_is_test_or_else_valid(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", split="valid")
    empty = tmp_path / "none.json"
    empty.write_text("[]")
    evaluation = evaluate_detections(empty, root, split=None)
    assert evaluation.split.name == "valid"
    assert evaluation.ap == 0
    assert evaluation.write(tmp_path / "out").exists()
    with pytest.raises(DataError, match=r"no split 'train'. There are: valid"):
        evaluate_detections(empty, root, split="train")


def test_a_class_without_objects_is_not_counted_as_a_defect(tmp_path: Path) -> None:
    root, empty = folder(tmp_path / "data", split="train"), tmp_path / "none.json"
    empty.write_text("[]")
    (before,) = evaluate_detections(empty, root, split="train").warnings
    assert before.startswith("1 defect in the labels of 'train'")  # two images without objects are the same
    labels = root / "train" / "_annotations.coco.json"
    content = json.loads(labels.read_text())
    labels.write_text(json.dumps({**content, "categories": [*CLASSES, {"id": 71, "name": "fox"}]}))
    assert evaluate_detections(empty, root, split="train").warnings == (before,)


def test_a_split_without_objects_is_refused_before_any_work(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    labels = root / "test" / "_annotations.coco.json"
    labels.write_text(json.dumps({**json.loads(labels.read_text()), "annotations": []}))
    with pytest.raises(DataError, match="not one labelled object"):
        evaluate("no/weights", root, split="test", device="cpu")


GOOD = {"image_id": 100, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not valid JSON"),
        ('{"annotations": []}', "must be a JSON list"),
        ("[1]", "detection 0: must be an object"),
        ([{**GOOD, "image_id": 5000}], "detection 0: image_id 5000 is none of the 6 images of this split"),
        ([GOOD, {**GOOD, "image_id": None}], "detection 1: image_id must be a number or a word"),
        ([GOOD, {**GOOD, "image_id": 7.5}], "detection 1: image_id must be a number or a word"),
        ([GOOD, {**GOOD, "image_id": "cat"}], "detection 1: image_id 'cat' is none of the 6 images"),
        ([GOOD, {**GOOD, "file_name": "other/a.png"}], "detection 1: no image of this split has the file name"),
        ([{**GOOD, "category_id": "x"}], "category_id must be a whole number"),
        ([{**GOOD, "category_id": 4}], "category_id 4 is not a class of the data set (3, 70)"),
        ([{**GOOD, "score": float("nan")}], "score must be a finite number"),
        ([{**GOOD, "score": "high"}], "score must be a finite number"),
        ([{**GOOD, "score": True}], "score must be a finite number"),
        ([{**GOOD, "score": 10**400}], "score must be a finite number"),
        ([{**GOOD, "bbox": [1, 2, 3]}], "bbox must be four finite numbers"),
        ([{**GOOD, "bbox": [1, 2, float("inf"), 3]}], "bbox must be four finite numbers"),
        ([{**GOOD, "bbox": [10, 10, -5, 4]}], "bbox has a negative size"),
        ([{"image_id": 100, "category_id": 3, "score": 1}], "has no bbox"),
    ],
)
def test_an_invalid_detections_file_is_refused_in_one_line(tmp_path: Path, content: str | list, expected: str) -> None:
    root, file = folder(tmp_path / "data"), tmp_path / "found.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError) as caught:
        evaluate_detections(file, root, split="test")
    assert expected in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_prints_tables_or_json(tmp_path: Path) -> None:
    root, file = folder(tmp_path / "data"), tmp_path / "found.json"
    file.write_text(json.dumps([GOOD]))
    words = ["evaluate", str(root), "--detections", str(file), "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "AP50" in shown.output
    assert "report.html" in shown.output
    as_json = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(as_json.stdout)["classes"][1]["name"] == HOSTILE
    assert isinstance(CliRunner().invoke(app, ["evaluate"]).exception, CondetrError)
    unwritable = CliRunner().invoke(app, [*words[:-1], str(file / "out")])
    assert "cannot be written" in str(unwritable.exception)
    assert not unwritable.stdout  # refused before the evaluation


def test_a_console_that_cannot_show_a_class_name_loses_no_report(tmp_path: Path) -> None:
    root, file, out = folder(tmp_path / "data"), tmp_path / "found.json", tmp_path / "out"
    labels = root / "test" / "_annotations.coco.json"
    labels.write_text(labels.read_text().replace('"cat"', '"\\u732b"'))
    file.write_text(json.dumps([GOOD]))
    CliRunner(charset="cp1252").invoke(app, ["evaluate", str(root), "--detections", str(file), "--out", str(out)])
    assert sorted(path.name for path in out.iterdir()) == ["detections.json", "metrics.json", "report.html"]
    assert "\u732b" in (out / "report.html").read_text(encoding="utf-8")
