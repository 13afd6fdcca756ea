"""Output files: each format read back, distinct file names, and files kept however a run ends."""

import csv
import io
import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from condetr.detections import Detections
from condetr.errors import CondetrError
from condetr.predicting.outputs import Outputs, parse_formats, table
from condetr.predicting.sources import Found, Opened
from condetr.predicting.writers import FIRST_NUMBER, Coco, Csv, DrawnImages, JsonLines
from condetr.types import Categories

CATEGORIES = Categories((1, 5, 9), ("cat", None, "=dog"))
PNG = io.BytesIO()
Image.new("RGB", (8, 6), (0, 0, 255)).save(PNG, "PNG")


def opened(name: str, relative: str | None = None) -> Opened:
    return Opened(Found(name, PNG.getvalue(), PurePosixPath(relative or name)), keep=False)


def detections(boxes: list, labels: list[int], scores: list[float]) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        labels=np.array(labels, np.int64),
        queries=np.arange(len(labels)),
        categories=CATEGORIES,
        size=(8, 6),
    )


TWO = detections([[1, 1, 3, 4], [0, 0.5, 8, 6]], [2, 0], [0.9, 0.25])

corner = st.floats(-50, 5000, width=32)
many_detections = st.lists(
    st.tuples(st.tuples(corner, corner, corner, corner), st.sampled_from([0, 2]), st.floats(0, 1, width=32)), max_size=5
).map(lambda rows: detections([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]))
names = st.text(st.characters(exclude_categories=()), min_size=1, max_size=20)  # lone surrogates and controls too


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(names, many_detections), max_size=4))
def test_every_text_format_holds_all_detections(run: list[tuple[str, Detections]]) -> None:
    lines, cells, results, images = (io.StringIO() for _ in range(4))
    writers = [JsonLines(lines), Csv(cells)]
    with Coco.open(results, images, CATEGORIES) as coco:
        for name, expected in run:
            for writer in (*writers, coco):
                writer.write(opened(name, "x"), expected)

    read = [json.loads(line) for line in lines.getvalue().splitlines()]
    rows = list(csv.DictReader(io.StringIO(cells.getvalue(), newline="")))
    listing = json.loads(images.getvalue())
    coco_read = json.loads(results.getvalue())
    assert [line["file"] for line in read] == [name for name, _ in run]
    assert [image["file_name"] for image in listing["images"]] == [name for name, _ in run]
    assert len({image["id"] for image in listing["images"]}) == len(run)
    assert listing["categories"] == [{"id": 1, "name": "cat"}, {"id": 9, "name": "=dog"}]
    assert len(rows) == len(coco_read) == sum(len(expected) for _, expected in run)
    for line, image, (name, expected) in zip(read, listing["images"], run):
        assert (line["width"], line["height"]) == (image["width"], image["height"]) == expected.size
        assert [one["category_id"] for one in line["detections"]] == expected.category_ids
        boxes = np.array([one["box"] for one in line["detections"]]).reshape(-1, 4)
        np.testing.assert_allclose(boxes, expected.boxes, atol=6e-4)
        mine = [one for one in coco_read if one["image_id"] == image["id"]]
        np.testing.assert_allclose([one["score"] for one in mine], expected.scores, rtol=1e-6)
        xywh = np.array([one["bbox"] for one in mine]).reshape(-1, 4)
        np.testing.assert_allclose(xywh[:, :2] + xywh[:, 2:], expected.boxes[:, 2:], atol=1e-3)
        own, rows = rows[: len(expected)], rows[len(expected) :]
        for row, box, score in zip(own, expected.boxes, expected.scores):
            assert row["file"].removeprefix("'") == name  # one mark is put before a formula, and before a mark
            np.testing.assert_allclose([float(row[c]) for c in ("x1", "y1", "x2", "y2")], box, atol=6e-4)
            assert abs(float(row["score"]) - score) < 1e-6


def test_no_cell_is_a_formula() -> None:
    cells = io.StringIO()
    Csv(cells).write(opened('=HYPERLINK("http://x")', "a"), TWO)
    for row in csv.reader(io.StringIO(cells.getvalue())):
        assert not any(cell.startswith(("=", "+", "@")) for cell in row)
    assert "'=dog" in cells.getvalue()


def test_coco_image_ids_are_the_numbers_of_the_files_else_running() -> None:
    images = io.StringIO()
    with Coco.open(io.StringIO(), images, CATEGORIES) as coco:
        for name in ("a/000000039769.jpg", "garden.jpg", "b/39769.jpg", "7.png", str(FIRST_NUMBER) + ".jpg", "²٣.jpg"):
            coco.write(opened(name), TWO)
    ids = [image["id"] for image in json.loads(images.getvalue())["images"]]
    assert ids == [39769, FIRST_NUMBER, FIRST_NUMBER + 1, 7, FIRST_NUMBER + 2, FIRST_NUMBER + 3]


def test_drawn_images_have_distinct_names_inside_the_folder(tmp_path: Path) -> None:
    writer = DrawnImages(tmp_path / "images")
    below = ["a/x.jpg", "b/x.jpg", "x.jpg", "X.JPG", "x.jpg", "x.tif", "x.tif", "../../evil.jpg", "c:\\d?.png",
             ".hidden.png", "a" * 300 + ".jpg", "ä ß#.jpg", "line\nbreak.jpg", "\udcff.jpg"]  # fmt: skip
    for name in below:
        writer.write(opened(name), TWO)
    written = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert len(written) == len(below)
    expected = {"x.jpg", "a/x.jpg", "b/x.jpg", "X-2.JPG", "x-3.jpg", "x.tif.jpg", "x.tif-2.jpg", "ä ß#.jpg"}
    assert {f"images/{name}" for name in expected} <= set(written)
    assert all(name.startswith("images/") for name in written)
    assert len({name.casefold() for name in written}) == len(below)
    for name in written:
        assert Image.open(tmp_path / name).size == (400, 300), "8 x 6 pixels, enlarged"


def test_an_image_is_never_drawn_over_itself(tmp_path: Path) -> None:
    own = tmp_path / "images" / "x.png"
    own.parent.mkdir()
    own.write_bytes(PNG.getvalue())
    DrawnImages(tmp_path / "images").write(Opened(Found("x.png", own, PurePosixPath("x.png")), keep=False), TWO)
    assert own.read_bytes() == PNG.getvalue()
    assert (tmp_path / "images" / "x-2.png").exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt, CondetrError])
def test_files_are_kept_however_a_run_ends(tmp_path: Path, end: type[BaseException]) -> None:
    def run() -> None:
        with Outputs.open(tmp_path, ("images", "coco", "jsonl", "csv"), CATEGORIES) as outputs:
            outputs.write(opened("a.png"), TWO)
            outputs.skip("b.png", "no such file")
            raise end

    with pytest.raises(end):
        run()
    assert len(json.loads((tmp_path / "coco.json").read_text())) == 2
    assert len(json.loads((tmp_path / "coco_images.json").read_text())["images"]) == 1
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert lines[1] == {"file": "b.png", "error": "no such file"}
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 3
    assert (tmp_path / "images/a.png").exists()
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CondetrError, match="cannot be written"),
        Outputs.open(tmp_path / "file" / "out", ("images",), CATEGORIES),
    ):
        pass


def test_formats() -> None:
    assert parse_formats("coco, CSV") == ("coco", "csv")
    for wrong in ("xml", "", "coco,xml"):
        with pytest.raises(CondetrError, match=r"no such format\. There are images, coco, jsonl, csv"):
            parse_formats(wrong)


def test_the_table_has_a_row_for_each_detection() -> None:
    assert table(TWO).row_count == 2
