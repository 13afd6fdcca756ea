"""What the package promises to those who only import or start it."""

import ast
import inspect
import re
import subprocess
import sys
from importlib.metadata import distributions, requires
from pathlib import Path

import pytest

import condetr

SOURCE = Path(condetr.__file__).parent


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_condetr_does_not_import_torch():
    assert run("import condetr, sys; print('torch' in sys.modules)").strip() == "False"


def test_help_does_not_import_torch():
    code = "import sys; sys.argv=['condetr','--help']; import condetr.cli\n"
    code += "try: condetr.cli.main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    assert run(code).strip().endswith("False")


NAMES = {
    "BulkRun", "Categories", "Comparison", "CondetrError", "Config", "DetectedFrame", "Detection", "Detections",
    "Diagnosis", "Evaluation", "Explanation", "Export", "Frame", "Predictor", "Run", "Tiling", "Weights",
    "attention_shares", "bulk", "compare", "convert", "draw", "evaluate", "evaluate_detections", "examine", "explain",
    "export", "grow", "load", "object_shares", "recipe", "sample", "save", "train", "video_frames",
}  # fmt: skip
SIGNATURES = {
    "Predictor": "weights, device='cpu', precision='fp32', *, fast=True, compile=False, tiling=None, nms=None",
    "Predictor.load": "weights, device=None, precision='fp32', *, fast=True, compile=False, runtime=None, tiling=None, "
    "nms=None",
    "Predictor.__call__": "self, images, threshold=None, batch=8, *, classes=None, max_detections=None, "
    "one_class_per_box=False",
    "Predictor.stream": "self, sources, threshold=None, batch=8, read=None, *, classes=None, max_detections=None, "
    "one_class_per_box=False, ahead=None",
    "Detections": "boxes, scores, labels, queries, categories, size, file=None",
    "Detections.filter": "self, classes=None, min_score=None",
    "Detections.best_of_each_query": "self",
    "Detections.to_dict": "self",
    "Detections.to_dataframe": "self",
    "Detections.to_coco": "self, image_id",
    "Detections.to_supervision": "self",
    "Detections.draw": "self, image",
    "Detections.crop": "self, image",
    "Detection": "box, score, label, name, category_id",
    "Categories": "ids, names",
    "Tiling": "tile, overlap=0.2",
    "Weights": "detector, config, categories, thresholds",
    "bulk": "sources, weights, out, *, threshold=None, classes=None, max_detections=None, one_class_per_box=False, "
    "tiling=None, nms=None, "
    "batch=4, workers=None, device=None, precision='fp32', runtime=None, address=None, progress=None",
    "compare": "data, models, out, *, recipe=None, settings=None, epochs=None, seeds=3, budget=None, "
    "reference=None, hold_out=None, runs=None, device=None, jobs=1, follow_outside=False, progress=None",
    "convert": "source, folder, *, to='condetr', recipe=None",
    "draw": "image, detections",
    "evaluate_detections": "file, data, *, split=None, follow_outside=False, out=None",
    "examine": "data, *, queries=None, decode_pixels=True, follow_outside=False, clean_boxes=True, cache=None, "
    "progress=None",
    "explain": "weights, image, *, detection=None, at=None, layer=-1, threshold=None, figure=None",
    "export": "weights, *, format='onnx', precision='fp32', data=None, out=None, max_drop=None, "
    "calibration=300, follow_outside=False, progress=None",
    "grow": "weights, *, queries, out=None",
    "load": "weights, device='cpu'",
    "recipe": "name",
    "train": "data, recipe=None, *, out=None, init=None, epochs=None, batch=None, lr=None, size=None, "
    "queries=None, seed=None, precision=None, settings=None, resume=False, device=None, workers=None, "
    "micro_batch=None, trackers=(), progress=None, cache_shares=1, follow_outside=False, "
    "profile=False",
    "save": "folder, weights, card=None",
    "Predictor.video": "self, video, threshold=None, batch=4, *, every=1, start=None, end=None, retry=5, "
    "classes=None, max_detections=None, one_class_per_box=False",
    "DetectedFrame": "image, number, time, detections",
    "DetectedFrame.draw": "self",
    "Frame": "image, number, time",
    "sample": "video, count=50, out='frames', *, start=None, end=None, overwrite=False, progress=None",
    "video_frames": "video, *, every=1, start=None, end=None, retry=5",
}


def signature(path: str) -> str:
    """The parameters of a public name with their defaults, as one writes them, without annotations."""
    value: object = condetr
    for part in path.split("."):
        value = getattr(value, part)
    own = inspect.signature(value)  # type: ignore[arg-type]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in own.parameters.values()]
    return str(inspect.Signature(bare))[1:-1]


def test_the_public_names_are_these():
    assert set(condetr.__all__) == NAMES
    assert set(dir(condetr)) == NAMES | {"__version__"}
    assert re.match(r"\d+\.\d+", condetr.__version__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = condetr.nothing  # type: ignore[attr-defined]


def test_the_reference_documents_every_public_name():
    page = (SOURCE.parents[1] / "docs" / "reference.md").read_text(encoding="utf-8")
    documented = {path.rpartition(".")[2] for path in re.findall(r"^::: (.+)$", page, re.M)}
    assert documented - {"errors"} | {"CondetrError"} == NAMES


@pytest.mark.parametrize("path", SIGNATURES)
def test_the_public_signatures_are_these(path: str):
    assert signature(path) == SIGNATURES[path]


def test_type_checkers_see_the_same_names():
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (alias.name, node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == set(condetr._MODULES.items())
    assert (SOURCE / "py.typed").exists()


def test_no_module_hides_a_public_name():
    """After every submodule has been imported, a public name is still the function or class, not a module."""
    names = [".".join(p.relative_to(SOURCE.parent).with_suffix("").parts) for p in SOURCE.rglob("*.py")]
    code = "import importlib, inspect, condetr\n"
    code += f"for name in {[n.removesuffix('.__init__') for n in names if not n.endswith('__main__')]!r}:\n"
    code += "    importlib.import_module(name)\n"
    code += "print([name for name in condetr.__all__ if not callable(getattr(condetr, name))])"
    assert run(code).strip() == "[]"


def test_only_the_command_line_prints_or_exits():
    for path in SOURCE.rglob("*.py"):
        if path.parent.name == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "quit", "input"}, f"{path.name}:{node.lineno}"


def test_nothing_is_unpickled_and_nothing_is_run():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) (pickle|marshal|shelve|dill|joblib)", text, re.M), path
        assert not re.search(r"(?<![.\w])(eval|exec)\(", text), path
        for line in re.findall(r".*torch\.load\(.*", text):
            assert "weights_only=True" in line, f"{path}: {line}"


def test_the_base_install_is_short():
    """No more than 48 distributions that are not CUDA's."""

    def canonical(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    installed = {canonical(d.metadata["Name"]) for d in distributions()}
    seen: set[str] = set()
    waiting = ["condetr"]
    while waiting:
        name = canonical(waiting.pop())
        if name in seen or name not in installed:
            continue
        seen.add(name)
        for line in requires(name) or []:
            requirement, _, marker = line.partition(";")
            if "extra" in marker:
                continue
            waiting.append(re.split(r"[\s\[<>=!~;(]", requirement.strip())[0])
    cuda = {name for name in seen if name.startswith(("nvidia", "cuda", "triton"))}
    assert 10 < len(seen - cuda) <= 48, sorted(seen)


def test_everything_runs_without_the_shape_checker():
    """jaxtyping is for the tests: an ordinary install has none."""
    block = "import sys; sys.modules['jaxtyping'] = None\n"
    names = [".".join(p.relative_to(SOURCE.parent).with_suffix("").parts) for p in SOURCE.rglob("*.py")]
    code = block + "\n".join(f"import {name.removesuffix('.__init__')}" for name in sorted(names))
    assert run(code + "\nprint('whole')").strip() == "whole"
