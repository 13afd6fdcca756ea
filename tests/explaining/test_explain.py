"""Explanations as files: figures and a page contain what was selected; mistakes are reported in one line."""

import base64
import html
import io
import json
import re
import subprocess
import sys
import weakref
import zlib
from dataclasses import replace
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox
from PIL import Image

from condetr.checkpoint import Weights, save
from condetr.cli.explain import explain as explain_command
from condetr.cli.explain import parse_point
from condetr.cli.stopping import Terminated
from condetr.config import Config, Data
from condetr.errors import CondetrError
from condetr.explaining.explain import explain
from condetr.explaining.explain_images import MOST_IMAGES, Selection, explain_images, file_stem, page_name
from condetr.explaining.explanation import Explanation
from condetr.explaining.extremities import REGIONS
from condetr.explaining.figures import figure, png
from condetr.explaining.head_roles import AttentionShares
from condetr.explaining.page import MOST_DETECTIONS, ExplanationPage
from condetr.explaining.panels import heatmap
from condetr.explaining.recording import record_image
from condetr.predicting.predictor import Predictor
from condetr.predicting.sources import Found
from condetr.types import Categories
from tests.browser import chromium
from tests.explaining.test_explanation import CATEGORIES, IMAGE, predictor_of
from tests.tiny import TINY, TINY_DETR, shaken

EVERYTHING = Selection(threshold=0.0)
BETWEEN = -1.0  # a placeholder for a threshold between the best scores of two images


@pytest.fixture(scope="module")
def predictor():
    return predictor_of(TINY)


@pytest.fixture
def quick(monkeypatch):
    """Skip the drawing of figures, which takes a second each, in tests of the page."""
    monkeypatch.setattr("condetr.explaining.explain_images.png", lambda explanation: b"")


@pytest.fixture
def images(tmp_path):
    """Two images whose figures' names differ only in case, which some file systems ignore."""
    found = []
    for name, size in (("a</script>.png", (90, 60)), ("Script_.png", (40, 70))):
        path = tmp_path / name.replace("/", "_")
        Image.fromarray(IMAGE).resize(size).save(path)
        found.append(Found(name, path, PurePosixPath(name)))
    return found


def content(page: Path) -> dict:
    text = re.search(r'<script type="application/json" id="explanation">(.*?)</script>', page.read_text(), re.S)
    return json.loads(text.group(1))


def unpacked(packed: str, *shape: int) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(shape)


def test_the_page_contains_every_map_with_8_bits(predictor, images, tmp_path, quick):
    written = explain_images(predictor, images[:1], EVERYTHING, tmp_path / "out")
    (image,) = content(written.pages[0])["images"]
    record = record_image(predictor, images[0].read(), 0.0)
    queries = list(dict.fromkeys(record.detections[:MOST_DETECTIONS].queries.tolist()))
    maps = unpacked(image["maps"], len(queries), 3, 3, TINY.heads, *record.grid)
    for layer in range(3):
        for i, query in enumerate(queries):
            expected = record.maps([query], layer)[:, :, 0].numpy()
            peaks = expected.max(axis=(-2, -1), keepdims=True)
            np.testing.assert_allclose(maps[i, layer] / 255, expected / peaks, atol=0.5 / 255 + 1e-4)
            one = Explanation.of(record, query, int(record.labels[-1, query]), layer)
            measured = np.array(image["measured"][i][layer])
            np.testing.assert_array_equal(measured[..., 0], one.peak_regions)
            np.testing.assert_allclose(measured[..., 1], 100 * one.inside, atol=0.51)
    encoder = unpacked(image["encoder"], 2, 6 * 4, *record.grid)
    np.testing.assert_array_equal(image["points"], [6, 4])
    first = record.encoder_maps(1, [(7.5, 7.5)])[0].mean(0)
    np.testing.assert_allclose(encoder[1, 0] / 255, first / first.max(), atol=0.5 / 255 + 1e-4)


def test_the_page_lists_the_detections_of_the_figures(predictor, images, tmp_path, quick):
    written = explain_images(predictor, images[:1], EVERYTHING, tmp_path / "out", figures=True)
    (image,) = content(written.pages[0])["images"]
    found = record_image(predictor, images[0].read(), 0.0).detections[:MOST_DETECTIONS]
    assert len(set(found.queries.tolist())) < len(found), "several predictions of one query"
    shown = image["shown"]
    assert [(one["query"], one["name"]) for one in shown] == list(zip(found.queries.tolist(), found.names))
    assert [one["score"] for one in shown] == pytest.approx(found.scores.tolist())
    assert [one["number"] for one in shown] == list(range(len(written.figures)))
    queries = list(dict.fromkeys(found.queries.tolist()))
    assert [queries[one["maps"]] for one in shown] == found.queries.tolist()
    chosen = explain_images(predictor, images[:1], Selection(3, None, -1, 0.0), tmp_path / "three")
    first = content(chosen.pages[0])["images"][0]["shown"][0]
    assert (first["number"], first["query"], first["name"]) == (3, found.queries[3], found.names[3])


def test_the_page_says_where_an_image_has_no_detection(predictor, images, tmp_path, quick):
    data = content(explain_images(predictor, images[:1], Selection(None, None, -1, 1.0), tmp_path / "none").pages[0])
    assert data["images"][0]["no_detection"] == record_image(predictor, images[0].read(), 1.0).no_detection
    data = content(explain_images(predictor, images[:1], EVERYTHING, tmp_path / "some").pages[0])
    assert data["images"][0]["no_detection"] == ""


def test_detections_are_listed_before_the_script_has_run(predictor, images, tmp_path, quick):
    some = explain_images(predictor, images[:1], EVERYTHING, tmp_path / "some").pages[0].read_text()
    found = record_image(predictor, images[0].read(), 0.0).detections
    first = f"{images[0].relative}: {found.names[0]} {found.scores[0]:.2f}, {found.names[1]}"
    assert html.escape(first) in re.search(r'<div id="explain">.*?</div>', some).group(0)
    none = explain_images(predictor, images[:1], Selection(threshold=1.0), tmp_path / "none").pages[0].read_text()
    assert f"<li>{html.escape(str(images[0].relative))}: no detection reaches" in none


def test_the_page_names_the_confidence_threshold(predictor, images, tmp_path, quick):
    page = explain_images(predictor, images[:1], Selection(0, None, -1, 0.01), tmp_path / "one").pages[0].read_text()
    assert "confidence threshold 0.01" in page
    assert "One detection, decoder layer 2" in page
    weights = Weights(shaken(TINY, 4), Config(model=TINY, data=Data(size=64)), CATEGORIES, (0.1,) * 4)
    best = explain_images(Predictor(weights), images[:1], Selection(None, None, -1, "best"), tmp_path / "best")
    assert "confidence thresholds stored in the weights, one for each class" in best.pages[0].read_text()


def test_the_page_contains_the_predictions_of_every_query(predictor, images, tmp_path):
    written = explain_images(predictor, images, Selection(None, None, -1, 1.0), tmp_path / "out")
    data = content(written.pages[0])
    assert written.figures == ()
    assert [one["shown"] for one in data["images"]] == [[], []]
    record = record_image(predictor, images[1].read(), 1.0)
    np.testing.assert_allclose(data["images"][1]["boxes"], record.boxes, atol=0.051)
    np.testing.assert_allclose(data["images"][1]["scores"], record.scores, atol=6e-5)
    assert len(written.notes) == 2
    assert all("at=(X, Y)" in note and "the highest score is" in note for note in written.notes)


def test_the_page_loads_nothing_from_the_network_and_escapes_names(predictor, images, tmp_path, quick):
    page = explain_images(predictor, images, EVERYTHING, tmp_path / "out").pages[0].read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "default-src 'none'" in page
    assert "a</script>" not in page
    scripts = re.findall(r"<script[ >]", page)
    assert len(scripts) == page.count("</script>") == 5


def test_class_names_with_control_characters_are_harmless_in_page_and_figures(images, tmp_path):
    hostile = Categories((1, 2, 3, 7), ("a\x1b[31m\u202eb", None, "c\x00d", "e\x9bf"))
    weights = Weights(shaken(TINY, 4), Config(model=TINY, data=Data(size=64)), hostile, None)
    one = explain(Predictor(weights), IMAGE, threshold=0.0)
    texts = [text.get_text() for text in figure(one).axes[0].texts]
    written = explain_images(Predictor(weights), images[:1], Selection(threshold=1.0), tmp_path / "out")
    data = content(written.pages[0])
    shown = [*texts, *data["names"], data["images"][0]["no_detection"]]
    assert sum("\ufffd" in text for text in shown) >= 5
    assert not any(re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", text) for text in shown)


def test_every_detection_has_a_figure_where_figures_are_asked_for(predictor, images, tmp_path, quick):
    written = explain_images(predictor, images, EVERYTHING, tmp_path / "out", figures=True)
    assert explain_images(predictor, images, EVERYTHING, tmp_path / "without").figures == ()
    assert [path.name for path in (tmp_path / "without").iterdir()] == ["explain.html"]
    names = [figure.name for figure in written.figures]
    assert len({name.casefold() for name in names}) == len(names)
    assert {*written.figures, *written.pages} == set((tmp_path / "out").iterdir())
    record = record_image(predictor, images[0].read(), 0.0)
    of_one = [name for name in names if name.startswith("script_-")]
    assert len(of_one) == min(len(record.detections), MOST_DETECTIONS) > 10
    assert of_one == sorted(of_one)  # as a folder lists them


def test_pages_are_listed_in_their_order():
    assert [page_name(number, 1) for number in (1, 2)] == ["explain.html", "explain-2.html"]
    assert [page_name(number, 2) for number in (2, 10)] == ["explain-02.html", "explain-10.html"]


def test_a_selected_detection_or_point_has_one_figure(predictor, images, tmp_path, quick):
    one = explain_images(predictor, images[:1], Selection(1, None, 0, 0.0), tmp_path / "one", figures=True)
    assert [figure.name for figure in one.figures] == ["script_-detection1-layer0.png"]
    point = explain_images(
        predictor, images[:1], Selection(None, (3.0, 4.0), -1, 0.9), tmp_path / "point", figures=True
    )
    assert [figure.name for figure in point.figures] == ["script_-at-3-4-layer2.png"]
    data = content(point.pages[0])
    assert data["start"] == {"p": 0, "d": 0, "l": 2, "m": "why", "x": 3, "y": 4}
    nearest = record_image(predictor, images[0].read(), 0.9).nearest((3.0, 4.0), 3)
    assert [one["query"] for one in data["images"][0]["shown"]] == [one.query for one in nearest]
    assert all(one["number"] is None for one in data["images"][0]["shown"])


def test_detr_has_the_combined_row_alone(tmp_path):
    one = explain(predictor_of(TINY_DETR), IMAGE, threshold=0.0)
    three = explain(predictor_of(TINY), IMAGE, threshold=0.0)
    pixels = [np.asarray(Image.open(io.BytesIO(png(each)))) for each in (one, three)]
    assert pixels[0].shape[1] == pixels[1].shape[1] > 1000
    words = [[text.get_text() for text in figure(each).axes[0].texts] for each in (one, three)]
    assert [sum("in the box" in text for text in each) for each in words] == [TINY.heads, 3 * TINY.heads]
    assert "spatial" not in words[0]
    assert {"spatial", "content", "combined"} < set(words[1])


SHAPES = [(90, 160), (120, 160), (160, 160), (160, 120), (160, 90), (10, 1500), (1500, 10)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("at", [None, (5, 5)])
def test_no_texts_of_a_figure_overlap_and_none_leave_it(predictor, shape, at):
    image = np.asarray(Image.fromarray(IMAGE).resize(shape))
    one = explain(predictor, image, at=at, layer=0, threshold=0.999 if at else 0.0)
    one = replace(one, inside=np.ones_like(one.inside), peak_regions=np.full_like(one.peak_regions, len(REGIONS) - 1))
    drawing = figure(replace(one, name="$a name that is longer than any class name should be, and \\frac{"))
    canvas = FigureCanvasAgg(drawing)
    places = [text.get_window_extent(canvas.get_renderer()) for text in drawing.axes[0].texts]
    assert all(place.x0 >= 0 and place.x1 <= drawing.bbox.x1 and place.y0 >= 0 for place in places)
    assert all(Bbox.intersection(a, b) is None for a, b in combinations(places, 2))
    panels = [patch for patch in drawing.axes[0].patches if not patch.get_visible()]
    assert len(panels) == 1 + 3 * TINY.heads
    assert min(min(panel.get_width(), panel.get_height()) for panel in panels) >= 40
    outside = [Bbox.from_extents(*panel.get_window_extent().extents).padded(-1) for panel in panels]
    assert all(Bbox.intersection(a, b) is None for a in places for b in outside)


def test_a_figure_marks_the_given_point_and_names_a_query_that_is_not_a_detection(predictor):
    missed, found = (explain(predictor, IMAGE, at=(80, 55), threshold=threshold) for threshold in (0.999, 0.0))
    words = [" ".join(text.get_text() for text in figure(one).axes[0].texts) for one in (missed, found)]
    assert all("× the given point" in each and "nearest to 80, 55" in each for each in words)
    assert ["below the threshold" in each for each in words] == [True, False]
    crosses = [line for line in figure(missed).axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) == 2 * (1 + 3 * TINY.heads)


def test_a_figure_says_that_the_first_layers_content_includes_positions(predictor):
    words = [
        " ".join(
            text.get_text() for text in figure(explain(predictor, IMAGE, layer=layer, threshold=0.0)).axes[0].texts
        )
        for layer in (0, 1)
    ]
    assert ["include the object query" in each for each in words] == [True, False]


def test_the_cell_with_the_most_attention_is_the_brightest():
    attention = np.zeros((4, 6), np.float32)
    attention[1, 4] = 1
    bright = heatmap(np.zeros((40, 60, 3), np.uint8), attention).sum(-1)
    y, x = np.unravel_index(bright.argmax(), bright.shape)
    assert (y // 10, x // 10) == (1, 4)
    assert bright[35, 5] == bright.min()


def test_a_page_over_budget_leaves_out_the_last_detections(predictor):
    record = record_image(predictor, IMAGE, 0.0)
    page = ExplanationPage(1, CATEGORIES, "")
    page.budget = 3 * 3 * 3 * TINY.heads * 4 * 6
    page.add("a", record, selected=[])
    found = list(dict.fromkeys(record.detections.queries.tolist()))
    shown = [one["query"] for one in page._images[0]["shown"]]
    assert shown == record.detections.queries[: len(shown)].tolist()
    assert list(dict.fromkeys(shown)) == found[:3]
    assert page._images[0]["left_out"] == len(record.detections) - len(shown)


def test_a_page_of_all_detections_keeps_to_its_budget(predictor, images, tmp_path, quick, monkeypatch):
    monkeypatch.setattr("condetr.explaining.page.BUDGET", 2 * 3 * 3 * TINY.heads * 4 * 6)
    (image,) = content(explain_images(predictor, images[:1], EVERYTHING, tmp_path / "out").pages[0])["images"]
    assert len({one["query"] for one in image["shown"]}) == 2
    assert image["left_out"] > 0


def test_an_unreadable_image_does_not_stop_the_others(predictor, images, tmp_path, quick):
    broken = Found("no.jpg", tmp_path / "no.jpg", PurePosixPath("no.jpg"))
    written = explain_images(predictor, [broken, images[0]], EVERYTHING, tmp_path / "out")
    assert written.failed == (("no.jpg", "no such file"),)
    assert [one["name"] for one in content(written.pages[0])["images"]] == ["a</script>.png"]
    assert explain_images(predictor, [broken], EVERYTHING, tmp_path / "none").pages == ()


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        (Selection(None, (60.0, 1.0), -1, 0.0), r"at 60,1: outside the image, which is 40 x 70"),
        (
            Selection(0, None, -1, BETWEEN),
            r"detection 0: no detection reaches the confidence threshold .*; the highest score is 0\.\d{3} \(\w+\)",
        ),
    ],
)
def test_an_image_without_the_selected_detection_or_point_does_not_stop_the_others(
    predictor, images, tmp_path, quick, selection, reason
):
    if selection.threshold is BETWEEN:
        scores = [record_image(predictor, image.read(), 1.0).all_detections.scores[0] for image in images]
        selection = replace(selection, threshold=float(np.mean(scores)))
        images = [images[i] for i in np.argsort(scores)[::-1]]
    written = explain_images(predictor, [images[1], images[0]], selection, tmp_path / "out", figures=True)
    ((name, why),) = written.failed
    assert name == images[1].name
    assert re.match(reason, why)
    assert set((tmp_path / "out").iterdir()) == {*written.pages, *written.figures}
    assert len(written.figures) == 1
    assert [one["name"] for one in content(written.pages[0])["images"]] == [images[0].name]
    alone = explain_images(predictor, [images[1]], selection, tmp_path / "alone")
    assert (alone.pages, alone.failed) == ((), written.failed)
    assert not (tmp_path / "alone").exists()


def test_an_image_without_the_selected_detection_fails(predictor, images, tmp_path):
    written = explain_images(predictor, images[:1], Selection(50, None, -1, 0.0), tmp_path / "out")
    ((_, why),) = written.failed
    assert re.fullmatch(r"detection 50: the image has \d+ detections, and the first is number 0", why)


@pytest.mark.parametrize(("interrupt", "status"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interrupted_run_keeps_its_figures_and_a_page_of_the_images_until_then(
    interrupt, status, predictor, images, tmp_path, monkeypatch, capsys
):
    drawn, out = [], tmp_path / "out"

    def interrupted(explanation):
        drawn.append(explanation)
        if len(drawn) == 3:
            raise interrupt
        return b""

    monkeypatch.setattr("condetr.explaining.explain_images.png", interrupted)
    monkeypatch.setattr("condetr.predicting.predictor.Predictor.load", lambda weights, device, nms: predictor)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(typer.Exit) as ended:
        explain_command([str(images[0].location)], threshold="0", figures=True, out=out)
    assert ended.value.exit_code == status
    output = capsys.readouterr()
    assert output.err == f"condetr: interrupted; kept: {out / 'explain.html'}, 2 figures in {out}\n"
    assert output.out == ""
    assert len(list(out.iterdir())) == 3


def test_progress_counts_images_and_ends_at_their_number(predictor, images, tmp_path, quick):
    reports = []
    broken = Found("no.jpg", tmp_path / "no.jpg", PurePosixPath("no.jpg"))
    explain_images(
        predictor, [*images, broken], EVERYTHING, tmp_path / "out", lambda *report: reports.append(report), True
    )
    done = [number for number, _ in reports]
    assert {total for _, total in reports} == {3}
    assert (done[0], done[-1]) == (0, 3)
    assert done == sorted(done)
    assert {1, 2} < set(done), "also in fractions, for the figures of an image"


def test_at_most_two_images_are_in_memory_at_a_time(predictor, tmp_path, quick, monkeypatch):
    """Of a run over many images only numbers are kept, not the images or their maps."""
    read, alive = [], []

    class Watched(Found):
        def read(self):
            pixels = IMAGE.copy()
            read.append(weakref.ref(pixels))
            alive.append(sum(one() is not None for one in read))
            return pixels

    found = [Watched(f"{i}.png", tmp_path / f"{i}.png", PurePosixPath(f"{i}.png")) for i in range(6)]
    explain_images(predictor, found, EVERYTHING, tmp_path / "out")
    assert len(alive) == 6
    assert max(alive) <= 2


def test_more_images_than_a_page_holds_are_on_pages_that_link_each_other(predictor, images, tmp_path, monkeypatch):
    monkeypatch.setattr("condetr.explaining.explain_images.MOST_IMAGES", 2)
    broken = Found("no.jpg", tmp_path / "no.jpg", PurePosixPath("no.jpg"))
    found = [*images, broken, *images, broken]
    written = explain_images(predictor, found, Selection(threshold=1.0), tmp_path / "out")
    assert [page.name for page in written.pages] == ["explain.html", "explain-2.html"]
    assert [len(content(page)["images"]) for page in written.pages] == [2, 2]
    links = [re.findall(r'<p class="turns">.*?</p>', page.read_text()) for page in written.pages]
    assert [re.findall(r'href="(.*?)"', "".join(one)) for one in links] == [["explain-2.html"], ["explain.html"]]
    assert MOST_IMAGES == 24


def test_the_page_has_the_threshold_of_each_class(images, tmp_path):
    own = Weights(shaken(TINY, 4), Config(model=TINY, data=Data(size=64)), CATEGORIES, (0.1, 0.2, 0.3, 0.9))
    page = explain_images(Predictor(own), images[:1], Selection(), tmp_path / "own").pages[0]
    assert content(page)["thresholds"] == [0.1, 0.2, 0.3, 0.9]
    page = explain_images(Predictor(own), images[:1], Selection(threshold=0.7), tmp_path / "given").pages[0]
    assert content(page)["thresholds"] == [0.7] * 4
    assert '"threshold", "its box"' in page.read_text()


def test_file_names_keep_letters_of_any_script_and_differ_on_any_system():
    taken = set()
    names = ["日本 1", "日本_1", "Größe", "GRÖSSE", "gro\u0308ße", "a\udcff", "../x", "."]
    stems = [file_stem(name, taken) for name in names]
    assert stems == ["日本_1", "日本_1-2", "Größe", "GRÖSSE-2", "größe-3", "a_", "_x", "image"]
    assert len(file_stem("猫" * 300, set()).encode()) <= 80


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems have no such names")
def test_an_image_whose_name_is_not_utf8_is_explained(predictor, images, tmp_path):
    path = tmp_path / "b\udcff\udcfe.png"
    path.write_bytes(images[0].location.read_bytes())
    found = Found(str(path), path, PurePosixPath(path.name))
    written = explain_images(predictor, [found], Selection(0, None, -1, 0.0), tmp_path / "out", figures=True)
    assert [one["name"] for one in content(written.pages[0])["images"]] == ["b\ufffd\ufffd.png"]
    assert [figure.name for figure in written.figures] == ["b__-detection0-layer2.png"]


def test_a_nearly_uniform_map_is_faint_and_called_so(predictor):
    grey = np.full((40, 60, 3), 128, np.uint8)
    flat = np.full((4, 6), 1.0, np.float32)
    flat[1, 4] = 1.05
    peaked = np.zeros((4, 6), np.float32)
    peaked[1, 4] = 1
    colored = [
        np.abs(heatmap(grey, one).astype(int) - heatmap(grey, 0 * one).astype(int)).max() for one in (flat, peaked)
    ]
    assert colored[0] < 0.3 * colored[1]
    one = explain(predictor, IMAGE, threshold=0.0)
    uniform = replace(one, maps=np.full_like(one.maps, 1 / one.maps[0, 0].size))
    words = [text.get_text() for text in figure(uniform).axes[0].texts]
    assert sum("nearly uniform" in word for word in words) == 3 * TINY.heads


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(None, None, 7, 0.0), r"^layer 7: this decoder has layers 0 to 2"),
        (Selection(0, (1.0, 1.0), -1, 0.0), "give `detection` or `at`, not both"),
        (Selection(None, None, -1, 7.0), "threshold 7.0: must be a number between 0 and 1"),
        (Selection(None, None, -1, "best"), "threshold best: these weights have no thresholds"),
    ],
)
def test_invalid_selections_are_reported_in_one_line(predictor, images, tmp_path, selection, message):
    with pytest.raises(CondetrError, match=message):
        explain_images(predictor, images[:1], selection, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("word", ["3", "3,x", "1,2,3", ""])
def test_a_point_on_the_command_line_is_two_numbers(word):
    with pytest.raises(CondetrError, match="write it as X,Y in pixels"):
        parse_point(word)
    assert parse_point("3, 4.5") == (3.0, 4.5)


def test_the_command_line_explains(images, tmp_path):
    config = Config(model=TINY, data=Data(size=64))
    save(tmp_path / "w", Weights(shaken(TINY, 4), config, CATEGORIES, None), card="")
    command = [sys.executable, "-m", "condetr.cli", "explain", str(images[0].location), str(tmp_path / "no.png")]
    options = ["--weights", str(tmp_path / "w"), "--out", str(tmp_path / "out"), "--at", "10,10", "--figures"]
    run = subprocess.run([*command, *options], capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    assert f"condetr: {tmp_path / 'no.png'}: no such file or folder" in run.stderr.splitlines()
    assert "Traceback" not in run.stderr
    assert run.stdout.strip() == f"1 figure; open {tmp_path / 'out' / 'explain.html'}"
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_the_page_fits_a_phone(predictor, images, tmp_path, quick):
    heads = np.ones((3, 8))
    shares = AttentionShares(
        layer=5, parts=("spatial", "content", "combined"), detections=80, inside=heads, border=heads,
        inside_uniform=0.1, border_uniform=0.1, roles=(("elsewhere",) * 8,) * 3, agreement=heads,
        mass_centres=np.zeros((3, 8, 2)), distances=np.zeros((3, 8, 5)),
    )  # fmt: skip
    page = ExplanationPage(1, Categories((1,), ("cat",)), "weights")
    page.save(tmp_path / "explain.html", layer=5, at=None, shares=shares, links={})
    with chromium() as browser:
        phone = browser.new_page(viewport={"width": 390, "height": 844})
        phone.goto((tmp_path / "explain.html").as_uri())
        table = phone.locator(".scroll")
        assert table.inner_text().count("elsewhere") == 24
        assert table.evaluate("element => element.scrollWidth <= element.clientWidth")
        explain_images(predictor, images[1:], EVERYTHING, tmp_path / "out")
        phone.goto((tmp_path / "out" / "explain.html").as_uri())
        phone.wait_for_selector("html[data-ready]")
        for head in phone.locator(".heads button").all_inner_texts():  # no line ends between a number and its unit
            assert re.fullmatch(r"head \d · [a-z ]+\n\d+\xa0% in box", head.strip())
