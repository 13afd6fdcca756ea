"""What can be known of arguments without weights, labels and images is checked before these are read."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image
from typer.testing import CliRunner

from condetr.checkpoint import Weights, save
from condetr.cli import app
from condetr.config import Config, Data
from condetr.errors import CondetrError
from condetr.types import Categories
from tests.generated import write
from tests.tiny import TINY, shaken

TRAIN = "train data --recipe nano --init none"
EARLY = {
    f"{TRAIN} --out file/run": "file/run: cannot be written",
    f"{TRAIN} --out data": "data: the data set's folder. Name another one, such as `out='runs/data'`",
    "train data --recipe nano --init nowhere": "nowhere: no such file or folder",
    "train data --recipe nano --init image.png": "image.png: not a file of weights",
    "train nowhere --recipe nano --init none": "nowhere: no such file or folder",
    f"{TRAIN} --track foo": "no such tracker",
    "evaluate data --weights weights --out file": "file: cannot be written",
    "evaluate data --weights weights --replace-thresholds": "--replace-thresholds: only with --save-thresholds",
    "evaluate data --weights weights --runtime onnx --device foo": "device foo: this machine has no such device",
    "evaluate nowhere --weights weights": "nowhere: no such file or folder",
    "evaluate data --weights image.png": "give the folder that holds config.json",
    "evaluate data --weights data": "data/config.json: no such file",
    "explain image.png --weights weights --out file": "file: cannot be written",
    "explain image.png --weights weights --detection -1": "they are counted from 0",
    "explain image.png --weights weights --threshold 2": "threshold 2: must be a number",
    "export weights --data nowhere --out new.onnx": "nowhere: no such file or folder",
    "export weights --data image.png --out new.onnx": "image.png: not a data set",
    "export weights --data data/train --out new.onnx": "a part of the data set in data: give that folder",
    "export weights --format openvino --precision int8 --data data/valid --out new.xml": "no split 'train' to",
    "export weights --out file/new.onnx": "file: cannot be written",
    "bulk image.png --weights weights --out file": "file: cannot be written",
    "bulk image.png --weights weights --out data": "data: holds other files",
    "bulk nowhere.png --weights weights --out new": "nowhere.png: no such file or folder",
    "benchmark weights image.png --data nowhere": "nowhere: no such file or folder",
    "benchmark weights nowhere.png": "nowhere.png: no such file or folder",
    "compare nowhere --models detr,local --out new": "nowhere: no such file or folder",
    "compare data --models detr,foo --out new": "no such model",
    "compare data --models detr --out new": "needs two models",
    "compare data --models detr,local --reference foo --out new": "not among the models",
    "compare data --models detr,local --out file": "file: cannot be written",
    "compare data --models detr,local --out new --set train.lrr=1": "train.lrr: no such setting",
    "predict image.png --weights weights --out file": "file: cannot be written",
    "predict image.png --weights weights --format foo": "no such format",
    "demo --out file/demo": "file/demo: cannot be written",
    "demo --out new --epochs 0": "--epochs 0: must be at least 1",
    "convert weights file": "file: exists",
    "convert weights file/new": "file/new: cannot be written",
    "convert weights new --recipe nano": "only for .pth files",
    "grow weights --queries 40 --out file/new": "file/new: cannot be written",
    "grow weights --queries 40 --out data": "data: exists and is not empty",
    "doctor data --out file": "file: cannot be written",
}
NEEDED = {"bulk": "pyarrow", "int8": "nncf"}  # libraries of extras, by a word of the command


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("early")
    categories = Categories((1, 2, 3), ("square", "bar", "disc"))
    save(folder / "weights", Weights(shaken(TINY, 3), Config(model=TINY, data=Data(size=64)), categories, None))
    Image.new("RGB", (60, 40)).save(folder / "image.png")
    write(folder / "data", {"train": 2, "valid": 2})
    (folder / "file").touch()
    return folder


def too_late(*arguments: Any, **options: Any) -> NoReturn:
    raise AssertionError("long work has begun")


@pytest.mark.parametrize("words", EARLY)
def test_the_error_comes_before_any_weights_or_images_are_read(
    here: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word, library in NEEDED.items():
        if word in words.split() and find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    monkeypatch.chdir(here)
    for work in (
        "condetr.checkpoint._read_own", "condetr.training.data.examine", "condetr.comparing.compare.examine",
        "condetr.evaluating.evaluate.open_ground_truth", "condetr.examining.examine.inspect_images",
        "condetr.demo.make_digits",
    ):  # fmt: skip
        monkeypatch.setattr(work, too_late)
    done = CliRunner().invoke(app, words.split())
    assert isinstance(done.exception, CondetrError), done.exception
    message = str(done.exception).replace("\\", "/")
    assert EARLY[words].replace("`out='", "--out ").replace("'`", "") in message
    assert {path.name for path in here.iterdir()} == {"weights", "image.png", "data", "file"}
    assert not (here / "data" / "config.json").exists()


def test_a_split_in_place_of_its_data_set_is_told_the_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    for given in ("data/train", "data/train/", "data/train/_annotations.coco.json"):
        done = CliRunner().invoke(app, ["evaluate", given, "--weights", "weights"])
        assert "no split 'test'. There are: train. It is a part of the data set in data: give" in str(done.exception)
    done = CliRunner().invoke(app, ["compare", "data/train", "--models", "detr,local", "--out", "new"])
    assert "no split 'valid' to compare on. It is a part of the data set in data: give that folder" in str(
        done.exception
    )
