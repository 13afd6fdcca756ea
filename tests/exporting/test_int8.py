"""An int8 file has as much of the model in int8 as AP allows, and one that loses more is never handed over."""

import importlib.util
import json
import logging
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from condetr.checkpoint import save
from condetr.errors import CondetrError
from condetr.evaluating.evaluate import evaluate
from condetr.exporting import int8
from condetr.exporting.export import export
from condetr.files import write_text
from condetr.predicting.predictor import Predictor
from condetr.runtime import quantise
from condetr.runtime.openvino_runtime import OpenVinoRuntime
from condetr.runtime.translate import write_openvino
from tests.exporting.changed import change_initializers
from tests.exporting.test_without_condetr import OFFLINE_SOCKETS, python
from tests.labelled import HEIGHT, WIDTH, write_image
from tests.runtime.exported import CATEGORIES, weights, without_shape_checks
from tests.tiny import shaken

needs_nncf = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf, of the extra int8, is missing")


@pytest.fixture(autouse=True)
def _unchecked():
    with without_shape_checks():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random images, whose labels are the three best detections of the weights."""
    root, predictor = tmp_path_factory.mktemp("data"), Predictor(weights("tiny"))
    for split, first in (("train", 1), ("valid", 11)):
        images, annotations = [], []
        for id in range(first, first + 4):
            file = write_image(root / split / f"{id}.png", id)
            images.append({"id": id, "file_name": file.name, "width": WIDTH, "height": HEIGHT})
            found = predictor(file, threshold=0.0, one_class_per_box=True)
            for box, label in list(zip(found.boxes, found.labels))[:3]:
                x1, y1, x2, y2 = (float(value) for value in box)
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": id, "category_id": CATEGORIES.ids[label], "iscrowd": 0,
                     "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                )  # fmt: skip
        categories = [{"id": CATEGORIES.ids[i], "name": CATEGORIES.names[i]} for i in CATEGORIES.real]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_text(root / split / "_annotations.coco.json", json.dumps(content))
    return root


def rough(x: np.ndarray) -> np.ndarray:
    step = np.abs(x).max() / 3
    return np.round(x / step) * step


def stand_in(broken: Callable[[tuple[str, ...]], bool], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Instead of NNCF: in float32, and where `broken` with a decoder that is rounded to 3 bits. Returns the numbers of
    images that it was given."""
    seen: list[int] = []

    def write(onnx_file, facts, images, number, parts, file) -> None:
        seen.append(len(list(images)))
        copy = shutil.copy(onnx_file, onnx_file.with_suffix(".copy.onnx"))
        if broken(parts):
            change_initializers(copy, "decoder", rough)
        write_openvino(copy, facts, file)

    monkeypatch.setattr(int8, "nncf", lambda: None)
    monkeypatch.setattr("condetr.exporting.export.nncf", lambda: None)
    monkeypatch.setattr(int8, "write_quantised", write)
    return seen


def test_where_ap_falls_too_far_less_is_quantised(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stand_in(lambda parts: "encoder" in parts, monkeypatch)
    out = tmp_path / "a.xml"
    done = export(weights("tiny"), format="openvino", precision="int8", data=data, out=out, calibration=3)
    assert seen == [3, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"a.xml", "a.bin", "a.xml.proof.json"}
    assert [one.parts for one in done.proof.attempts] == [("backbone", "encoder"), ("backbone",)]
    assert done.proof.attempts[0].ap < done.proof.attempts[1].ap - 0.02
    assert done.proof.accuracy is not None
    assert done.proof.accuracy.exported == done.proof.attempts[1].ap
    facts = OpenVinoRuntime(out, "fp32").facts
    assert (facts.precision, facts.quantised) == ("int8", ("backbone",))


def test_a_broken_int8_file_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(lambda parts: True, monkeypatch)
    text = (
        r"a\.xml: refused and removed; AP falls from [\d.]+ to [\d.]+ with backbone and encoder in int8 and [\d.]+ "
        r"with backbone in int8, by more than 0\.005; moved most: 1\d\.png \(box"
    )
    with pytest.raises(CondetrError, match=text) as caught:
        export(weights("tiny"), format="openvino", precision="int8", data=data, out=tmp_path / "a.xml")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_ap_decides_only_where_it_can_fall(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stand_in(lambda parts: True, monkeypatch)
    own = weights("tiny")
    untrained = replace(own, detector=shaken(own.config.model, 3, seed=5))
    text = r"int8: AP of the weights is 0\.\d+, so a fall by more than 0\.005 cannot be seen\. .* with `max_drop=1`$"
    with pytest.raises(CondetrError, match=text):
        export(untrained, format="openvino", precision="int8", data=data, out=tmp_path / "a.xml")
    assert (seen, list(tmp_path.iterdir())) == ([], [])


def test_what_int8_needs_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(match: str, **changes) -> None:
        options = {"format": "openvino", "data": data, "out": tmp_path / "a.xml"} | changes
        with pytest.raises(CondetrError, match=match) as caught:
            export(weights("tiny"), precision="int8", **options)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.iterdir())

    refused(r"int8: only for OpenVINO\. Add `format='openvino'`", format="onnx", out=tmp_path / "a.onnx")
    refused(r"int8: needs labelled images, to calibrate on .* Add `data='DATA'`", data=None)
    refused("calibration 0: must be at least 1", calibration=0)
    refused("calibration: expected a whole number", calibration=1.5)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "nncf", None)
        refused(r"nncf is not installed: pip install 'condetr\[int8\]'")
    stand_in(lambda parts: False, monkeypatch)
    other = shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("train"))
    with pytest.raises(CondetrError, match=r"no split 'train' to calibrate int8 on\. There are: valid"):
        export(weights("tiny"), format="openvino", precision="int8", data=other, out=tmp_path / "a.xml")
    shutil.copytree(data, tmp_path / "data", dirs_exist_ok=True)
    for file in (other / "train").glob("*.png"):
        file.write_bytes(b"not an image")
    with pytest.raises(CondetrError, match=r"no image of 'train' can be read\. `condetr doctor .*` gives the reasons"):
        export(weights("tiny"), format="openvino", precision="int8", data=other, out=tmp_path / "a.xml")


def quantised_layers(file: Path, first: int | None = None) -> set[str]:
    """The modules with layers, among the first ones, whose inputs are rounded."""
    model = quantise.openvino().Core().read_model(str(file))
    layers = [one for one in model.get_ordered_ops() if one.get_type_name() in ("Convolution", "MatMul")]
    rounded = [one for one in layers[:first] if one.input_value(0).get_node().get_type_name() == "FakeQuantize"]
    return {one.get_friendly_name().split("/")[1] for one in rounded}


@needs_nncf
def test_nncf_leaves_the_decoder_and_the_heads_in_float(data: Path, tmp_path: Path, capfd) -> None:
    logger, out = logging.getLoggerClass(), tmp_path / "a.xml"
    done = export(weights("tiny"), format="openvino", precision="int8", data=data, out=out, max_drop=1, calibration=3)
    assert quantised_layers(out) == {"backbone", "encoder"}
    assert quantised_layers(out, 1) == set()  # what reads the pixels is not
    assert capfd.readouterr() == ("", "")
    assert logging.getLoggerClass() is logger
    plain = export(weights("tiny"), format="openvino", data=data, out=tmp_path / "b.xml")
    assert out.with_suffix(".bin").stat().st_size < 0.5 * plain.file.with_suffix(".bin").stat().st_size
    assert done.proof.accuracy is not None
    assert evaluate(out, data, split="valid").ap == pytest.approx(done.proof.accuracy.exported)


@needs_nncf
def test_a_decoder_in_int8_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(quantise.PARTS, "decoder", ("decoder", "heads"))
    monkeypatch.setattr(int8, "ATTEMPTS", (("decoder",),))
    sensitive = weights("tiny")  # the same function, with one channel that takes nearly all of the 256 steps
    with torch.no_grad():
        for parameter in sensitive.detector.decoder.norm.parameters():
            parameter[0] *= 1e4
        for layer in (sensitive.detector.heads.classes, sensitive.detector.heads.box[0]):
            layer.weight[:, 0] /= 1e4
    with pytest.raises(CondetrError, match=r"refused and removed; AP falls from .* with decoder in int8, by more than"):
        export(sensitive, format="openvino", precision="int8", data=data, out=tmp_path / "a.xml")
    assert not list(tmp_path.iterdir())


INT8 = """
import condetr, sys
condetr.export(
    sys.argv[1], format="openvino", precision="int8", data=sys.argv[2], out=sys.argv[3], max_drop=1, calibration=1
)
"""


@needs_nncf
@pytest.mark.slow
def test_int8_opens_no_connection(data: Path, tmp_path: Path) -> None:
    save(tmp_path / "weights", weights("tiny"))
    (tmp_path / "home").mkdir()
    arguments = [str(each) for each in (tmp_path / "weights", data, tmp_path / "a.xml")]
    assert python(OFFLINE_SOCKETS + INT8, *arguments, HOME=str(tmp_path / "home")) == ""
    assert not list((tmp_path / "home").iterdir())
