"""The predictor: the same alone and in a batch, in order, with bounded reading ahead; a broken image stops no other."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from condetr.checkpoint import Weights, save
from condetr.config import Config, Data
from condetr.detections import Detections
from condetr.errors import CondetrError, ImageError
from condetr.predicting.batching import Scaled, similar
from condetr.predicting.predictor import Predictor
from condetr.predicting.selection import parse_nms
from condetr.types import Categories
from tests.tiny import TINY, TINY_DETR, shaken

CATEGORIES = Categories((1, 3, 4), ("cat", None, "dog"))
SHAPES = [(40, 60), (60, 40), (50, 50), (40, 61), (30, 90), (90, 30), (64, 64)]
IMAGES = [np.random.default_rng(i).integers(0, 256, (*shape, 3), dtype=np.uint8) for i, shape in enumerate(SHAPES)]


@pytest.fixture(scope="module", params=[TINY, TINY_DETR], ids=["conditional", "detr"])
def predictor(request: pytest.FixtureRequest) -> Predictor:
    config = Config(model=request.param, data=Data(size=64))
    return Predictor(Weights(shaken(request.param, 3), config, CATEGORIES, (0.2, 0.5, 0.3)))


def same(a: Detections, b: Detections) -> None:
    assert a.size == b.size
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.queries, b.queries)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)


def test_the_result_is_the_same_alone_and_in_a_batch(predictor: Predictor) -> None:
    together = predictor(IMAGES, threshold=0.0, batch=7)
    assert [result.size for result in together] == [(w, h) for h, w in SHAPES]
    for image, result in zip(IMAGES, together):
        same(predictor(image, threshold=0.0), result)


def test_a_model_with_suppression_predicts_what_it_leaves(predictor: Predictor) -> None:
    model = predictor.config.model.model_copy(update={"nms": 0.3})
    config = predictor.config.model_copy(update={"model": model})
    suppressing = Predictor(Weights(predictor.detector, config, CATEGORIES, (0.2, 0.5, 0.3)))
    for image in IMAGES:
        plain, found = predictor(image, threshold=0.0), suppressing(image, threshold=0.0)
        assert found == plain.suppress(0.3)
        assert len(found) < len(plain)
        assert suppressing(image, threshold=0.0, max_detections=2) == found[:2]
        assert suppressing(image, threshold=0.0, classes="dog") == found.filter("dog")
        assert suppressing(image) == found.filter(min_score=(0.2, 0.5, 0.3))


def test_suppression_is_that_of_the_weights_or_another_one(predictor: Predictor, tmp_path: Path) -> None:
    model = predictor.config.model.model_copy(update={"nms": 0.3})
    config = predictor.config.model_copy(update={"model": model})
    ours, suppressing = (Weights(predictor.detector, one, CATEGORIES, None) for one in (predictor.config, config))
    plain = Predictor(ours)(IMAGES[0], threshold=0.0)
    assert len(plain.suppress(0.3)) <= len(plain.suppress(0.6)) < len(plain)
    for weights, nms, expected in (
        (ours, None, None), (ours, "none", None), (ours, 0.6, 0.6), (ours, np.float64(0.3), 0.3),
        (suppressing, None, 0.3), (suppressing, 0.6, 0.6), (suppressing, "none", None),
    ):  # fmt: skip
        other = Predictor(weights, nms=nms)
        assert other.nms == expected
        assert other(IMAGES[0], threshold=0.0) == (plain if expected is None else plain.suppress(expected))
    save(tmp_path, suppressing, "")
    assert Predictor.load(tmp_path, "cpu").nms == 0.3
    assert Predictor.load(tmp_path, "cpu", nms="none").nms is None


@pytest.mark.parametrize("nms", ["1.5", "nan", "best", "", "0_1", "yes", 2.0, -0.1])
def test_what_is_no_iou_is_refused(nms: str | float) -> None:
    with pytest.raises(CondetrError, match=f"^nms {nms}: must be a number between 0 and 1, or none$"):
        parse_nms(nms)


def test_weights_are_not_loaded_for_a_suppression_that_is_no_iou(tmp_path: Path) -> None:
    with pytest.raises(CondetrError, match=r"^nms 1\.5: "):
        Predictor.load(tmp_path / "nowhere", nms=1.5)


def test_paths_images_and_arrays_are_the_same_image(predictor: Predictor, tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    sources = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        content,
        io.BytesIO(content),
        Image.open(tmp_path / "a.png"),
    ]
    results = predictor(sources, threshold=0.0)
    for result in [*results, predictor(sources[0], threshold=0.0)]:
        same(result, predictor(IMAGES[0], threshold=0.0))


def test_boxes_are_pixels_of_the_image_and_unnamed_labels_are_never_predicted(predictor: Predictor) -> None:
    result = predictor(IMAGES[4], threshold=0.0)
    assert set(result.names) <= {"cat", "dog"}
    assert len(result)
    images = predictor.prepare([IMAGES[4]])
    with torch.inference_mode():
        relative = predictor.detector(images).boxes[-1, 0]
    centre = relative[result.queries, :2].numpy() * [90, 30]
    np.testing.assert_allclose((result.boxes[:, :2] + result.boxes[:, 2:]) / 2, centre, atol=1e-3)


def test_thresholds(predictor: Predictor) -> None:
    everything = predictor(IMAGES[0], threshold=0.0)
    middle = float(np.median(everything.scores))
    some = predictor(IMAGES[0], threshold=middle)
    assert 0 < len(some) < len(everything)
    assert some.scores.min() >= middle
    same(predictor(IMAGES[0], threshold="best"), everything.filter(min_score=(0.2, 0.5, 0.3)))
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(CondetrError, match="between 0 and 1"):
            predictor(IMAGES[0], threshold=wrong)


def test_best_needs_weights_with_thresholds(predictor: Predictor) -> None:
    bare = Predictor(Weights(predictor.detector, predictor.config, CATEGORIES, None))
    with pytest.raises(CondetrError, match="have no thresholds"):
        bare(IMAGES[0], threshold="best")


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_stream_yields_all_sources_in_order_with_an_error_for_each_broken_one(
    predictor: Predictor, batch: int
) -> None:
    sources: list = [*IMAGES, b"junk", Path("missing.png"), *IMAGES, b""]
    results = list(predictor.stream(sources, 0.0, batch))
    assert [source is expected for (source, _), expected in zip(results, sources)] == [True] * len(sources)
    for source, result in results:
        assert isinstance(result, ImageError) == (not isinstance(source, np.ndarray))
        if isinstance(result, Detections):
            assert result.size == (source.shape[1], source.shape[0])


@pytest.mark.parametrize(("batch", "ahead"), [(1, 1), (2, 10)])
def test_a_stream_may_never_end_and_reads_little_ahead(predictor: Predictor, batch: int, ahead: int) -> None:
    requested = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal requested
        while True:
            requested += 1
            yield IMAGES[requested % len(IMAGES)]

    stream = predictor.stream(endless(), 0.0, batch)
    for yielded in range(1, 12):
        next(stream)
        assert requested <= yielded - 1 + ahead
    stream.close()  # type: ignore[attr-defined]


def test_batches_hold_what_is_similar() -> None:
    def one(height: int, width: int) -> Scaled:
        return Scaled(np.zeros((height, width, 3), np.uint8), (width, height))

    window = [one(80, 130), one(130, 80), one(80, 120), one(128, 80), one(82, 130), one(80, 300)]
    assert similar(window, 4) == [0, 4, 2]
    assert similar(window, 2) == [0, 4]
    assert similar(window, 1) == [0]


def test_out_of_memory_halves_the_batch(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = predictor([IMAGES[0]] * 4, threshold=0.0)
    detect, sizes = Predictor.detect, []

    def small_device(self: Predictor, scaled: list[Scaled], limit: int | None, batch: int) -> list[Detections]:
        sizes.append(len(scaled))
        if len(scaled) > 1:
            raise torch.OutOfMemoryError
        return detect(self, scaled, limit, batch)

    monkeypatch.setattr(Predictor, "detect", small_device)
    for result, wanted in zip(predictor([IMAGES[0]] * 4, threshold=0.0), expected):
        same(result, wanted)
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


def test_the_first_bad_image_is_named(predictor: Predictor) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file"):
        predictor([IMAGES[0], "nowhere.png"])
    with pytest.raises(ImageError, match="image 1: expected uint8"):
        predictor([IMAGES[0], IMAGES[0] / 255])


def test_load_reads_saved_weights_and_refuses_others_in_one_line(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "w", Weights(predictor.detector, predictor.config, CATEGORIES, (0.2, 0.5, 0.3)), "a card")
    loaded = Predictor.load(tmp_path / "w", device="cpu")
    assert not loaded.detector.training
    same(loaded(IMAGES[2], threshold=0.0), predictor(IMAGES[2], threshold=0.0))
    (tmp_path / "old.pth").touch()
    with pytest.raises(CondetrError, match="condetr convert"):
        Predictor.load(tmp_path / "old.pth")
    for device in ("abacus", "cuda:99"):
        with pytest.raises(CondetrError, match="no such device"):
            Predictor.load(tmp_path / "w", device=device)


def test_the_plain_detector_gives_the_same_detections(predictor: Predictor) -> None:
    weights = Weights(predictor.detector, predictor.config, CATEGORIES, None)
    plain = Predictor(weights, fast=False)
    for ours, theirs in zip(predictor(IMAGES, threshold=0.0), plain(IMAGES, threshold=0.0)):
        same(ours, theirs)
    with pytest.raises(CondetrError, match="fp32"):
        Predictor(weights, precision="bf16", fast=False)
    with pytest.raises(CondetrError, match="without compile"):
        Predictor(weights, compile=True, fast=False)


def test_without_a_compiler_there_is_one_line(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("condetr.predicting.execution.which", lambda name: None)
    with pytest.raises(CondetrError, match=r"needs a C\+\+ compiler"):
        Predictor(Weights(predictor.detector, predictor.config, CATEGORIES, None), compile=True)


@pytest.mark.slow
def test_the_compiled_detector_gives_the_same_detections(predictor: Predictor, tmp_path: Path) -> None:
    """In a process of its own: the compiler cannot look through the shape checks that hold in this one."""
    save(tmp_path / "w", Weights(predictor.detector, predictor.config, CATEGORIES, None), "card")
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    Image.fromarray(IMAGES[1]).save(tmp_path / "b.png")
    command = [sys.executable, "-m", "condetr.cli", "predict", str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    options = ["--weights", str(tmp_path / "w"), "--device", "cpu", "--threshold", "0", "--format", "jsonl"]
    subprocess.run([*command, *options, "--compile", "--out", str(tmp_path / "out")], check=True, timeout=900)
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    expected = predictor(IMAGES[:2], threshold=0.0)
    assert len(lines) == 2
    for line, result in zip(lines, expected):
        scores = [found["score"] for found in line["detections"]]
        np.testing.assert_allclose(scores, result.scores, atol=1e-3)
