"""Each image has exactly one row, whatever ends the run or a worker, and the rows are those of `Predictor`."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from condetr.bulk_predicting import bulk as verb
from condetr.bulk_predicting.bulk import bulk
from condetr.bulk_predicting.images import Image
from condetr.bulk_predicting.pace import Pace, time_of
from condetr.bulk_predicting.plan import shard_size_for
from condetr.bulk_predicting.workers import WorkerDied
from condetr.checkpoint import load, save
from condetr.cli import app
from condetr.decoding import decode
from condetr.errors import CondetrError
from condetr.predicting.predictor import Predictor
from condetr.predicting.tiling import Tiling
from condetr.scoring import FocalScoring
from condetr.types import Categories, Predictions
from tests.bulk_predicting.small import Here, contents, rows_of, write_images, write_weights

pytest.importorskip("pyarrow")


class Worker(Here):
    pass


class Mortal(Here):
    """Its process ends when it meets 0005.png, and the first time in any case."""

    deaths = 0

    def call(self, images: Sequence[Image]) -> bytes:
        content = super().call(images)
        if type(self).deaths == 0 or any(image.name.endswith("0005.png") for image in images):
            type(self).deaths += 1
            raise WorkerDied
        return content


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a test, with `images`, one of them broken, and `weights`; workers have no processes."""
    write_images(tmp_path / "images", 20)
    (tmp_path / "images" / "0021.jpg").write_text("no image")
    write_weights(tmp_path / "weights")
    monkeypatch.setattr(Worker, "calls", [], raising=False)
    monkeypatch.setattr(Mortal, "calls", [], raising=False)
    monkeypatch.setattr(Mortal, "deaths", 0)
    monkeypatch.setattr(verb, "LocalWorker", Worker)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(out: str = "out", **options):
    return bulk("images", "weights", out, **{"threshold": 0.005, "workers": 1, **options})


def test_the_rows_are_the_predictions_for_any_number_of_workers(here: Path):
    seen: list[tuple[int, int]] = []
    run = start(workers=1, progress=lambda done, total: seen.append((done, total)))
    assert (run.folder, run.images, run.failed) == (Path("out"), 21, 1)
    assert seen == [(0, 21), (8, 21), (16, 21), (21, 21)]
    for workers in (2, 4):
        start(f"out{workers}", workers=workers, batch=workers)
        assert contents(here / f"out{workers}") == contents(here / "out")

    rows = rows_of(here / "out")
    predictor = Predictor(load("weights"))
    pairs = list(predictor.stream("images", threshold=0.005))
    assert [row["image"] for row in rows] == [name for name, _ in pairs]
    assert sum(len(row["scores"]) for row in rows) > 20
    for row, (_, found) in zip(rows, pairs[:-1]):
        assert (row["width"], row["height"]) == found.size
        assert np.array_equal(np.array(row["boxes"], np.float32).reshape(-1, 4), found.boxes)
        assert np.array_equal(np.array(row["scores"], np.float32), found.scores)
        assert (row["labels"], row["category_ids"]) == (found.labels.tolist(), found.category_ids)
        assert (row["names"], row["error"]) == (found.names, None)
    assert rows[-1]["error"] == str(pairs[-1][1])
    assert (rows[-1]["width"], rows[-1]["boxes"]) == (None, [])


def test_large_images_are_divided_into_tiles(here: Path):
    tiling = Tiling(32)
    start(tiling=tiling)
    pairs = list(Predictor(load("weights"), tiling=tiling).stream("images", threshold=0.005))
    for row, (_, found) in zip(rows_of(here / "out"), pairs[:-1]):
        assert np.array_equal(np.array(row["scores"], np.float32), found.scores)
    with pytest.raises(CondetrError, match=r"out: holds a run with tiles 32 pixels.*, not 40 pixels"):
        start(tiling=Tiling(40))


def test_duplicates_are_suppressed_as_by_the_predictor_and_the_run_continues_only_so(here: Path):
    start(nms=0.2, threshold=0.0)
    pairs = list(Predictor(load("weights"), nms=0.2).stream("images", threshold=0.0))
    plain = list(Predictor(load("weights")).stream("images", threshold=0.0))
    assert sum(len(found) for _, found in pairs[:-1]) < sum(len(found) for _, found in plain[:-1])
    for row, (_, found) in zip(rows_of(here / "out"), pairs[:-1]):
        assert np.array_equal(np.array(row["scores"], np.float32), found.scores)
    with pytest.raises(CondetrError, match=r"out: holds a run with nms 0\.2, not none"):
        start(threshold=0.0)
    words = ["bulk", "images", "--weights", "weights", "--out", "new", "--nms", "0.2", "--explain-plan"]
    explained = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert "at most 100 of an image, non-maximum suppression at IoU 0.2\n" in explained


def test_a_run_goes_on_where_it_was_interrupted_and_repeats_nothing(here: Path):
    def interrupt(done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(progress=interrupt)
    left = list(contents(here / "out"))
    assert left == ["shard-000000.parquet"]
    (here / "out" / ".shard-000001.parquet.x.part").write_text("half")
    Worker.calls.clear()
    start()
    assert [call[0] for call in Worker.calls] == ["0008.png", "0016.png"]
    assert not list((here / "out").glob(".*.part"))

    first = contents(here / "out")
    start()
    assert len(Worker.calls) == 2
    (here / "out" / "shard-000001.parquet").write_bytes(first["shard-000001.parquet"][:-9])  # of a failing disk
    shutil.copy(here / "out" / "shard-000000.parquet", here / "out" / "shard-000002.parquet")
    start()
    assert len(Worker.calls) == 4
    assert contents(here / "out") == first


def test_a_run_continues_when_the_same_images_are_named_in_another_way(here: Path):
    bulk("images", "weights", "out", workers=1)
    names = sorted(f"images/{one.name}" for one in (here / "images").iterdir())
    assert bulk(names, "weights", "out", workers=1).images == len(names)  # as a shell expands images/*


def test_the_files_of_a_run_are_a_manifest_of_its_images(here: Path, monkeypatch: pytest.MonkeyPatch):
    start()
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    options = {"threshold": 0.005, "workers": 1}
    again = bulk("../out/*.parquet", "../weights", "out", **options)
    assert (again.images, again.failed) == (21, 1)
    assert rows_of(here / "elsewhere" / "out") == rows_of(here / "out")
    assert bulk("out/shard-000001.parquet", "../weights", "third", **options).failed == 0
    assert rows_of(here / "elsewhere" / "third") == rows_of(here / "out")[8:16]
    shutil.rmtree(here / "out" / "_plan")  # then the paths are those of any manifest
    assert bulk("../out/shard-000001.parquet", "../weights", "last", **options).failed == 8


def test_other_images_weights_or_settings_are_refused(here: Path):
    start()
    with pytest.raises(CondetrError, match=r"out: holds a run with threshold 0.005, not 0.3. Repeat its command"):
        start(threshold=0.3)
    with pytest.raises(CondetrError, match="holds a run with classes none, not cat"):
        start(classes="cat")
    with pytest.raises(CondetrError, match="other weights"):
        bulk("images", write_weights(here / "others", seed=1), "out", threshold=0.005)
    (here / "images" / "0003.png").rename(here / "0003.png")
    with pytest.raises(CondetrError, match=r"holds a run of other images, without images/0004.png"):
        start()
    shutil.copy(here / "0003.png", here / "images" / "0003.png")
    shutil.copy(here / "0003.png", here / "images" / "0030.png")
    with pytest.raises(CondetrError, match=r"holds a run of other images, without images/0030.png"):
        start()
    (here / "images" / "0030.png").unlink()
    start(workers=3, batch=7)
    (here / "occupied").mkdir()
    (here / "occupied" / "thesis.tex").write_text("")
    with pytest.raises(CondetrError, match=r"holds other files \(thesis.tex\)"):
        start("occupied")


def test_an_image_that_ends_its_worker_gets_a_row_with_an_error(here: Path, monkeypatch: pytest.MonkeyPatch):
    start("expected")
    monkeypatch.setattr(verb, "LocalWorker", Mortal)
    assert start(workers=1).failed == 2
    expected, rows = rows_of(here / "expected"), rows_of(here / "out")
    assert "ended without an error message, 3 times" in rows.pop(5)["error"]
    del expected[5]
    assert rows == expected
    assert (here / "out" / "shard-000001.parquet").read_bytes() == contents(here / "expected")["shard-000001.parquet"]
    assert Mortal.deaths == 6  # three with the shard, three with the image alone


def test_an_unexpected_failure_belongs_to_its_image(here: Path, monkeypatch: pytest.MonkeyPatch):
    scale = Predictor.detect

    def failing(self, scaled, limit=None, batch=8):
        if any(one.size == size for one in scaled):
            raise RuntimeError("could not create a primitive\nat 0x1")
        return scale(self, scaled, limit, batch)

    start("expected")
    expected = rows_of(here / "expected")
    size = (expected[7]["width"], expected[7]["height"])
    monkeypatch.setattr(Predictor, "detect", failing)
    start()
    rows = rows_of(here / "out")
    assert rows[7]["error"] == "could not create a primitive"
    del rows[7], expected[7]
    assert rows == expected


def test_the_scores_of_an_image_do_not_depend_on_its_batch():
    torch.manual_seed(0)
    categories = Categories((1, 2, 3), ("a", "b", "c"))
    logits, boxes, scoring = torch.randn(1, 5, 7, 3), torch.rand(1, 5, 7, 4), FocalScoring(0.25, 2.0)
    together = decode(Predictions(logits, boxes), scoring, [(60, 40)] * 5, categories)
    for number, found in enumerate(together):
        part = slice(number, number + 1)
        (alone,) = decode(Predictions(logits[:, part], boxes[:, part]), scoring, [(60, 40)], categories)
        assert alone == found


def test_the_command_says_what_it_does_and_how_to_go_on(here: Path, monkeypatch: pytest.MonkeyPatch):
    command = ["bulk", "images", "--weights", "weights", "--out", "out", "--threshold", "0.005", "--workers", "2"]
    explained = CliRunner().invoke(app, [*command, "--explain-plan"])
    assert explained.exit_code == 0
    lines = explained.stdout.splitlines()
    assert lines[0] == "images   21, 0 of them done, in 3 shards of 8"
    assert "this machine: 2 processes with" in explained.stdout
    assert "shard-000000.parquet to shard-000002.parquet" in lines[-1]
    assert not (here / "out").exists()
    assert not Worker.calls

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(verb, "run", interrupted)
        stopped = CliRunner().invoke(app, command)
    assert stopped.exit_code == 130
    assert "interrupted: 0 of 21 images are done. The same command continues from there" in stopped.stderr
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert done.stdout == "21 images: see out\n1 of them could not be predicted: the column error has the reasons\n"
    assert "0 of 21 images" in done.stderr
    assert "21, 21 of them done" in CliRunner().invoke(app, [*command, "--explain-plan"]).stdout


def test_without_the_extra_one_line_says_what_to_install(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CondetrError, match=r"ray is not installed: pip install 'condetr\[bulk\]'"):
        start(address="auto")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CondetrError, match=r"pyarrow is not installed: pip install 'condetr\[bulk\]'"):
        start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers 0: must be at least 1"),
        ({"batch": 0}, "batch 0: must be at least 1"),
        ({"threshold": 2.0}, "threshold 2.0: must be a number"),
        ({"classes": "cow"}, "cow"),
        ({"max_detections": 0}, "max_detections 0"),
        ({"runtime": "tvm"}, "runtime"),
        ({"device": "gpu"}, "gpu"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_written(here: Path, options: dict, message: str):
    with pytest.raises(CondetrError, match=message):
        start(**options)
    assert not (here / "out").exists()


def test_the_largest_shard_has_128_images_and_few_images_make_several():
    assert [shard_size_for(count) for count in (1, 300, 2000, 8192, 10**7)] == [8, 8, 32, 128, 128]


def test_weights_that_changed_under_a_plan_are_noticed_by_a_worker(here: Path):
    request = verb.requested(
        "images", "weights", "out", threshold=0.2, classes=None, max_detections=100, one_class_per_box=False,
        tiling=None, nms=None, batch=4, workers=1, device=None, precision="fp32", runtime=None, address=None,
    )  # fmt: skip
    shutil.rmtree(here / "weights")
    write_weights(here / "weights", seed=1)
    with pytest.raises(CondetrError, match="a worker process found other weights"):
        Worker(request.task).start()
    record = json.loads((here / "weights" / "config.json").read_text())
    assert record["thresholds"] == list(load("weights").thresholds)
    save(here / "weights", load("weights"))


def test_the_time_left_is_that_of_the_last_minutes():
    pace = Pace()
    for now, done in ((0.0, 100), (10.0, 100), (20.0, 200), (30.0, 300)):
        pace.add(done, now)
    assert pace.images_per_second == 10
    assert pace.line(5000) == "300 of 5,000 images, 10 images/s, 8 min left"
    assert [time_of(seconds) for seconds in (0.2, 59.0, 61.0, 7500.0, 2e5)] == [
        "1 s",
        "59 s",
        "1 min",
        "2 h 5 min",
        "2 d 7 h",
    ]
