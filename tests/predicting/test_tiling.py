"""Tiles: objects of large images are found once, at their place, whatever the batch; small images are not divided."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from condetr.checkpoint import Weights
from condetr.config import Config, Data
from condetr.detections import Detections
from condetr.errors import CondetrError
from condetr.predicting.merging import View, merge
from condetr.predicting.predictor import Predictor
from condetr.predicting.tiling import Tiling
from condetr.runtime.runtime import Runtime, Scaled
from condetr.types import Categories
from tests.tiny import TINY, shaken

CATEGORIES = Categories((1, 2), ("red", "green"))
SIZE = 100  # of the detector's input
SHADES = (255, 200)  # two values, so that a detection's score is the object's own
NO_QUERY = np.empty(0, np.int64)


class Blobs(Runtime):
    """Detects the red and the green rectangles that it sees, also parts of them, from 8 pixels of its input on. The
    score is the brightness."""

    most = None

    def __init__(self) -> None:
        self.batches: list[int] = []

    def detect(
        self, images: Sequence[Scaled], sizes: Sequence[tuple[int, int]], categories: Categories, limit: int | None
    ) -> list[Detections]:
        self.batches.append(len(images))
        return [self._detect(image, size) for image, size in zip(images, sizes)]

    def _detect(self, image: Scaled, size: tuple[int, int]) -> Detections:
        boxes, scores, labels = [], [], []
        ratio = np.array(size * 2) / np.array(image.shape[1::-1] * 2)
        for label in (0, 1):
            for rows, columns in ndimage.find_objects(ndimage.label(image[..., label] > 60)[0]):
                box = (columns.start, rows.start, columns.stop, rows.stop)
                if min(box[2] - box[0], box[3] - box[1]) >= 8:
                    boxes.append(box * ratio)
                    scores.append(image[rows, columns, label].max() / 255)
                    labels.append(label)
        order = np.argsort(-np.array(scores), kind="stable")
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4)[order], np.array(scores, np.float32)[order],
            np.array(labels, np.int64)[order], np.arange(len(order)), CATEGORIES, size,
        )  # fmt: skip


def predictor(tiling: Tiling | None) -> Predictor:
    weights = Weights(shaken(TINY, 2), Config(model=TINY, data=Data(size=SIZE)), CATEGORIES, None)
    made = Predictor(weights, tiling=tiling)
    made.execution = replace(made.execution, runtime=Blobs())
    return made


def drawn(size: tuple[int, int], objects: Sequence[tuple[int, int, int, int, int]]) -> np.ndarray:
    """An image of (width, height) with a rectangle for each (left, top, width, height, label)."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for number, (left, top, width, height, label) in enumerate(objects):
        image[top : top + height, left : left + width, label] = SHADES[number % 2]
    return image


def found(detections: Detections) -> list[tuple[int, ...]]:
    boxes = np.round(np.c_[detections.boxes[:, :2], detections.boxes[:, 2:] - detections.boxes[:, :2]]).astype(int)
    return sorted((*box, label) for box, label in zip(boxes.tolist(), detections.labels.tolist()))


def grid(size: tuple[int, int], side: int, step: int) -> list[tuple[int, int, int, int, int]]:
    places = [(x, y) for y in range(3, size[1] - side, step) for x in range(3, size[0] - side, step)]
    return [(x, y, side, side, number % 2) for number, (x, y) in enumerate(places)]


@pytest.mark.parametrize("size", [(330, 250), (101, 400), (350, 100)])
def test_small_objects_of_a_large_image_are_found_once_and_at_their_place(size: tuple[int, int]) -> None:
    """They lie anywhere: in the middle of a tile, across its border, in the corner where four tiles meet."""
    objects = grid(size, 12, 19)
    image = drawn(size, objects)
    tiled = predictor(Tiling(100, 0.2))(image)
    assert found(tiled) == sorted(objects)
    assert len(predictor(None)(image)) < len(objects) / 2  # too small in the whole image
    assert (np.diff(tiled.scores) <= 0).all()
    assert tiled.size == size


def test_the_default_keeps_all_detections_of_an_image_with_tiles_and_max_detections_the_best() -> None:
    objects = grid((700, 500), 12, 25)
    image = drawn((700, 500), objects)
    assert len(objects) > 300
    tiled = predictor(Tiling(100))
    assert found(tiled(image)) == sorted(objects)
    assert len(tiled(image, max_detections=150)) == 150
    assert tiled(image, max_detections=150) == tiled(image)[:150]
    assert found(tiled(image, classes="green")) == sorted(one for one in objects if one[4] == 1)


def test_an_object_across_a_border_is_the_full_one_of_a_neighbour_or_of_the_whole_image() -> None:
    """Tiles of 100 start at 0, 76, 153 and 230: 18 pixels wide objects at 88 are cut by the first and the second."""
    small, large = (84, 40, 14, 14, 0), (30, 120, 200, 80, 1)
    for size in ((330, 250), (250, 330)):
        result = predictor(Tiling(100, 0.2))(drawn(size, [small, large]))
        assert found(result) == sorted([small, large])


def test_parts_that_no_view_shows_in_full_become_one_box() -> None:
    """A bar that is longer than the overlap, and too thin for the whole image."""
    bar = (60, 40, 70, 8, 0)
    result = predictor(Tiling(100, 0.2))(drawn((330, 250), [bar]))
    assert found(result) == [bar]


def test_objects_in_front_of_others_stay() -> None:
    """A small one inside a large one of its class, which the whole image shows."""
    views = [View((0, 0, 330, 250), 2.5), View((76, 0, 176, 100), 1.0)]
    whole = Detections(
        np.array([[20, 20, 280, 200.0]]), np.array([0.9]), np.array([0]), np.array([3]), CATEGORIES, (330, 250)
    )
    tile = replace(whole, boxes=np.array([[30, 30, 42, 42.0]]), scores=np.array([0.6]), size=(100, 100))
    merged = merge([whole, tile], views, (330, 250), 7)
    assert merged.boxes.tolist() == [[20, 20, 280, 200], [106, 30, 118, 42]]
    assert merged.queries.tolist() == [3, 3 + 7]


@pytest.mark.parametrize(("cut", "full", "kept"), [(0.9, 0.5, 0.5), (0.9, 0.4, 0.9)])
def test_a_full_box_is_preferred_unless_it_is_a_guess(cut: float, full: float, kept: float) -> None:
    views = [View((0, 0, 100, 100), 1.0), View((80, 0, 180, 100), 1.0)]
    none = Detections(np.empty((0, 4)), np.empty(0), NO_QUERY, NO_QUERY, CATEGORIES, (100, 100))
    left = replace(
        none, boxes=np.array([[84, 40, 100, 60.0]]), scores=np.array([cut]), labels=np.array([0]), queries=np.array([0])
    )
    right = replace(left, boxes=np.array([[4, 40, 30, 60.0]]), scores=np.array([full]))
    assert merge([left, right], views, (180, 100), 7).scores.tolist() == [kept]
    assert len(merge([left, replace(right, labels=np.array([1]))], views, (180, 100), 7)) == 2
    assert len(merge([none, none], views, (180, 100), 7)) == 0


def test_an_image_that_fits_into_a_tile_has_the_detections_that_it_has_without_tiles() -> None:
    weights = Weights(shaken(TINY, 2), Config(model=TINY, data=Data(size=64)), CATEGORIES, None)
    image = np.random.default_rng(0).integers(0, 256, (90, 100, 3), dtype=np.uint8)
    plain = Predictor(weights)(image, threshold=0.0)
    assert Predictor(weights, tiling=Tiling(100))(image, threshold=0.0) == plain
    assert Predictor(weights, tiling=Tiling(99))(image, threshold=0.0) != plain


def test_the_detections_do_not_depend_on_the_batch() -> None:
    """To the last bit; and of the same image among others, and read from a file that has to be turned upright."""
    weights = Weights(shaken(TINY, 2), Config(model=TINY, data=Data(size=64)), CATEGORIES, None)
    made = Predictor(weights, tiling=Tiling(64, 0.25))
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((150, 100), (60, 60), (64, 200))]
    alone = [made(image, threshold=0.0, batch=1) for image in images]
    for batch in (2, 3, 8):
        together = made(images, threshold=0.0, batch=batch)
        assert together == alone
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(np.rot90(images[0])).save(buffer, "PNG", exif=exif)
    turned = made(buffer.getvalue(), threshold=0.0)
    assert turned == alone[0]
    assert turned.size == (100, 150)
    assert [crop.shape[2] for crop in turned[:3].crop(images[0])] == [3, 3, 3]


def test_tiles_go_through_the_detector_in_batches_and_images_one_at_a_time() -> None:
    made = predictor(Tiling(100, 0.2))
    made.execution = replace(made.execution, device=torch.device("meta"))  # no CPU, on which tiles go one by one
    read = []

    def source(number: int) -> np.ndarray:
        read.append(number)
        return np.zeros((250, 330, 3), np.uint8)

    for number, _ in enumerate(made.stream(range(8), 0.0, 5, source)):
        assert max(read) <= number + 3
    assert made.runtime.batches == [1, 5, 5, 2] * 8  # type: ignore[attr-defined]


def test_tiles_cover_the_image_and_overlap_enough() -> None:
    for size in ((101, 100), (1000, 777), (4000, 90)):
        for tiling in (Tiling(100), Tiling(100, 0.0), Tiling(100, 0.75)):
            tiles = np.array(tiling.tiles(size))
            covered = np.zeros(size, bool)
            for left, top, right, bottom in tiles:
                covered[left:right, top:bottom] = True
            assert covered.all()
            assert (tiles[:, :2] >= 0).all()
            assert (tiles[:, 2:] <= size).all()
            assert len({(r - l, b - t) for l, t, r, b in tiles.tolist()}) == 1  # noqa: E741
            lefts = np.unique(tiles[:, 0])
            assert (np.diff(lefts) <= round(100 * (1 - tiling.overlap))).all()
    assert Tiling(100).tiles((100, 100)) == ()


@pytest.mark.parametrize(
    ("tile", "overlap", "message"),
    [(31, 0.2, "tile 31: must be at least 32 pixels"), (100, 0.8, "overlap 0.8: must be a number between 0 and 0.75")],
)
def test_a_tiling_that_makes_no_sense_is_refused(tile: int, overlap: float, message: str) -> None:
    with pytest.raises(CondetrError, match=message):
        Tiling(tile, overlap)
