"""A detector that detects objects twice is remarked upon, with a way out that works as it is written."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from condetr import checkpoint, config
from condetr.cli import app
from condetr.converting import convert
from condetr.errors import CondetrError
from condetr.evaluating.evaluate import evaluate, evaluate_detections
from condetr.evaluating.remarks import COSTLY, duplicates
from condetr.metrics.error_types import DUPLICATE, ErrorAnalysis
from condetr.predicting.predictor import Predictor
from condetr.recipes import recipe
from condetr.types import Categories
from tests.evaluating.test_evaluate import folder, weights
from tests.tiny import shaken

CATEGORIES = Categories((3,), ("cat",))
REMARK = re.compile(r"objects are detected twice, which costs (0\.\d{3}) of AP50: ")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(Path("data"))
    weights(Path("weights"), CATEGORIES)


def label_once(source: str) -> None:
    """The objects in `data` are what the weights detect, but each once: the others of their detections are
    duplicates."""
    file = Path("data/test/_annotations.coco.json")
    labels = json.loads(file.read_text())
    labels["annotations"] = []
    predictor = Predictor.load(source, "cpu")
    for image in labels["images"]:
        found = predictor(file.parent / image["file_name"], threshold=0.0).suppress(0.7)
        for entry in found.to_coco(image["id"]):
            (_, _, width, height), number = entry["bbox"], len(labels["annotations"])
            entry |= {"id": number + 1, "area": width * height, "iscrowd": 0}
            labels["annotations"].append(entry)
    labels["categories"] = [{"id": 3, "name": "cat"}]
    file.write_text(json.dumps(labels))


def remarks(warnings: tuple[str, ...]) -> list[str]:
    return [warning for warning in warnings if REMARK.match(warning)]


def set_nms(file: str) -> None:
    """As the remark says: `"nms": 0.7` under "model"."""
    record = json.loads(Path(file).read_text())
    assert record["config"]["model"]["nms"] is None
    record["config"]["model"]["nms"] = 0.7
    Path(file).write_text(json.dumps(record))


def test_duplicates_are_remarked_upon_and_both_ways_out_remove_them() -> None:
    label_once("weights")
    before = evaluate("weights", "data", device="cpu", out="out")
    (remark,) = remarks(before.warnings)
    assert remark.endswith(
        'try `nms=0.7`, non-maximum suppression, which predict takes, too; to keep it, set "nms": 0.7 under "model" in '
        f"{Path('weights/config.json')}"
    )
    gain = float(REMARK.match(remark)[1])  # type: ignore[index]
    assert gain == pytest.approx(before.metrics.errors.gains[DUPLICATE], abs=0.0005)
    assert "objects are detected twice" in Path("out/report.html").read_text()
    assert remark in json.loads(Path("out/metrics.json").read_text())["warnings"]

    tried = evaluate("weights", "data", device="cpu", nms=0.7)
    assert tried.ap50 == pytest.approx(before.ap50 + gain, abs=0.001)
    assert tried.provenance.settings["non-maximum suppression"] == "IoU above 0.7"
    set_nms("weights/config.json")
    kept = evaluate("weights", "data", device="cpu")
    assert kept.metrics.to_dict() == tried.metrics.to_dict()
    without = evaluate("weights", "data", device="cpu", nms="none")
    assert without.metrics.to_dict() == before.metrics.to_dict()
    for evaluation in (tried, kept, without):
        assert not remarks(evaluation.warnings)


def test_the_command_names_the_flag_which_works() -> None:
    label_once("weights")
    words = ["evaluate", "data", "--weights", "weights", "--device", "cpu"]
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "of AP50: try --nms 0.7, non-max" in " ".join(shown.stdout.split())
    tried = CliRunner().invoke(app, [*words, "--nms", "0.7", "--json"], catch_exceptions=False)
    assert json.loads(tried.stdout)["summary"]["AP50"] == 1
    assert not remarks(tuple(json.loads(tried.stdout)["warnings"]))


def test_weights_of_transformers_are_converted_first() -> None:
    small = {"dim": 32, "heads": 4, "hidden": 48, "encoder_layers": 1, "decoder_layers": 2, "queries": 20}
    model = recipe("conditional_detr_r50").model.model_dump() | small | {"backbone": {"name": "resnet18"}}
    whole = config.Config(recipe="custom", model=config.Model(**model), data=config.Data(size=64))
    checkpoint.save("own", checkpoint.Weights(shaken(whole.model, 1), whole, CATEGORIES, None))
    convert("own", "trans formers", to="transformers")
    label_once("trans formers")
    (remark,) = remarks(evaluate("trans formers", "data", device="cpu").warnings)
    found = re.search(r"to keep it, run `condetr (.*) DIR`, and set (.*) under \"model\" in DIR/config.json$", remark)
    assert found
    assert found[2] == '"nms": 0.7'
    CliRunner().invoke(app, [*shlex.split(found[1]), "DIR"], catch_exceptions=False)
    set_nms("DIR/config.json")
    again = evaluate("DIR", "data", device="cpu")
    assert again.ap50 == pytest.approx(1)
    assert not remarks(again.warnings)


def analysis(gain: float) -> ErrorAnalysis:
    none, gains = np.zeros(6, np.int64), np.zeros(6)
    gains[DUPLICATE] = gain
    return ErrorAnalysis(none, none, gains)


def test_what_is_named_for_other_weights() -> None:
    predictor = Predictor.load("weights", "cpu")
    (of_hub,) = duplicates(predictor, "owner/name", analysis(0.1))
    assert "`condetr convert owner/name DIR`, and" in of_hub
    (of_file,) = duplicates(predictor, "cats.onnx", analysis(0.1))
    assert of_file.endswith("the config.json of the weights, and export them again")
    (in_memory,) = duplicates(predictor, None, analysis(0.1))
    assert in_memory.endswith("give `nms=0.7` to Predictor.load, for non-maximum suppression")
    Path("run").mkdir()
    Path("weights").rename("run/best")
    (of_run,) = duplicates(predictor, "run", analysis(0.1))
    assert of_run.endswith(f'under "model" in {Path("run/best/config.json")}')


@pytest.mark.parametrize("gain", [COSTLY - 0.001, 0.0, float("nan")])
def test_few_duplicates_are_not_remarked_upon(gain: float) -> None:
    predictor = Predictor.load("weights", "cpu")
    assert duplicates(predictor, "weights", analysis(COSTLY))
    assert not duplicates(predictor, "weights", analysis(gain))


def test_detections_of_a_file_are_not_remarked_upon() -> None:
    label_once("weights")
    evaluate("weights", "data", device="cpu", out="out")
    assert not remarks(evaluate_detections("out/detections.json", "data").warnings)
    words = ["evaluate", "data", "--detections", "out/detections.json", "--nms", "0.7"]
    with pytest.raises(CondetrError, match="--nms: for weights; the detections of a file are evaluated as they are"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_predictor_has_its_own_suppression() -> None:
    label_once("weights")
    (remark,) = remarks(evaluate(Predictor.load("weights", "cpu"), "data").warnings)
    assert "give `nms=0.7` to Predictor.load" in remark
    suppressing = Predictor.load("weights", "cpu", nms=0.7)
    assert evaluate(suppressing, "data", nms=0.7).ap50 == pytest.approx(1)
    with pytest.raises(CondetrError, match=r"nms: a Predictor has its own\. Give it to Predictor.load"):
        evaluate(suppressing, "data", nms=0.6)


def test_thresholds_of_other_detections_than_the_weights_have_are_remarked_upon() -> None:
    words = ["evaluate", "data", "--weights", "weights", "--device", "cpu", "--save-thresholds"]
    label_once("weights")

    def remarked(*more: str) -> str:
        shown = CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
        assert shown.exit_code == 0
        return " ".join(shown.stdout.split()).partition("thresholds saved with weights")[2].strip()

    file = Path("weights/config.json")
    assert remarked() == remarked("--nms", "none") == ""
    assert remarked("--nms", "0.7") == (
        "they are for detections as evaluated here: give --nms 0.7 to predict, too, or set "
        f'"nms": 0.7 under "model" in {file}'
    )
    assert remarked("--tile", "64").endswith("evaluated here: give --tile 64 to predict, too")
    set_nms("weights/config.json")
    assert remarked() == remarked("--nms", "0.7") == ""
    assert 'give --nms none to predict, too, or set "nms": null under "model"' in remarked("--nms", "none")
