"""A wrong type or value of an argument of the Python API is a one-line CondetrError that names the argument."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from condetr.checkpoint import Weights, save
from condetr.config import Config, Data
from condetr.types import Categories
from tests.generated import write
from tests.tiny import TINY, shaken

# In a process of its own: here the shape checker would refuse wrong types before condetr does.
RUN = """
import json, sys
from dataclasses import replace
import condetr
W, F, D, R = "weights", "image.png", "data", "run"
predictor = condetr.Predictor.load(W, "cpu")
detections = predictor(F, 0.0)
weights = condetr.load(W)
evaluation = condetr.evaluate(predictor, D)
diagnosis = condetr.examine(D)
lines = {}
for call in json.load(sys.stdin):
    try:
        lines[call] = f"no error: {eval(call)!r}"
    except (condetr.CondetrError, TypeError) as error:
        lines[call] = f"{type(error).__name__}: {error}"
    except BaseException as error:
        lines[call] = f"another exception: {error!r}"
print(json.dumps(lines))
"""
PATHS = {
    "data": ("condetr.examine({})", "condetr.train({}, 'nano')", "condetr.evaluate(W, {})",
             "condetr.compare({}, 'detr,local', 'c')", "condetr.evaluate_detections(F, {})"),
    "file": ("condetr.evaluate_detections({}, D)",),
    "source": ("condetr.convert({}, 'new')",),
    "folder": ("condetr.convert(W, {})", "condetr.save({}, weights)"),
    "out": ("condetr.compare(D, 'detr,local', {})", "condetr.evaluate(W, D, out={})",
            "condetr.train(D, 'nano', out={})", "condetr.evaluate_detections(F, D, out={})"),
}  # fmt: skip
WEIGHTS = ("condetr.load({})", "condetr.Predictor.load({})", "condetr.evaluate({}, D)", "condetr.explain({}, F)",
           "condetr.export({}, out='new.onnx')", "condetr.grow({}, queries=9)", "condetr.bulk(F, {}, 'new')",
           "condetr.train(D, 'nano', init={}, out='new')")  # fmt: skip
KINDS = {"3": "int", "[1]": "list", "None": "None"}
IMPOSSIBLE = {"'x' * 300": "cannot be opened (", "'a\\ud800'": "no file can have this name"}
CASES = {
    call.format(value): f"{name}: expected a path, got {kind}"
    for name, calls in PATHS.items()
    for call in calls
    for value, kind in KINDS.items()
    if not ("out={}" in call and value == "None")
} | {
    call.format(value): message
    for call in (*[call for calls in PATHS.values() for call in calls], *WEIGHTS)
    for value, message in IMPOSSIBLE.items()
    if (call, value) != (WEIGHTS[-1], "'a\\ud800'")
} | {
    "condetr.train(D, 'nano', init='a\\ud800', out='new')": "must be text in UTF-8",
    "condetr.train(D, 'nano', settings={'train.init': 'a\\0'}, out='new')": "no file can have this name",
    "condetr.bulk(['a\\ud800'], W, 'new')": "sources: 'a\\ud800': no file can have this name",
    "predictor('a\\0')": "no such file",
    "diagnosis.write('a\\0')": "no file can have this name",
    "condetr.evaluate(None, D)": "weights are a folder or a hub repository (owner/name), not None",
    "condetr.explain(None, F)": "weights are a folder or a hub repository (owner/name), not None",
    "condetr.grow(None, queries=9)": "weights are a folder or a hub repository (owner/name), not None",
    "condetr.load(3)": "weights are a folder or a hub repository (owner/name), not an int",
    "condetr.load('')": "weights: empty text. Give a folder or a hub repository (owner/name)",
    "condetr.Predictor(3)": "Predictor takes Weights, not an int",
    "condetr.Predictor(weights, [1])": "device=[1]: this machine has no such device",
    "condetr.Predictor.load(W, precision='fp8')": "precision: expected fp32 or bf16, got 'fp8'",
    "condetr.Predictor.load(W, precision=[1])": "precision: expected fp32 or bf16, got list",
    "condetr.Predictor.load(W, device=3)": "device=3: this machine has no such device",
    "condetr.load(W, device=[1])": "device=[1]: this machine has no such device",
    "predictor(3)": "an int is not an image",
    "predictor(F, classes=3)": "classes: expected names, got int",
    "predictor(F, max_detections=1.5)": "max_detections: expected a whole number, got 1.5",
    "predictor(F, batch='a')": "batch: expected a whole number, got 'a'",
    "predictor(F, batch=1.5)": "batch: expected a whole number, got 1.5",
    "predictor.stream(F, ahead=-1)": "ahead -1: must be at least 1",
    "predictor(F, threshold=10**400)": "must be a number between 0 and 1",
    "predictor(F, threshold='a')": "threshold a: must be a number between 0 and 1",
    "condetr.Predictor.load(W, nms=True)": "nms True: must be a number between 0 and 1, or none",
    "condetr.Predictor.load(W, nms=[0.5])": "nms [0.5]: must be a number between 0 and 1, or none",
    "condetr.Predictor(weights, nms=2)": "nms 2: must be a number between 0 and 1, or none",
    "condetr.evaluate(W, D, nms='a')": "nms a: must be a number between 0 and 1, or none",
    "condetr.evaluate(predictor, D, nms=0.7)": "nms: a Predictor has its own. Give it to Predictor.load",
    "condetr.evaluate(W, D, batch='a')": "batch: expected a whole number, got 'a'",
    "detections.filter(classes=3)": "classes: expected names, got int",
    "detections.filter(min_score='a')": "min_score: expected a number, or one for each of the 3 labels, got 'a'",
    "detections.filter(min_score=[1])": "min_score: expected a number, or one for each of the 3 labels, got list",
    "detections.to_coco(None)": "image_id: expected a whole number, got None",
    "detections.draw(None)": "None is not an image: an image is a path",
    "detections.draw('missing.jpg')": "missing.jpg: no such file",
    "detections.crop(3)": "an int is not an image: an image is a path",
    "detections[None]": "detections are indexed by a whole number, a slice",
    "detections[1.5]": "detections are indexed by a whole number, a slice",
    "detections['a']": "detections are indexed by a whole number, a slice",
    "detections[[0.5]]": "detections are indexed by a whole number, a slice",
    "detections[True]": "detections are indexed by a whole number, a slice",
    "detections[detections.boxes]": "detections are indexed by a whole number, a slice",
    "predictor({'image': F})": "a dict is not an image",
    "predictor.stream([F], read=3)": "read: expected a function, got int",
    "condetr.draw(F, None)": "detections: expected Detections, got None",
    "condetr.recipe(None)": "recipe: expected the name of a recipe, got None",
    "condetr.recipe(3)": "recipe: expected the name of a recipe, got int",
    "condetr.recipe({})": "recipe: expected the name of a recipe, got dict",
    "condetr.train(D, 3)": "recipe: expected the name of a recipe or a Config, got int",
    "condetr.train(D, 'nano', settings=3)": "settings: expected a dict of settings by dotted path, got int",
    "condetr.train(D, 'nano', settings=['a'])": "settings: expected a dict of settings by dotted path, got list",
    "condetr.train(D, 'nano', settings={1: 2})": "settings: expected names, got int",
    "condetr.compare(D, 'detr,local', 'c', settings={1: 2})": "settings: expected names, got int",
    "predictor(F, one_class_per_box='no')": "one_class_per_box: expected True or False, got 'no'",
    "predictor(F, classes=[])": "classes: an empty list",
    "condetr.Predictor.load(W, compile=1)": "compile: expected True or False, got int",
    "condetr.train(D, 'nano', resume='no')": "resume: expected True or False, got 'no'",
    "condetr.evaluate(W, D, follow_outside='no')": "follow_outside: expected True or False, got 'no'",
    "condetr.evaluate(W, D, split='')": "no split ''",
    "condetr.evaluate_detections(F, D, follow_outside=None)": "follow_outside: expected True or False, got None",
    "condetr.export(W, follow_outside=1)": "follow_outside: expected True or False, got int",
    "condetr.compare(D, 'detr,local', 'c', follow_outside='no')": "follow_outside: expected True or False, got 'no'",
    "condetr.examine(D, decode_pixels='no')": "decode_pixels: expected True or False, got 'no'",
    "condetr.bulk(F, W, 'new', one_class_per_box='no')": "one_class_per_box: expected True or False, got 'no'",
    "condetr.sample('a.mp4', overwrite='no')": "overwrite: expected True or False, got 'no'",
    "diagnosis.dataset.with_held_out('a', 42)": "fraction: expected a number between 0 and 1, got 'a'",
    "diagnosis.dataset.with_held_out(0.5, 'a')": "seed: expected a whole number, got 'a'",
    "detections.filter(min_score=True)": "min_score: expected a number, or one for each of the 3 labels, got bool",
    "detections.filter(min_score=float('nan'))": "for each of the 3 labels, got nan",
    "detections.suppress(True)": "iou: expected a number from 0 to 1, got bool",
    "condetr.Categories((1, 2), 'ab')": "categories: names must be a tuple of text",
    "condetr.Categories([1], ('a',))": "categories: ids must be a tuple of whole numbers",
    "condetr.Categories(('1',), ('a',))": "categories: ids must be a tuple of whole numbers",
    "replace(detections, scores=detections.scores[:3])": "boxes: expected an array of shape (3, 4), as there are",
    "replace(detections, boxes=detections.boxes.tolist())": "got a list",
    "replace(detections, labels=detections.labels * 0.5)": "labels: expected whole numbers, got float64",
    "replace(detections, labels=detections.labels * 0 + 7)": "labels: 7, but labels are 0 to 2",
    "replace(detections, labels=detections.labels * 0 - 1)": "labels: -1, but labels are 0 to 2",
    "replace(detections, categories=None)": "categories: expected Categories, got None",
    "condetr.bulk(3, W, 'new')": "sources: expected names, got int",
    "condetr.attention_shares(None, F)": "predictor: expected a Predictor, got None",
    "condetr.object_shares(W, D)": "predictor: expected a Predictor, got 'weights'",
    "condetr.object_shares(predictor, D)": "samples: expected the samples of a split, such as condetr.examine(data)",
    "condetr.object_shares(predictor, 3)": "samples: expected the samples of a split, such as condetr.examine(data)",
    "evaluation.precision_recall(3)": "class_name: expected the name of a class, got int",
    "evaluation.precision_recall('square', 'a')": "iou: expected a number, got 'a'",
    "evaluation.precision_recall('square', [0.5])": "iou: expected a number, got list",
    "evaluation.write(None)": "folder: expected a path, got None",
    "condetr.train(D, 'nano', progress=3)": "progress: expected a function, got int",
    "condetr.train(D, 'nano', workers='a')": "workers: expected a whole number, got 'a'",
    "condetr.train(D, 'nano', workers=-1)": "workers -1: must be at least 0",
    "condetr.train(D, 'nano', micro_batch=0)": "micro_batch 0: must be at least 1",
    "condetr.train(D, 'nano', cache_shares=0)": "cache_shares 0: must be at least 1",
    "condetr.train(D, 'nano', trackers=3)": "trackers: expected names, got int",
    "condetr.examine(D, progress=3)": "progress: expected a function, got int",
    "condetr.examine(D, queries=0)": "queries 0: must be at least 1",
    "condetr.examine(D, queries='a')": "queries: expected a whole number, got 'a'",
    "condetr.evaluate(W, R)": "run: a run's folder, not a data set. Did you swap weights and data?",
    "condetr.examine(R)": "run: a run's folder, not a data set",
    "condetr.save(weights, 'new')": "folder: expected a path, got Weights",
    "condetr.save('new', None)": "weights: expected Weights, got None",
    "condetr.explain(W, F, detection='a')": "detection: expected a whole number, got 'a'",
    "condetr.explain(W, F, layer=None)": "layer: expected a whole number, got None",
    "condetr.compare(D, 3, 'c')": "models: expected names, got int",
    "condetr.compare(D, 'detr,foo', 'c')": "`models='foo'`: no such model",
    "condetr.compare(D, 'detr,local', 'c', epochs='a')": "epochs: expected a list of whole numbers, got 'a'",
    "condetr.compare(D, 'detr,local', 'c', epochs=['a'])": "epochs: expected a whole number, got 'a'",
    "condetr.compare(D, 'detr,local', 'c', seeds=None)": "seeds: expected a whole number, got None",
    "condetr.compare(D, 'detr,local', 'c', seeds=0)": "seeds 0: must be at least 1",
    "condetr.compare(D, 'detr,local', 'c', jobs=0)": "jobs 0: must be at least 1",
    "condetr.compare(D, 'detr,local', 'c', epochs=[0])": "epochs 0: must be at least 1",
    "condetr.compare(D, 'detr,local', 'c', budget='a')": "budget: expected a number, got 'a'",
}  # fmt: skip


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The error of each call, with the name of its type in front."""
    folder = tmp_path_factory.mktemp("arguments")
    categories = Categories((1, 2, 3), ("square", "bar", "disc"))
    save(folder / "weights", Weights(shaken(TINY, 3), Config(model=TINY, data=Data(size=64)), categories, None))
    Image.new("RGB", (60, 40)).save(folder / "image.png")
    write(folder / "data", {"train": 4, "valid": 4})
    (folder / "run").mkdir()
    for name in ("config.json", "journal.jsonl"):
        (folder / "run" / name).write_text("{}")
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, input=json.dumps(list(CASES)), capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in Path(folder).iterdir()} == {"weights", "image.png", "data", "run"}
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("call", CASES)
def test_a_wrong_argument_is_one_line_that_names_it(call: str, lines: dict[str, str]) -> None:
    kind, _, message = lines[call].partition(": ")
    assert kind == "TypeError" if call.startswith("detections[") else kind.endswith("Error") and kind != "TypeError"
    assert CASES[call] in message
    assert "\n" not in message
