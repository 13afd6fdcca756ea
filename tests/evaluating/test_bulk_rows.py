"""The rows of a bulk run evaluate to the numbers of the weights themselves."""

import json
from pathlib import Path

import pytest

from condetr.bulk_predicting import bulk as verb
from condetr.errors import DataError
from condetr.evaluating.evaluate import evaluate, evaluate_detections
from condetr.types import Categories
from tests.bulk_predicting.small import Here
from tests.evaluating.test_evaluate import CLASSES, folder, weights

pytest.importorskip("pyarrow")


class Worker(Here):
    calls: list = []  # noqa: RUF012


def test_the_rows_evaluate_as_the_weights_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verb, "LocalWorker", Worker)
    root = folder(tmp_path / "data", 9)
    folder(root, 4, "valid")
    path = weights(tmp_path / "w", Categories((5, 3, 8), (CLASSES[1]["name"], "cat", "dog")))
    (root / "test" / "3<b>.png").write_bytes((root / "test" / "3<b>.png").read_bytes()[:-40])
    expected = evaluate(path, root, split="test")
    verb.bulk(root, path, tmp_path / "rows", threshold=0.0)
    found = evaluate_detections(tmp_path / "rows", root, split="test")
    assert found.metrics.to_dict() == expected.metrics.to_dict()
    assert found.warnings == expected.warnings
    assert "3<b>.png" in " ".join(found.warnings)
    assert found.model == "detections of condetr bulk"
    valid = evaluate_detections(tmp_path / "rows", root, split="valid")
    assert valid.metrics.to_dict() == evaluate(path, root, split="valid").metrics.to_dict()

    verb.bulk(root / "valid", path, tmp_path / "some", threshold=0.01)
    with pytest.raises(DataError, match="none of its 4 rows is an image of 'test'"):
        evaluate_detections(tmp_path / "some", root, split="test")
    (tmp_path / "copy").mkdir()
    for name in ("0<b>.png", "1<b>.png"):
        (tmp_path / "copy" / name).write_bytes((root / "test" / name).read_bytes())
    verb.bulk(tmp_path / "copy", path, tmp_path / "other", threshold=0.01, classes="cat")
    part = evaluate_detections(tmp_path / "other", root, split="test")
    assert "7 of 9 images have no row" in " ".join(part.warnings)
    assert "only detections from the threshold 0.01 on" in " ".join(part.warnings)
    assert "only the classes cat" in " ".join(part.warnings)
    next((tmp_path / "other").glob("shard-*")).unlink()
    with pytest.raises(DataError, match=r"not finished\. Repeat its command first"):
        evaluate_detections(tmp_path / "other", root, split="test")
    with pytest.raises(DataError, match=r"not the folder of a `condetr bulk` run\. .*: `condetr predict IMAGES --"):
        evaluate_detections(tmp_path / "copy", root)
    record = tmp_path / "some" / "_plan" / "plan.json"
    record.write_text(json.dumps({"version": 1}))
    with pytest.raises(DataError, match="damaged"):
        evaluate_detections(tmp_path / "some", root, split="valid")
