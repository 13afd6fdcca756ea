"""`condetr predict` as a person uses it: what is written, what is printed, and the exit status."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from condetr import cli, errors
from condetr.checkpoint import Weights, save
from condetr.cli.predict_run import Kept, Part, Run
from condetr.config import Config, Data
from condetr.predicting.predictor import Predictor
from condetr.types import Categories
from tests.tiny import TINY, shaken


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("weights")
    categories = Categories((1, 3, 4), ("cat", None, "dog"))
    save(folder, Weights(shaken(TINY, 3), Config(model=TINY, data=Data(size=64)), categories, (0.3, 0.5, 0.9)), "card")
    return str(folder)


def image(path: str, size: tuple[int, int] = (60, 40), seed: int = 0) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def predict(*words: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """(exit status, standard output, standard error without the line that names the weights)"""
    result = CliRunner().invoke(cli.app, ["predict", *words], input=stdin, catch_exceptions=False)
    return result.exit_code, result.stdout, re.sub(r"(?m)^condetr: loading .*\n", "", result.stderr)


def test_a_single_image_is_drawn_and_tabled(here: Path, weights: str) -> None:
    image("my cat #1.jpg")
    status, stdout, stderr = predict("my cat #1.jpg", "--weights", weights, "--threshold", "0")
    assert (status, stderr) == (0, "")
    assert "score" in stdout
    assert "dog" in stdout
    assert "1 image, " in stdout
    width, height = Image.open("predictions/images/my cat #1.jpg").size  # small images are enlarged to be drawn on
    assert width * 40 == height * 60
    line = json.loads(Path("predictions/predictions.jsonl").read_text())
    assert line["file"] == "my cat #1.jpg"
    assert {one["category"] for one in line["detections"]} <= {"cat", "dog"}


@pytest.mark.parametrize(
    "words", ["predict a.png", "explain a.png", "bulk a.png --out out", "serve --port 0"], ids=lambda words: words[:5]
)
@pytest.mark.parametrize(("typed", "nms"), [("0.30", 0.3), ("none", "none"), (None, None)])
def test_a_suppression_reaches_the_predictor(
    here: Path, weights: str, words: str, typed: str | None, nms: float | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in {"bulk": ["pyarrow"], "serve": ["starlette", "uvicorn"]}.get(words.split()[0], []):
        pytest.importorskip(library)
    given = []

    def stop(*_, **options):
        given.append(options["nms"])
        raise errors.CondetrError("stop")

    image("a.png")
    monkeypatch.setattr(Predictor, "__init__", stop)
    command = [*words.split(), "--weights", weights, *([] if typed is None else ["--nms", typed])]
    with pytest.raises(errors.CondetrError, match="stop"):
        CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert given == [nms]


def test_bad_images_are_named_and_the_others_done(here: Path, weights: str) -> None:
    image("in/a.png")
    image("in/sub/b.jpg", (30, 90))
    image("in/sub/über größe.webp", (50, 50))
    Path("in/broken.jpg").write_bytes(b"junk")
    Path("in/empty.png").touch()
    status, stdout, stderr = predict("in", "nowhere.jpg", "--weights", weights, "--format", "images,coco,jsonl,csv")
    assert status == 1
    assert "3 images, " in stdout
    assert sorted(stderr.splitlines()) == [
        "condetr: in/broken.jpg: not an image but a text file: junk",
        "condetr: in/empty.png: an empty file (0 bytes)",
        "condetr: nowhere.jpg: no such file or folder",
    ]
    drawn = sorted(str(p.relative_to("predictions/images")) for p in Path("predictions/images").rglob("*.*"))
    assert drawn == ["in/a.png", "in/sub/b.jpg", "in/sub/über größe.webp.jpg"]
    lines = [json.loads(line) for line in Path("predictions/predictions.jsonl").read_text().splitlines()]
    assert sum("error" in line for line in lines) == 3
    images = json.loads(Path("predictions/coco_images.json").read_text())["images"]
    assert [(i["width"], i["height"]) for i in images] == [(60, 40), (30, 90), (50, 50)]
    json.loads(Path("predictions/coco.json").read_text())
    rows = list(csv.DictReader(Path("predictions/predictions.csv").read_text().splitlines()))
    assert len(rows) == sum(len(line.get("detections", ())) for line in lines)


def test_a_second_run_does_not_find_the_first_ones_images(here: Path, weights: str) -> None:
    image("a.png")
    for _ in range(2):
        status, stdout, _ = predict(".", "--weights", weights)
        assert status == 0
        assert "1 image, " in stdout


def test_files_of_earlier_runs_are_reported(here: Path, weights: str) -> None:
    for name in ("a.png", "b.png", "sub/c.png"):
        image(f"in/{name}")
    words = ("in", "--weights", weights, "--format", "images,csv")
    assert "earlier runs" not in predict(*words)[1]
    assert "earlier runs" not in predict(*words)[1], "the same files again"
    Path("in/b.png").unlink()
    line = "predictions also has files of earlier runs: predictions.csv and 1 image in images/. Use another --out"
    assert line in predict("in", "--weights", weights)[1]
    assert predict("in/a.png", *words[1:3], "--format", "csv,coco")[0] == 0
    line = "of earlier runs: predictions.csv, coco.json, coco_images.json and 3 images in images/."
    assert line in predict("in/a.png", *words[1:3], "--format", "jsonl")[1]


def test_standard_input(here: Path, weights: str) -> None:
    image("a.png")
    image("b c.png")
    status, stdout, _ = predict("-", "--weights", weights, stdin=Path("a.png").read_bytes())
    assert (status, "1 image, " in stdout) == (0, True)
    status, stdout, _ = predict("-", "--weights", weights, stdin=b"a.png\nb c.png\n")
    assert (status, "2 images, " in stdout) == (0, True)


def test_a_process_without_standard_streams(here: Path, weights: str, monkeypatch, capsys) -> None:
    """As `<&-` and `>&-`, and programs without a console on Windows."""
    image("a.png")
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "argv", ["condetr", "predict", "-", "--weights", weights])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "\ncondetr: -: empty" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", None)
    for words, status in ((["--out", "-"], 1), (["--out", "x"], 0)):
        monkeypatch.setattr(sys, "argv", ["condetr", "predict", "a.png", "--weights", weights, *words])
        with pytest.raises(SystemExit, match=str(status)):
            cli.main()
    refused = "condetr: --out -: there is no standard output. Name a folder with --out\n"
    assert capsys.readouterr().err == f"{refused}condetr: loading {weights}\n"
    assert (here / "x" / "predictions.jsonl").exists()


def test_thresholds(here: Path, weights: str) -> None:
    image("a.png")
    counts = {}
    for threshold in ("0", "best", "1"):
        _, stdout, _ = predict("a.png", "--weights", weights, "--threshold", threshold)
        lines = Path("predictions/predictions.jsonl").read_text()
        counts[threshold] = len(json.loads(lines)["detections"])
    assert counts["0"] > counts["best"] >= counts["1"] == 0
    assert "no detection reaches the threshold 1; the best score is 0." in stdout
    assert "): lower --threshold" in stdout
    image("b.png")
    _, stdout, _ = predict("a.png", "b.png", "--weights", weights, "--threshold", "1")
    assert ".png): lower --threshold" in stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.png", "--threshold", "2"], "--threshold 2: must be a number between 0 and 1, or best"),
        (["a.png", "--threshold", "much"], "--threshold much: must be a number between 0 and 1, or best"),
        (["a.png", "--classes", "cat,doog"], "class 'doog': the weights have no such class; did you mean 'dog'?"),
        (["a.png", "--classes", "cat,"], "--classes cat,: a name is missing"),
        (["a.png", "--format", "xml"], "--format xml: no such format"),
        (["a.png", "--weights", "no/where/at/all"], "no such weights folder"),
        (["a.png", "--weights", "owner/detr.pth"], "--weights owner/detr.pth: no such file$"),
        (["a.png", "--weights", "/no/detr.safetensors"], "/no/detr.safetensors: no such file$"),
        (["a.png", "--weights", "runs/birds.onnx"], "runs/birds.onnx: no such file$"),
        (["a.png", "run", "--threshold", "0.4"], "run: weights, not images. Give them as --weights"),
        (["a.png", "--device", "abacus"], "no such device"),
        (["a.png", "--precision", "int1"], "--precision int1: must be fp32 or bf16"),
        (["a.png", "--out", "a.png/out"], "cannot be written .Not a directory.. Choose another folder$"),
    ],
)
def test_mistakes_are_one_line(here: Path, weights: str, words: list[str], message: str) -> None:
    image("a.png")
    image("run/curves.png")
    for file in ("run/config.json", "run/journal.jsonl"):
        Path(file).write_text("{}", encoding="utf-8")
    words = words if "--weights" in words else [*words, "--weights", weights]
    with pytest.raises(errors.CondetrError, match=message) as error:
        predict(*words)
    assert "\n" not in str(error.value)


def test_nothing_found_is_reported_before_any_weights_are_loaded(here: Path) -> None:
    Path("empty").mkdir()
    status, _, stderr = predict("empty", "nowhere.jpg", "--weights", "neither/there")
    assert status == 1
    assert stderr == "condetr: empty: a folder without images\ncondetr: nowhere.jpg: no such file or folder\n"


@pytest.mark.usefixtures("hangup_as_usual")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_keeps_what_is_written(tmp_path: Path, weights: str, number: signal.Signals) -> None:
    """In a process of its own, fed by a list on standard input that never ends."""
    content = io.BytesIO()
    Image.new("RGB", (60, 40)).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue())
    command = [sys.executable, "-m", "condetr.cli", "predict", "-", "--weights", weights, "--batch", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        assert process.stdin
        process.stdin.write(b"a.png\na.png\n")
        process.stdin.flush()
        until = time.monotonic() + 60
        while not (tmp_path / "predictions/images/a.png").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number, stderr
    assert stdout.startswith(b"interrupted; kept: ")
    assert b"Traceback" not in stderr
    assert json.loads((tmp_path / "predictions/predictions.jsonl").read_text().splitlines()[0])["file"] == "a.png"


@pytest.mark.slow
def test_genuine_odd_files_go_through(real_data: Path, here: Path, weights: str) -> None:
    files = sorted(str(p) for p in (real_data / "weird_images").iterdir() if p.is_file())
    status, _, stderr = predict(*files, "--weights", weights)
    lines = [json.loads(line) for line in Path("predictions/predictions.jsonl").read_text().splitlines()]
    assert status == 1
    assert sorted(line["file"] for line in lines) == files
    assert len(stderr.splitlines()) == sum("error" in line for line in lines)


def test_out_dash_streams_one_line_of_json_for_each_image(here: Path, weights: str) -> None:
    image("in/a.png")
    image("in/b.png")
    Path("in/broken.jpg").write_bytes(b"junk")
    status, stdout, stderr = predict("in", "--weights", weights, "--out", "-", "--threshold", "0")
    lines = [json.loads(line) for line in stdout.splitlines()]
    assert status == 1
    assert sorted(line["file"] for line in lines) == ["in/a.png", "in/b.png", "in/broken.jpg"]
    assert len(stderr.splitlines()) == 1
    assert not Path("predictions").exists()
    assert not Path("-").exists()
    with pytest.raises(errors.CondetrError, match="--format csv: --out - prints only jsonl"):
        predict("in", "--weights", weights, "--out", "-", "--format", "csv")


def test_streamed_lines_come_at_once_and_a_closed_pipe_ends_quietly(tmp_path: Path, weights: str) -> None:
    """In a process of its own, fed by a list on standard input that never ends, as by `tail -f`."""
    content = io.BytesIO()
    Image.new("RGB", (60, 40)).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue())
    command = [sys.executable, "-m", "condetr", "predict", "-", "-q", "--out", "-", "--weights", weights]
    command += ["--batch", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"a.png\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["file"] == "a.png"
        process.stdout.close()
        process.stdin.write(b"a.png\na.png\n")
        process.stdin.flush()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""


def test_quiet_prints_errors_only(here: Path, weights: str) -> None:
    image("in/a.png")
    Path("in/broken.jpg").write_bytes(b"junk")
    Path("in/notes.txt").write_text("no image")
    status, stdout, stderr = predict("in", "--weights", weights, "-q")
    assert (status, stdout) == (1, "")
    assert stderr.startswith("condetr: in/broken.jpg: not an image")
    assert stderr.count("\n") == 1
    assert predict("in/a.png", "--weights", weights, "--quiet") == (0, "", "")
    assert Path("predictions/images/a.png").exists()


def test_a_misspelt_image_is_suggested(here: Path, weights: str) -> None:
    image("holiday/beach.png")
    _, _, stderr = predict("holiday/beech.png", "--weights", weights)
    assert stderr == "condetr: holiday/beech.png: no such file or folder. Did you mean holiday/beach.png?\n"


def detections_of(*words: str) -> list[dict]:
    _, stdout, _ = predict(*words, "--out", "-")
    return json.loads(stdout)["detections"]


def test_classes_numbers_and_boxes_can_be_limited(here: Path, weights: str) -> None:
    image("a.png")
    words = ("a.png", "--weights", weights, "--threshold", "0")
    everything = detections_of(*words)
    assert {one["category"] for one in everything} == {"cat", "dog"}
    dogs = [one for one in everything if one["category"] == "dog"]
    assert detections_of(*words, "--classes", "dog") == dogs
    assert detections_of(*words, "--max-detections", "3") == everything[:3]
    assert detections_of(*words, "--classes", "dog", "--max-detections", "2") == dogs[:2]
    boxes = [tuple(one["box"]) for one in detections_of(*words, "--one-class-per-box")]
    assert len(set(boxes)) == len(boxes) == len({tuple(one["box"]) for one in everything})


def test_images_with_as_many_objects_as_are_kept_are_reported(here: Path, weights: str) -> None:
    image("a.jpg")
    image("b.jpg", seed=1)
    few = predict("a.jpg", "b.jpg", "--weights", weights, "--threshold", "0", "--max-detections", "2")[1]
    assert "the most that" not in few, "the user has chosen this number"
    assert "the most that" not in predict("a.jpg", "--weights", weights, "--threshold", "0")[1]
    run = Run(False, Kept(None, None, False), Part(1, None, None, 0), 1, images=3, objects=200, full=2)
    lines = list(run.summary(Path("out"), interrupted=False))
    assert lines[-1] == "2 images with 100 objects, the most that are kept: --max-detections N keeps more"


def test_the_weights_own_thresholds_are_the_default(here: Path, weights: str) -> None:
    image("a.png")
    words = ("a.png", "--weights", weights)
    assert detections_of(*words) == detections_of(*words, "--threshold", "best")
    assert detections_of(*words) != detections_of(*words, "--threshold", "0")
