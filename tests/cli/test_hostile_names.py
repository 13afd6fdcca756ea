"""Names of classes, files and folders reach the terminal as text, whatever control characters are in them; and every
table is printed on consoles that know no more than ASCII."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import generated
from tests.small_run import SETTINGS

FLAGS = [word for path, value in SETTINGS.items() for word in ("--set", f"{path}={value}")]
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
CLASSES = ("squ\x1b[2Jare ≥", "b\u202ear\r狗[bold]")


def condetr(folder: Path, *words: str, encoding: str = "utf-8", columns: str = "120") -> tuple[int, str]:
    """Exit status, and standard output with standard error."""
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONIOENCODING": encoding,
        "COLUMNS": columns,
    }  # fmt: skip
    command = [sys.executable, "-m", "condetr", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, (done.stdout + done.stderr).decode(encoding)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, and with the weights that `condetr train` makes of it."""
    folder = tmp_path_factory.mktemp("hostile")
    data = generated.write(folder / "da\x1b[31mta", {"train": 8, "valid": 2})
    for split in ("train", "valid"):
        file = data / split / "_annotations.coco.json"
        labels = json.loads(file.read_text())
        for category, name in zip(labels["categories"], CLASSES):
            category["name"] = name
        image = labels["images"][0]
        renamed = f"a\x1b]0;b\x07{image['file_name']}"
        (data / split / image["file_name"]).rename(data / split / renamed)
        image["file_name"] = renamed
        labels["annotations"][0]["bbox"] = [4, 5, 0, 6]  # a defect, so that the file is named
        file.write_text(json.dumps(labels))
    status, shown = condetr(folder, "train", data.name, "--recipe", "nano", "--out", "r\x1b[2Jun", *FLAGS)
    assert status == 0, shown
    (folder / "train.txt").write_text(shown)
    return folder


DATA, WEIGHTS = "da\x1b[31mta", "r\x1b[2Jun"
SHOWING = {
    "doctor": ["doctor", DATA],
    "doctor page": ["doctor", DATA, "--out", "d\x1b[2J"],
    "evaluate": ["evaluate", DATA, "--weights", WEIGHTS, "--out", "e\x1b[2J"],
    "predict one": ["predict", f"{DATA}/train/train1.png", "--weights", WEIGHTS, "--threshold", "0"],
    "predict all": ["predict", DATA, "bro\x1b[2Jken.jpg", "--weights", WEIGHTS, "--out", "p\x1b[2J"],
    "explain": ["explain", f"{DATA}/valid", "no\x1b[2J.png", "--weights", WEIGHTS, "--out", "x\x1b[2J"],
    "resume": ["train", DATA, "--out", WEIGHTS, "--resume"],
    "recipes": ["recipes"],
    "no weights": ["predict", f"{DATA}/train/train1.png", "--weights", "w\x1b[2J"],
    "no setting": ["train", DATA, "--set", "tra\x1b[2Jin.lr=2"],
    "no recipe": ["train", DATA, "--recipe", "sm\x1b[2Jall"],
}


def test_training_prints_no_control_character(here: Path) -> None:
    shown = (here / "train.txt").read_text()
    assert not CONTROL.findall(shown), shown
    assert "epoch 2" in shown


@pytest.mark.parametrize("words", SHOWING.values(), ids=SHOWING)
def test_no_control_character_is_printed(here: Path, words: list[str]) -> None:
    _, shown = condetr(here, *words)
    assert shown
    assert not CONTROL.findall(shown), shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("name", ["doctor", "evaluate", "predict one", "explain", "recipes"])
def test_a_console_that_is_not_utf_8_shows_the_same_tables(here: Path, name: str, encoding: str) -> None:
    status, shown = condetr(here, *SHOWING[name], encoding=encoding)
    expected, _ = condetr(here, *SHOWING[name])
    assert status == expected
    if name in ("doctor", "evaluate"):
        assert "---" in shown
        assert r"\x1b[2Jare" in shown
