"""An export is one file that has been run beside its weights; a file with other detections is never handed over."""

import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import onnx
import pytest
import torch
from filelock import FileLock
from PIL import Image

import condetr
from condetr import extras
from condetr.checkpoint import Weights, load, save
from condetr.detections import Detections
from condetr.errors import CondetrError
from condetr.exporting import export as verb
from condetr.exporting.benchmark import benchmark
from condetr.exporting.export import export
from condetr.files import working_folder
from condetr.model.keys import Keys
from condetr.model.tokens import Tokens
from condetr.predicting import exported as exported_files
from condetr.predicting.exported import Exported, _key, cached, exports_folder, hash_of, write
from condetr.predicting.predictor import Predictor
from condetr.runtime.agreement import EXACT, ROUNDED, Difference, difference, difference_from_whole, example_images
from condetr.runtime.onnx_runtime import OnnxRuntime
from condetr.runtime.openvino_runtime import openvino
from condetr.runtime.translate import save_openvino
from tests.exporting.changed import change_initializers
from tests.labelled import coco_content, write_image
from tests.runtime.exported import CATEGORIES, THRESHOLDS, exported, weights, with_nms, without_shape_checks
from tests.tiny import TINY, shaken

IMAGE = np.random.default_rng(3).integers(0, 256, (50, 70, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _unchecked():
    with without_shape_checks():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "birds"
    save(folder, weights("tiny"))
    return folder


@pytest.mark.parametrize(
    ("format", "precision"), [("onnx", "fp32"), pytest.param("openvino", "fp16", marks=pytest.mark.slow)]
)
def test_an_export_is_proved_and_predicts_as_its_weights(folder: Path, tmp_path: Path, format: str, precision: str):
    out = tmp_path / ("a.onnx" if format == "onnx" else "a.xml")
    result = condetr.export(folder, format=format, precision=precision, out=out)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {out.name, f"{out.name}.proof.json"} | ({"a.bin"} if format == "openvino" else set())
    proof = json.loads(result.proof_file.read_text())
    assert proof["accepted"]
    assert (proof["file"], proof["precision"], proof["weights"]) == (out.name, precision, hash_of(load(folder)))
    assert set(proof["sha256"]) == files - {result.proof_file.name}
    for name, digest in proof["sha256"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert len(proof["each image alone"]) == len(example_images())
    assert len(proof["all images in one batch"]) == 4
    found, expected = (Predictor.load(one)(IMAGE, threshold=0.0) for one in (out, folder))
    assert (found.categories, found.size) == (CATEGORIES, (70, 50))
    limit = 1e-4 if precision == "fp32" else 0.02
    assert np.abs(found.scores - expected.scores).max() < limit
    assert Predictor.load(out).thresholds == THRESHOLDS


def test_queries_are_recovered_from_boxes(folder: Path) -> None:
    found, expected = (
        Predictor.load(one)(IMAGE, threshold=0.0, one_class_per_box=True) for one in (exported("tiny"), folder)
    )
    assert len(found) == len(expected) == 7
    assert difference("image", found, expected, EXACT).within(EXACT)


def test_a_suffix_may_be_in_capitals(folder: Path, tmp_path: Path) -> None:
    done = export(folder, format="openvino", out=tmp_path / "A.XML")
    assert set(json.loads(done.proof_file.read_text())["sha256"]) == {"A.XML", "A.bin"}
    assert len(Predictor.load(done.file)(IMAGE, threshold=0.0)) == 14
    assert {one.name for one in tmp_path.iterdir()} == {"A.XML", "A.bin", "A.XML.proof.json"}


def test_a_disk_that_fills_up_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(verb, "write", Mock(side_effect=full))
    with pytest.raises(CondetrError, match=r"a\.onnx: the disk is full\. Free some space and run again"):
        export(folder, out=tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())

    model, facts = openvino().Core().read_model(str(exported("tiny"))), OnnxRuntime(exported("tiny")).facts
    monkeypatch.setattr(openvino(), "save_model", Mock(side_effect=RuntimeError("basic_ios::clear: iostream error")))
    with pytest.raises(OSError, match=r"^basic_ios::clear: iostream error$"):
        save_openvino(model, facts, tmp_path / "a.xml")
    assert (tmp_path / "a.bin").stat().st_size == pytest.approx(exported("tiny").stat().st_size, rel=0.2)
    monkeypatch.setattr(Path, "write_bytes", Mock(side_effect=full))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        save_openvino(model, facts, tmp_path / "a.xml")


def test_what_a_killed_export_has_left_is_removed(folder: Path, tmp_path: Path) -> None:
    for name in ("dead", "alive"):
        with working_folder(tmp_path, "export") as used:
            (used / "model.onnx").write_text("half of a model")
            shutil.copytree(used.parent, tmp_path / f".condetr-export-{name}")
    with FileLock(tmp_path / ".condetr-export-alive" / "lock"):
        export(folder, out=tmp_path / "a.onnx")
    names = {".condetr-export-alive", "a.onnx", "a.onnx.proof.json"}
    assert {one.name for one in tmp_path.iterdir()} == names


def test_weights_in_memory_stay_as_they_are(tmp_path: Path) -> None:
    own = weights("tiny")
    other = replace(own, detector=deepcopy(own.detector).half().train())
    assert export(other, out=tmp_path / "a.onnx").proof.failure() is None
    assert other.detector.training
    assert {one.dtype for one in other.detector.parameters()} == {torch.float16}


def test_arguments_that_no_export_can_have_are_refused_before_it_begins(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "load", None)
    (tmp_path / "a.onnx").mkdir()
    (tmp_path / "b.onnx.proof.json").mkdir()
    (tmp_path / "c.bin").mkdir()
    data = tmp_path / "data"
    for options, match in (
        ({"out": tmp_path / "a.onnx"}, r"a\.onnx: a folder with this name exists"),
        ({"out": tmp_path / "b.onnx"}, r"b\.onnx\.proof\.json: a folder with this name exists"),
        ({"out": tmp_path / "c.xml", "format": "openvino"}, r"c\.bin: a folder with this name exists"),
        ({"out": tmp_path / ("a" * 300 + ".onnx")}, r"cannot be opened \(file name too long\)"),
        ({"out": "a\0.onnx"}, "no file can have this name"),
        ({"out": "a.xml"}, r"the name of this format ends in \.onnx, or choose `format='openvino'`"),
        ({"max_drop": 0.1}, r"`max_drop`: AP is measured on labelled images only\. Add `data='DATA'`"),
        ({"max_drop": float("nan"), "data": data}, "`max_drop` nan: expected a number of AP"),
        ({"max_drop": 5, "data": data}, "`max_drop` 5: expected a number of AP"),
        ({"calibration": "x"}, "calibration: expected a whole number"),
        ({"weights": tmp_path / "d.onnx"}, r"d\.onnx: already exported\. Give the folder of weights"),
    ):
        with pytest.raises(CondetrError, match=match) as caught:
            export(**({"weights": folder} | options))
        assert "\n" not in str(caught.value)
    assert {one.name for one in tmp_path.iterdir()} == {"a.onnx", "b.onnx.proof.json", "c.bin"}


def test_a_file_with_other_detections_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder's weights are rounded to 4 bits, as a careless quantisation does."""

    def rounded(weights: Weights, file: Path, *rest: str) -> None:
        write(weights, file, *rest)
        change_initializers(file, "decoder", lambda x: np.round(x / (np.abs(x).max() / 7)) * (np.abs(x).max() / 7))

    monkeypatch.setattr(verb, "write", rounded)
    out = tmp_path / "a.onnx"
    out.write_text("the previous file")
    with pytest.raises(
        CondetrError, match=r"a\.onnx: refused and removed; \d+ of 10 comparisons differ .*: .*jpg"
    ) as e:
        export(folder, out=out)
    assert "\n" not in str(e.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert out.read_text() == "the previous file"


def test_a_fall_of_ap_is_refused_and_names_images(folder: Path, tmp_path: Path, roboflow) -> None:
    content = coco_content(1)
    content["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dög <b>"}]
    data = roboflow(train=content, valid=coco_content(7) | {"categories": content["categories"]})
    result = export(folder, data=data, out=tmp_path / "a.onnx")
    accuracy = result.proof.accuracy
    assert accuracy is not None
    assert (accuracy.split, accuracy.images) == ("valid", 2)
    assert accuracy.weights == pytest.approx(accuracy.exported)
    with pytest.raises(CondetrError, match=r"AP falls from .* by more than -1; moved most: 7|8\.png"):
        export(folder, data=data, out=tmp_path / "b.onnx", max_drop=-1)
    assert not (tmp_path / "b.onnx").exists()


def test_differences_are_found() -> None:
    boxes, scores = np.array([[0.0, 0, 10, 10], [5, 5, 20, 20]], np.float32), np.array([0.9, 0.5], np.float32)
    one = Detections(boxes, scores, np.array([0, 2]), np.array([0, 1]), CATEGORIES, (100, 50))
    swapped = Detections(boxes[::-1], scores[::-1], np.array([2, 0]), np.array([1, 0]), CATEGORIES, (100, 50))
    assert difference("a", one, swapped, EXACT) == Difference("a", 0.0, 0.0, 0)
    moved = Detections(boxes + 1, scores, np.array([0, 2]), np.array([0, 1]), CATEGORIES, (100, 50))
    assert difference("a", one, moved, EXACT).box == pytest.approx(0.02)
    other = Detections(boxes, scores, np.array([0, 0]), np.array([0, 1]), CATEGORIES, (100, 50))
    assert not difference("a", one, other, EXACT).within(EXACT)
    nan = Detections(boxes, scores * np.nan, np.array([0, 2]), np.array([0, 1]), CATEGORIES, (100, 50))
    assert not difference("a", one, nan, EXACT).within(EXACT)
    assert not difference("a", one, one[:0], EXACT).within(EXACT)


def test_boxes_with_low_scores_are_compared_as_well() -> None:
    """Of photographs without an object that the weights know, no detection reaches 0.3."""
    boxes, scores = np.array([[0.0, 0, 10, 10], [5, 5, 20, 20]], np.float32), np.array([0.12, 0.1], np.float32)
    one, moved = (
        Detections(values, scores, np.array([0, 2]), np.array([0, 1]), CATEGORIES, (100, 50))
        for values in (boxes, boxes + 5)
    )
    assert difference("a", one, moved, ROUNDED).box == pytest.approx(0.1)
    assert not difference("a", one, moved, ROUNDED).within(ROUNDED)


def test_ties_at_the_end_of_a_list_are_not_differences() -> None:
    """Which of many detections with equal scores are the last of a hundred depends on rounding."""
    random = np.random.default_rng(0)
    queries = np.arange(100)

    def tied(boxes: np.ndarray, best: float) -> Detections:
        scores = np.array([best, *[0.1] * 99], np.float32)
        return Detections(boxes, scores, np.zeros(100, int), queries, CATEGORIES, (1, 1))

    boxes, others = random.random((2, 100, 4)).astype(np.float32)
    others[0] = boxes[0]
    assert difference("a", tied(boxes, 0.9), tied(others, 0.9), EXACT).within(EXACT)
    assert not difference("a", tied(boxes, 0.9), tied(others, 0.8), EXACT).within(EXACT)
    others[0] += 0.01
    assert not difference("a", tied(boxes, 0.9), tied(others, 0.9), EXACT).within(EXACT)


def test_detections_with_nearly_equal_scores_are_compared_with_all_that_the_detector_has() -> None:
    random = np.random.default_rng(0)
    queries, boxes = np.arange(150), random.random((150, 4)).astype(np.float32)

    def scored(boxes: np.ndarray, queries: np.ndarray) -> Detections:
        scores = np.sort(random.uniform(0.1, 0.10001, len(queries)).astype(np.float32))[::-1]
        return Detections(boxes[queries], scores, np.zeros(len(queries), int), queries, CATEGORIES, (1, 1))

    whole, found = scored(boxes, queries), scored(boxes, random.permutation(150)[:100])
    moved = scored(boxes + 0.1 * (queries == found.queries[50])[:, None], found.queries)
    for tolerance in (EXACT, replace(ROUNDED, least=0.0)):
        assert difference_from_whole("a", whole, found, 100, tolerance).within(tolerance)
        assert not difference_from_whole("a", whole, moved, 100, tolerance).within(tolerance)
        assert difference_from_whole("a", whole, found, 110, tolerance).unmatched == 10
    best = scored(boxes + 0.1 * (queries == found.queries[0])[:, None], found.queries)
    assert not difference_from_whole("a", whole, best, 100, ROUNDED).within(ROUNDED)


def test_other_boxes_are_refused_where_all_scores_are_nearly_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of weights that have hardly been trained: which of 130 detections are the best hundred is due to rounding."""

    def moved(weights: Weights, file: Path, *rest: str) -> None:
        write(weights, file, *rest)
        change_initializers(file, "heads/box", lambda x: -x)

    untrained = condetr.grow(weights("tiny"), queries=130)
    torch.nn.init.normal_(untrained.detector.heads.classes.weight, 0, 1e-7)
    monkeypatch.setattr(verb, "write", moved)
    with pytest.raises(CondetrError, match=r"b\.onnx: refused and removed; 10 of 10 comparisons differ"):
        export(untrained, precision="fp16", out=tmp_path / "b.onnx")


def test_a_runtime_for_weights_uses_a_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = Predictor.load(folder)(IMAGE, threshold=0.0)
    found = Predictor.load(folder, runtime="onnx")(IMAGE, threshold=0.0)
    assert difference("image", found, expected, EXACT).within(EXACT)
    (file,) = exports_folder().glob("*.onnx")
    before = file.stat().st_mtime_ns
    assert cached(weights("tiny"), "onnx") == file
    assert file.stat().st_mtime_ns == before
    other = Weights(weights("tiny").detector, weights("tiny").config, CATEGORIES, None)
    assert _key(other, "onnx") != _key(weights("tiny"), "onnx") == file.stem
    for content in (b"", file.read_bytes()[:10_000]):  # as after a crash of the machine
        file.write_bytes(content)
        (file.parent / f".{file.name}.abc.part.onnx").write_bytes(content)  # of a process that was killed
        again = Predictor.load(folder, runtime="onnx")(IMAGE, threshold=0.0)
        assert difference("image", again, expected, EXACT).within(EXACT)
    assert {one.suffix for one in exports_folder().iterdir()} == {".onnx", ".lock"}
    assert len(list(exports_folder().iterdir())) == 2


def test_openvino_alone_executes_weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra `openvino` does not install onnxruntime."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = Predictor.load(folder, runtime="openvino")(IMAGE, threshold=0.0)
    assert difference("image", found, Predictor.load(folder)(IMAGE, threshold=0.0), EXACT).within(EXACT)


def test_what_a_runtime_lacks_is_said_before_anything_is_exported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for library, format, out in (("onnxruntime", "onnx", "a.onnx"), ("openvino", "openvino", "a.xml")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            patch.setattr(exported_files, "write_onnx", None)
            missing = rf"^{library} is not installed: pip install 'condetr\[{format}\]'$"
            with pytest.raises(CondetrError, match=missing):
                Predictor.load(folder, runtime=format)
            with pytest.raises(CondetrError, match=missing):
                export(folder, format=format, out=tmp_path / out)
    with pytest.raises(CondetrError, match=r"^precision bf16: onnxruntime computes in fp32 here\."):
        Predictor.load(folder, runtime="onnx", precision="bf16")
    real = extras.version
    old = {"onnxruntime": "1.9.0", "openvino": "2024.6", "onnx": "1.15.1"}
    monkeypatch.setattr(extras, "version", lambda name: old.get(name) or real(name))
    for library, least in (("onnx", "1.18"), ("openvino", "2025.0")):
        with pytest.raises(CondetrError, match=rf"is too old, at least {least} .*: pip install -U 'condetr\["):
            Predictor.load(folder, runtime=library)
    assert not (tmp_path / "cache").exists()


def test_a_file_of_grown_weights_returns_a_detection_for_each_query(tmp_path: Path) -> None:
    grown = condetr.grow(weights("tiny"), queries=130)
    file = export(grown, out=tmp_path / "grown.onnx").file
    ours, theirs = (Predictor(one)(IMAGE, 0.0, max_detections=130) for one in (grown, Exported.load(file)))
    assert len(ours) == len(theirs) == 130
    assert difference("image", ours, theirs, EXACT).within(EXACT)


def test_a_file_is_run_with_its_own_suppression_or_another_one(tmp_path: Path) -> None:
    file = export(with_nms(weights("tiny"), 0.3), out=tmp_path / "a.onnx").file
    plain = Predictor.load(file, nms="none")(IMAGE)
    assert Predictor.load(file).nms == 0.3
    assert Predictor.load(file)(IMAGE) == plain.suppress(0.3)
    assert Predictor.load(file, nms=0.6)(IMAGE) == plain.suppress(0.6)
    assert len(plain.suppress(0.3)) < len(plain.suppress(0.6)) < len(plain)


def test_what_a_file_cannot_do_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    file = exported("tiny")
    image = tmp_path / "a.png"
    Image.fromarray(IMAGE).save(image)
    with pytest.raises(CondetrError, match=r"no attention maps\. Give the folder of weights"):
        condetr.explain(file, IMAGE)
    with pytest.raises(CondetrError, match=r"no attention maps\. Give the folder of weights"):
        _ = Predictor.load(file).detector
    for misused in (condetr.load, partial(condetr.convert, folder=tmp_path / "other")):
        with pytest.raises(CondetrError, match=r"an exported file[.] Give the folder of weights"):
            misused(file)
    with pytest.raises(CondetrError, match="max_detections 101: an exported file returns at most 100"):
        Predictor.load(file)(IMAGE, max_detections=101)
    with pytest.raises(CondetrError, match="onnxruntime computes in fp32"):
        Predictor.load(file, precision="bf16")
    with pytest.raises(CondetrError, match="not run by torch"):
        Predictor.load(file, runtime="torch")
    with pytest.raises(CondetrError, match="`compile`: only for weights with the runtime torch"):
        Predictor.load(file, compile=True)
    with pytest.raises(CondetrError, match=r"ends in \.onnx"):
        export(folder, out=tmp_path / "a.xml")
    with pytest.raises(CondetrError, match="runtime: expected torch or onnx or openvino"):
        Predictor.load(folder, runtime="tensorrt")


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (torch.special.bessel_j0, "Exporting the operator 'aten::special_bessel_j0' to ONNX opset version 17 is not"),
        (lambda x: x.movedim(-1, 1).movedim(1, -1), "Transpose"),
    ],
)
def test_a_model_that_the_format_cannot_express_is_one_line(
    operation: Callable[[torch.Tensor], torch.Tensor], reason: str, tmp_path: Path
) -> None:
    class OtherKeys(Keys):
        def forward(self, memory: Tokens, *finer: torch.Tensor) -> Tokens:
            return memory.with_content(operation(memory.content))

    detector = shaken(TINY, len(CATEGORIES))
    detector.keys = OtherKeys()
    other = replace(weights("tiny"), detector=detector)
    with pytest.raises(CondetrError, match=reason) as e:
        export(other, out=tmp_path / "a.onnx")
    assert str(e.value).endswith("Use the weights without exporting them: `runtime='torch'`")
    assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_ours_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    whole = exported("tiny").read_bytes()
    file = tmp_path / "a.onnx"

    def refused(match: str) -> None:
        for runtime in ("onnx", "openvino"):
            with pytest.raises(CondetrError, match=match) as caught:
                Predictor.load(file, runtime=runtime)
            assert "\n" not in str(caught.value), runtime

    refused(r"a\.onnx: no such file")
    for content in (b"", b"<!doctype html><title>404</title>", whole[: len(whole) // 2]):
        file.write_bytes(content)
        refused(r"a\.onnx: (incomplete, or not a model|not exported by condetr)")
    assert capfd.readouterr() == ("", "")  # of the readers of other formats in OpenVINO
    model = onnx.load_from_string(whole)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {})
    onnx.save(model, file)
    refused("not exported by condetr")
    onnx.helper.set_model_props(model, texts | {"format": "2", "condetr": "9.0"})
    onnx.save(model, file)
    refused(r"exported by a later condetr \(9\.0\)\. Update condetr")
    onnx.helper.set_model_props(model, texts | {"names": "[1"})
    onnx.save(model, file)
    refused("its metadata, of condetr .*, cannot be read .* Export it again")
    onnx.helper.set_model_props(model, texts)
    model.opset_import[0].version = 99
    onnx.save(model, file)
    with pytest.raises(CondetrError, match=r"onnxruntime .* is too old for this file \(ONNX Runtime only "):
        Predictor.load(file)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CondetrError, match=r"onnxruntime is not installed: pip install 'condetr\[onnx\]'"):
        Predictor.load(exported("tiny"))


def test_a_benchmark_measures_what_runs_and_says_why_the_rest_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    onnx_row, *others = benchmark(exported("tiny"), [IMAGE], rounds=1)
    assert (onnx_row.runtime, onnx_row.precision, onnx_row.missing) == ("onnx", "fp32", "")
    assert min(onnx_row.cpu, onnx_row.latency, onnx_row.throughput) > 0
    assert {one.runtime for one in others} == {"openvino"}
    for one in others:
        assert "openvino is not installed: pip install 'condetr[openvino]'" in one.missing
    with pytest.raises(CondetrError, match="no image found"):
        benchmark(exported("tiny"), [])
    with pytest.raises(CondetrError, match="rounds 0: must be at least 1"):
        benchmark(exported("tiny"), [IMAGE], rounds=0)
    with pytest.raises(CondetrError, match=r"nothing\.jpg: no such file"):
        benchmark(exported("tiny"), ["nothing.jpg"])


def test_a_benchmark_leaves_out_images_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    rows = benchmark(exported("tiny"), [broken, IMAGE], rounds=1)
    assert rows[0].latency
    assert re.findall(r"left out: .*broken\.jpg: not an image", caplog.text)
    caplog.clear()
    with pytest.raises(CondetrError, match=r"broken\.jpg: not an image"):
        benchmark(exported("tiny"), [broken], rounds=1)
    assert "left out" not in caplog.text, "the error says it"


def test_data_that_cannot_be_evaluated_end_a_benchmark_before_anything_is_exported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roboflow: Callable[..., Path]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    content = coco_content(2, 1)
    other = {**content, "categories": [one | {"name": f"other {one['id']}"} for one in content["categories"]]}
    write_image(tmp_path / "unlabelled" / "1.jpg", 1)
    for data, reason in (
        (tmp_path / "nowhere", "no such file or folder"),
        (tmp_path / "unlabelled", "images without boxes"),
        (roboflow(test=other), "the weights have none of the classes of 'test'"),
    ):
        with pytest.raises(CondetrError, match=reason):
            benchmark(folder, [IMAGE], data=data, rounds=1)
    assert not (tmp_path / "cache").exists()


def test_a_benchmark_of_a_file_lists_the_runtimes_of_its_format() -> None:
    rows = benchmark(exported("tiny", "openvino"), [IMAGE], rounds=1)
    assert [(row.runtime, row.precision, row.missing) for row in rows] == [
        ("openvino", "fp32", ""), ("openvino", "bf16", ""),
    ]  # fmt: skip


def test_a_benchmark_measures_torch_on_the_gpu_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another name of the CPU for the GPU."""
    monkeypatch.setattr("condetr.exporting.benchmark.default_device", lambda: "cpu:0")
    monkeypatch.setattr("condetr.exporting.benchmark.CHOICES", (("torch", "fp32"), ("onnx", "fp32")))
    rows = benchmark(folder, [IMAGE], rounds=1)
    assert [(row.name, row.device) for row in rows] == [
        ("torch", "cpu"), ("torch on cpu:0", "cpu:0"), ("onnx", "cpu"),
    ]  # fmt: skip
    assert all(row.latency for row in rows)


def test_files_in_the_format_of_openvino_that_are_not_whole_or_not_ours_are_one_line(tmp_path: Path, capfd) -> None:
    whole = exported("tiny", "openvino")
    xml, weights_of = whole.read_bytes(), whole.with_suffix(".bin").read_bytes()
    file = tmp_path / "a.xml"
    damaged = [
        (xml, weights_of[:-4], r"incomplete, or not a model \(Incorrect weights"),
        (xml[:-20], weights_of, r"incomplete, or not a model \(Start-end tags"),
        (b"", weights_of, r"incomplete, or not a model\. Export or copy it again"),
        (b"<!doctype html><title>404</title>", weights_of, r"incomplete, or not a model\. Export or copy it again"),
        (xml.replace(b'<format value="1"', b'<format value="2"'), weights_of, r"exported by a later condetr .* Update"),
        (xml.replace(b"<condetr", b"<other").replace(b"</condetr", b"</other"), weights_of, "not exported by condetr"),
    ]
    for text, values, match in damaged:
        file.write_bytes(text)
        file.with_suffix(".bin").write_bytes(values)
        with pytest.raises(CondetrError, match=rf"^{re.escape(str(file))}: {match}") as caught:
            Predictor.load(file)
        assert "\n" not in str(caught.value)
    file.write_bytes(xml)
    changed = bytearray(weights_of)
    changed[len(changed) // 2] ^= 1
    file.with_suffix(".bin").write_bytes(changed)  # as of the same model with other weights, after a crash between both
    with pytest.raises(CondetrError, match=r"a\.xml: a\.bin is damaged or of another export\. Copy both files again"):
        Predictor.load(file)
    file.with_suffix(".bin").unlink()
    with pytest.raises(CondetrError, match=r"a\.bin is missing beside it\. Copy both files"):
        Predictor.load(file)
    assert capfd.readouterr() == ("", "")
