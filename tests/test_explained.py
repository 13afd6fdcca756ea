"""Explanations as files: figures and a page that hold what was asked for, and mistakes that say so in one line."""

import base64
import io
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from condetr.checkpoint import Weights, save
from condetr.config import Config, Data
from condetr.errors import CondetrError
from condetr.explaining.explained import Asked, explain_pictures, point_of
from condetr.explaining.explanation import explain, look
from condetr.explaining.figure import figure, heated, png
from condetr.explaining.page import MOST_DETECTIONS, ExplanationPage
from condetr.predicting.sources import Found
from tests.test_explanation import CATEGORIES, PICTURE, predictor_of
from tests.tiny import TINY, TINY_DETR, shaken

EVERYTHING = Asked(None, None, -1, 0.0)


@pytest.fixture(scope="module")
def predictor():
    return predictor_of(TINY)


@pytest.fixture
def quick(monkeypatch):
    """Figures cost a second each; where the page is in question they are left undrawn."""
    monkeypatch.setattr("condetr.explaining.explained.png", lambda explanation: b"")


@pytest.fixture
def pictures(tmp_path):
    """Two pictures whose names differ only by what files do not distinguish everywhere."""
    found = []
    for name, size in (("a</script>.png", (90, 60)), ("Script_.png", (40, 70))):
        path = tmp_path / name.replace("/", "_")
        Image.fromarray(PICTURE).resize(size).save(path)
        found.append(Found(name, path, PurePosixPath(name)))
    return found


def content(page: Path) -> dict:
    text = re.search(r'<script type="application/json" id="explanation">(.*?)</script>', page.read_text(), re.S)
    return json.loads(text.group(1))


def unpacked(packed: str, *shape: int) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(shape)


def test_the_page_holds_every_map_to_8_bits(predictor, pictures, tmp_path, quick):
    written = explain_pictures(predictor, pictures[:1], EVERYTHING, tmp_path / "out")
    (picture,) = content(written.page)["pictures"]
    scene = look(predictor, pictures[0].read(), 0.0)
    queries = [one["query"] for one in picture["shown"]]
    assert queries == list(dict.fromkeys(scene.detections.queries.tolist()))
    maps = unpacked(picture["maps"], len(queries), 3, 3, TINY.heads, *scene.grid)
    for layer in range(3):
        for i, query in enumerate(queries):
            expected = scene.maps([query], layer)[:, :, 0].numpy()
            peaks = expected.max(axis=(-2, -1), keepdims=True)
            np.testing.assert_allclose(maps[i, layer] / 255, expected / peaks, atol=0.5 / 255 + 1e-4)
            one = scene.explanation(query, int(scene.labels[-1, query]), layer)
            measured = np.array(picture["measured"][i][layer])
            np.testing.assert_array_equal(measured[..., 0], one.looks_at)
            np.testing.assert_allclose(measured[..., 1], 100 * one.inside, atol=0.51)
    encoder = unpacked(picture["encoder"], 2, 6 * 4, *scene.grid)
    np.testing.assert_array_equal(picture["points"], [6, 4])
    first = scene.encoder_maps(1, [(7.5, 7.5)])[0].mean(0)
    np.testing.assert_allclose(encoder[1, 0] / 255, first / first.max(), atol=0.5 / 255 + 1e-4)


def test_the_page_holds_every_querys_answers(predictor, pictures, tmp_path):
    written = explain_pictures(predictor, pictures, Asked(None, None, -1, 1.0), tmp_path / "out")
    data = content(written.page)
    assert written.figures == ()
    assert [one["shown"] for one in data["pictures"]] == [[], []]
    scene = look(predictor, pictures[1].read(), 1.0)
    np.testing.assert_allclose(data["pictures"][1]["boxes"], scene.boxes, atol=0.051)
    np.testing.assert_allclose(data["pictures"][1]["scores"], scene.scores, atol=6e-5)
    assert len(written.remarks) == 2
    assert all("--at X,Y" in remark and "the best is" in remark for remark in written.remarks)


def test_the_page_asks_for_nothing_and_cannot_be_broken_by_a_name(predictor, pictures, tmp_path, quick):
    page = explain_pictures(predictor, pictures, EVERYTHING, tmp_path / "out").page.read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "default-src 'none'" in page
    assert "a</script>" not in page
    scripts = re.findall(r"<script[ >]", page)
    assert len(scripts) == page.count("</script>") == 3


def test_each_detection_has_its_figure(predictor, pictures, tmp_path, quick):
    written = explain_pictures(predictor, pictures, EVERYTHING, tmp_path / "out")
    names = [figure.name for figure in written.figures]
    assert len({name.casefold() for name in names}) == len(names)
    assert set(written.figures) | {written.page} == set((tmp_path / "out").iterdir())
    scene = look(predictor, pictures[0].read(), 0.0)
    assert sum(name.startswith("script_-") for name in names) == min(len(scene.detections), MOST_DETECTIONS)


def test_one_detection_or_one_point_has_one_figure(predictor, pictures, tmp_path, quick):
    one = explain_pictures(predictor, pictures[:1], Asked(1, None, 0, 0.0), tmp_path / "one")
    assert [figure.name for figure in one.figures] == ["script_-detection1-layer0.png"]
    point = explain_pictures(predictor, pictures[:1], Asked(None, (3.0, 4.0), -1, 0.9), tmp_path / "point")
    assert [figure.name for figure in point.figures] == ["script_-at-3-4-layer2.png"]
    data = content(point.page)
    assert data["start"] == {"p": 0, "d": 0, "l": 2, "m": "why", "x": 3, "y": 4}
    nearest = look(predictor, pictures[0].read(), 0.9).nearest((3.0, 4.0), 3)
    assert [one["query"] for one in data["pictures"][0]["shown"]] == [one.query for one in nearest]
    assert not any(one["kept"] for one in data["pictures"][0]["shown"])


def test_detr_has_the_combined_row_alone(tmp_path):
    one = explain(predictor_of(TINY_DETR), PICTURE, threshold=0.0)
    three = explain(predictor_of(TINY), PICTURE, threshold=0.0)
    pixels = [np.asarray(Image.open(io.BytesIO(png(each)))) for each in (one, three)]
    assert pixels[0].shape[1] == pixels[1].shape[1] > 1000
    words = [[text.get_text() for text in figure(each).axes[0].texts] for each in (one, three)]
    assert [sum("in the box" in text for text in each) for each in words] == [TINY.heads, 3 * TINY.heads]
    assert "spatial" not in words[0]
    assert {"spatial", "content", "combined"} < set(words[1])


def test_the_most_attended_place_burns_brightest():
    attention = np.zeros((4, 6), np.float32)
    attention[1, 4] = 1
    glowing = heated(np.zeros((40, 60, 3), np.uint8), attention).sum(-1)
    y, x = np.unravel_index(glowing.argmax(), glowing.shape)
    assert (y // 10, x // 10) == (1, 4)
    assert glowing[35, 5] == glowing.min()


def test_a_large_page_leaves_out_the_last_detections(predictor):
    scene = look(predictor, PICTURE, 0.0)
    page = ExplanationPage(1, CATEGORIES, "")
    page.room = 3 * 3 * 3 * TINY.heads * 4 * 6
    page.add("a", scene, asked=[])
    found = list(dict.fromkeys(scene.detections.queries.tolist()))
    assert [one["query"] for one in page._pictures[0]["shown"]] == found[:3]
    assert page._pictures[0]["left_out"] == len(found) - 3


def test_pictures_that_cannot_be_read_do_not_stop_the_others(predictor, pictures, tmp_path, quick):
    broken = Found("no.jpg", tmp_path / "no.jpg", PurePosixPath("no.jpg"))
    written = explain_pictures(predictor, [broken, pictures[0]], EVERYTHING, tmp_path / "out")
    assert written.refused == (("no.jpg", "no such file"),)
    assert [one["name"] for one in content(written.page)["pictures"]] == ["a</script>.png"]
    assert explain_pictures(predictor, [broken], EVERYTHING, tmp_path / "none").page is None


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (Asked(None, None, 7, 0.0), r"^a</script>.png: layer 7: this decoder has layers 0 to 2"),
        (Asked(None, (91.0, 1.0), -1, 0.0), r"^a</script>.png: at 91,1: outside the picture, which is 90 x 60"),
        (Asked(50, None, -1, 0.0), r"^a</script>.png: detection 50: there are \d+, counted from 0"),
        (Asked(0, (1.0, 1.0), -1, 0.0), "give --detection or --at, not both"),
        (Asked(None, None, -1, 7.0), "threshold 7.0: must be between 0 and 1"),
        (Asked(None, None, -1, "best"), "threshold best: these weights carry none"),
    ],
)
def test_mistakes_are_one_line(predictor, pictures, tmp_path, asked, answer):
    with pytest.raises(CondetrError, match=answer):
        explain_pictures(predictor, pictures[:1], asked, tmp_path / "out")


def test_a_page_has_its_limit(predictor, pictures, tmp_path):
    with pytest.raises(CondetrError, match="25 pictures; a page holds at most 24"):
        explain_pictures(predictor, [pictures[0]] * 25, EVERYTHING, tmp_path / "out")


@pytest.mark.parametrize("word", ["3", "3,x", "1,2,3", ""])
def test_a_point_is_two_numbers(word):
    with pytest.raises(CondetrError, match="write it as X,Y in pixels"):
        point_of(word)
    assert point_of("3, 4.5") == (3.0, 4.5)


def test_the_command_line_explains(pictures, tmp_path):
    config = Config(model=TINY, data=Data(size=64))
    save(tmp_path / "w", Weights(shaken(TINY, 4), config, CATEGORIES, None), card="")
    command = [sys.executable, "-m", "condetr.cli", "explain", str(pictures[0].place), str(tmp_path / "no.png")]
    options = ["--weights", str(tmp_path / "w"), "--out", str(tmp_path / "out"), "--at", "10,10"]
    run = subprocess.run([*command, *options], capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    assert run.stderr.strip().splitlines()[-1] == f"condetr: {tmp_path / 'no.png'}: no such file or folder"
    assert "Traceback" not in run.stderr
    assert run.stdout.strip() == f"1 figure; open {tmp_path / 'out' / 'explain.html'}"
