"""Files whose metadata or graph are not those of an export are refused in one line, never run into an error later."""

import errno
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from condetr.errors import CondetrError, WeightsError
from condetr.predicting.predictor import Predictor
from condetr.runtime.file_facts import FileFacts
from condetr.runtime.onnx_runtime import OnnxRuntime
from tests.runtime.exported import exported

IMAGE = np.zeros((50, 60, 3), np.uint8)


@pytest.fixture(scope="module")
def metadata() -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(exported("tiny")).metadata_props}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"names": '["a"]'}, "3 ids but 1 names"),
        ({"names": '{"a": 1, "b": 2, "c": 3}'}, "names must be text or null"),
        ({"names": '"abc"'}, "names must be text or null"),
        ({"names": '[["x"], 2, 3]'}, "names must be text or null"),
        ({"names": "[null, null, null]"}, "none of them has a name"),
        ({"names": "[" * 100_000}, "recursion"),
        ({"category_ids": "[1.5, 2, 3]"}, "ids must be whole numbers"),
        ({"category_ids": "[1e400, 2, 3]"}, "ids must be whole numbers"),
        ({"category_ids": '["1", 2, 3]'}, "ids must be whole numbers"),
        ({"thresholds": "[0.5]"}, "1 thresholds for 3 categories"),
        ({"thresholds": "[NaN, 0, 0]"}, "thresholds must be numbers from 0 to 1, not nan"),
        ({"thresholds": "[7, 0, 0]"}, "thresholds must be numbers from 0 to 1, not 7"),
        ({"thresholds": "[true, 0, 0]"}, "thresholds must be numbers from 0 to 1, not True"),
        ({"thresholds": '{"0": 1}'}, "thresholds must be a list of numbers"),
        ({"detections": "0"}, "detections 0"),
        ({"detections": "many"}, "invalid literal"),
        ({"precision": "fp64"}, "precision 'fp64'"),
        ({"ragged": "[]"}, "ragged must be true or false"),
        ({"quantised": "5"}, "quantised must be a list"),
        ({"config": "5"}, "config must be an object"),
        ({"config": ""}, "Expecting value"),
        ({"format": "1.5"}, "invalid literal"),
    ],
)
def test_metadata_that_no_export_writes(metadata: dict[str, str], changes: dict[str, str], reason: str) -> None:
    with pytest.raises(WeightsError, match=rf"^a\.onnx: its metadata, .* cannot be read \(.*{reason}") as caught:
        FileFacts.read(metadata | changes, "a.onnx")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_each_value_that_is_missing_is_named(metadata: dict[str, str]) -> None:
    for key in ("names", "category_ids", "thresholds", "config", "ragged", "detections", "precision", "weights"):
        with pytest.raises(WeightsError, match=rf"\({key} is missing\)\. Export it again"):
            FileFacts.read({name: value for name, value in metadata.items() if name != key}, "a.onnx")


def test_a_setting_of_a_later_version_is_not_called_damage(metadata: dict[str, str]) -> None:
    config = json.dumps(json.loads(metadata["config"]) | {"invented": 1})
    with pytest.raises(WeightsError, match=r"^a\.onnx: exported by a later condetr \(9\.0; invented: no such .*Update"):
        FileFacts.read(metadata | {"config": config, "condetr": "9.0"}, "a.onnx")
    with pytest.raises(WeightsError, match=r"invented: no such setting.* Export it again"):
        FileFacts.read(metadata | {"config": config}, "a.onnx")


def constant_graph(file: Path, metadata: Mapping[str, str], **outputs: np.ndarray) -> Path:
    """A network that returns the same values for each image."""
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.UINT8, ["b", "h", "w", 3]),
        helper.make_tensor_value_info("sizes", TensorProto.INT64, ["b", 2]),
    ]
    constants = [onnx.numpy_helper.from_array(value, f"{name} value") for name, value in outputs.items()]
    returned = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in outputs.items()
    ]
    nodes = [helper.make_node("Identity", [f"{name} value"], [name]) for name in outputs]
    graph = helper.make_graph(nodes, "constant", inputs, returned, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, file)
    return file


BOXES, SCORES, LABELS = np.zeros((1, 4, 4), np.float32), np.ones((1, 4), np.float32), np.zeros((1, 4), np.int64)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_networks_that_are_no_detector(runtime: str, metadata: dict[str, str], tmp_path: Path) -> None:
    if runtime == "openvino" and version("openvino") < "2026":
        pytest.skip("an older OpenVINO drops inputs that a network does not use")

    def found(**changes: np.ndarray) -> int:
        outputs = {"boxes": BOXES, "scores": SCORES, "labels": LABELS} | changes
        file = constant_graph(tmp_path / "a.onnx", metadata, **outputs)
        return len(Predictor.load(file, runtime=runtime)(IMAGE, 0.0))

    assert found() == 4
    for changes in (
        {"boxes": BOXES[..., :3]},
        {"scores": SCORES[:, :2]},
        {"labels": LABELS + 0.5},
        {"boxes": BOXES[0], "scores": SCORES[0], "labels": LABELS[0]},
    ):
        with pytest.raises(WeightsError, match=r"a\.onnx: its inputs or outputs are not those of an exported detector"):
            found(**changes)
    for labels in (LABELS + 3, LABELS - 1):
        with pytest.raises(WeightsError, match=r"a\.onnx: its labels do not belong to the 3 categories"):
            found(labels=labels)
    file = constant_graph(tmp_path / "b.onnx", metadata, boxes=BOXES, scores=SCORES)
    with pytest.raises(WeightsError, match=r"b\.onnx: its inputs or outputs are not those of an exported detector"):
        Predictor.load(file, runtime=runtime)


def test_a_name_that_is_not_text_can_be_opened(tmp_path: Path) -> None:
    file = tmp_path / "lat\udce9.onnx"
    try:
        file.write_bytes(exported("tiny").read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("this file system has names in Unicode only")
    assert OnnxRuntime(file).facts.limit == 100


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "b.bin"])
def test_a_file_that_the_system_does_not_open_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "b.xml").write_bytes(exported("tiny", "openvino").read_bytes())
    (tmp_path / name).symlink_to(name)  # which the system refuses, also to an administrator
    file = tmp_path / name.replace(".bin", ".xml")
    runtimes = ("openvino", "onnx") if file.suffix == ".onnx" else ("openvino",)
    reason = (
        "b.bin is missing beside it. Copy both files"
        if name == "b.bin"
        else f"cannot be read ({os.strerror(errno.ELOOP)})"
    )
    for runtime in runtimes:
        with pytest.raises(WeightsError) as caught:
            Predictor.load(file, runtime=runtime)
        assert str(caught.value) == f"{file}: {reason}"


def test_a_folder_with_the_suffix_of_a_file_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "v1.onnx").mkdir()
    with pytest.raises(CondetrError, match=r"v1\.onnx/config\.json: no such file"):
        Predictor.load(tmp_path / "v1.onnx")
