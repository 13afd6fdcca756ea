"""`condetr doctor`: tables, JSON, a page, and the exit status."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from condetr import cli
from tests.labelled import coco_content, write_image


@pytest.fixture
def data(tmp_path):
    content = coco_content(1, images=3)
    content["annotations"][0]["bbox"] = [4, 5, 0, 6]
    content["annotations"][2]["bbox"] = [50, 5, 40, 6]
    content["categories"][0]["name"] = "[bold]cat[/bold] </script><b>"
    (tmp_path / "data" / "train").mkdir(parents=True)
    for i in (1, 2):
        write_image(tmp_path / "data" / "train" / f"{i}.png", i)
    (tmp_path / "data" / "train" / "3.png").write_text("no image")
    (tmp_path / "data" / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    return tmp_path / "data"


@pytest.fixture
def condetr(tmp_path, monkeypatch, capsys):
    """The command line in this process: (exit status, standard output, standard error)."""

    def run(*words):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr(sys, "argv", ["condetr", "doctor", *map(str, words)])
        status = 0
        try:
            cli.main()
        except SystemExit as exit:
            status = exit.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_tables_list_every_defect_and_the_exit_status_is_0_when_training_can_start(condetr, data, tmp_path):
    status, out, errors = condetr(data, "--out", tmp_path / "out")
    assert (status, errors) == (0, f"condetr: reading {data}\n")
    for word in (
        "empty_box",
        "clipped_box",
        "unreadable_image",
        "train/1.png, annotation 1",
        "[bold]cat[/bold]",
        "ready to",
        "data: COCO, 2 classes",
    ):
        assert word in out, word
    page = (tmp_path / "out" / "doctor.html").read_text()
    assert "COCO" in page
    assert "</script><b>" not in page
    assert page.count("data:image/") >= 2
    assert "http://" not in page.replace("http://www.w3.org", "")
    written = json.loads((tmp_path / "out" / "doctor.json").read_text())
    assert written["trainable"] is True
    assert {defect["name"]: defect["count"] for defect in written["defects"]} == {
        "empty_box": 1, "clipped_box": 1, "unreadable_image": 1,
    }  # fmt: skip
    assert written["defects"][0]["found"][0].keys() == {"split", "file", "id", "id_of", "detail"}


def test_json_prints_nothing_but_json(condetr, data):
    _, out, _ = condetr(data, "--json", "--fast")
    content = json.loads(out)
    assert content["splits"][0]["images"] == 3
    assert content["format"] == "coco"
    assert content["classes"][1] == {"label": 1, "category_id": 2, "name": "class 2", "objects": {"train": 2}}


def test_the_exit_status_is_1_when_training_cannot_start(condetr, data):
    for path in (data / "train").glob("*.png"):
        path.unlink()
    status, out, _ = condetr(data)
    assert status == 1
    assert "cannot train: no object is left to learn from" in " ".join(out.split())


@pytest.mark.parametrize("path", ["nowhere", "data/train/3.png", "."])
def test_a_wrong_path_is_a_one_line_error(condetr, data, tmp_path, path):
    status, out, errors = condetr(tmp_path / path)
    assert (status, out) == (1, "")
    assert errors.startswith("condetr: ")
    assert errors.count("\n") == 1 + (tmp_path / path).exists()  # then it is said first that it is read


def test_pillows_warnings_about_readable_images_are_not_shown(data, tmp_path):
    pixels = np.zeros((48, 64, 3), np.uint8)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0"  # cut short
    Image.fromarray(pixels).save(data / "train" / "3.png", "JPEG", exif=exif)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "condetr.cli", "doctor", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == f"condetr: reading {data}\n"
    assert "unreadable_image" not in done.stdout


@pytest.mark.slow
def test_ctrl_c_exits_quickly_without_a_traceback(data, tmp_path):
    content = coco_content(1, images=3000, boxes=1)
    for image in content["images"]:
        image["file_name"] = "1.png" if image["id"] == 1 else f"../train/{'./' * (image['id'] % 900)}{image['id']}.png"
    write_image(data / "train" / "big.png", 1, (3000, 3000))
    for i in range(4, 60):
        os.link(data / "train" / "big.png", data / "train" / f"{i}.png")
    (data / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "condetr.cli", "doctor", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - started < 20  # one or two seconds on an idle machine
    assert process.returncode not in (0, None)
    assert "Traceback" not in errors
