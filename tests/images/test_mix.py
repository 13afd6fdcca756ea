"""Mosaics and zoomed out images: boxes of a slow version, pixels around them, and nothing where they are off."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from condetr.build import build_augmentation
from condetr.config import parse
from condetr.images.cache import FileReader
from condetr.images.loader import AUGMENTATION, Loader
from condetr.images.mix import Mix, zoomed_out
from condetr.images.training_image import BACKGROUND, Canvas, OneImage
from condetr.types import Sample, Truth

SIZES = [(160, 120), (90, 200), (64, 64), (300, 97)]


def make(folder, number=8, seed=0):
    """Dark images with one bright block for each object, whose red value is its label."""
    random, samples = np.random.default_rng(seed), []
    for i in range(number):
        size = SIZES[i % len(SIZES)]
        pixels = np.zeros((size[1], size[0], 3), np.uint8)
        pixels[..., 2] = 40
        low = np.array([[0.05 + 0.5 * j, 0.1] for j in range(2)]) * size
        boxes = np.concatenate([low, low + random.uniform(0.15, 0.4, (2, 2)) * size], axis=1)
        labels = np.array([2 * i, 2 * i + 1])
        for (x0, y0, x1, y1), label in zip(boxes.round().astype(int), labels):
            pixels[y0:y1, x0:x1] = (100 + 5 * label, 255, 40)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        truth = Truth(i, size, boxes, labels, np.zeros(2, bool), np.ones(2))
        samples.append(Sample(folder / f"{i}.png", truth, i))
    return samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make(tmp_path_factory.mktemp("mix"))


def data(**settings):
    return parse({"data": {"size": 96, **settings}}, "test").data


def load(path, transform):
    return transform(FileReader()(path))


def slow_boxes(canvas: Canvas) -> list[tuple]:
    """Each object on its own: flip, cut the window out, scale to the tile, move to its corner, clip to the tile."""
    found = []
    for tile in canvas.tiles:
        plan, truth = tile.image.plan, tile.image.sample.truth
        for (x0, y0, x1, y1), label in zip(truth.boxes.tolist(), truth.labels.tolist()):
            if plan.flip:
                x0, x1 = plan.source[0] - x1, plan.source[0] - x0
            sx, sy = plan.enlarged[0] / plan.source[0], plan.enlarged[1] / plan.source[1]
            left, top, right, bottom = plan.crop
            zx, zy = plan.size[0] / (right - left), plan.size[1] / (bottom - top)
            x0, x1 = ((x * sx - left) * zx for x in (x0, x1))
            y0, y1 = ((y * sy - top) * zy for y in (y0, y1))
            area = (x1 - x0) * (y1 - y0)
            x0, x1 = (min(max(x, 0), plan.size[0]) for x in (x0, x1))
            y0, y1 = (min(max(y, 0), plan.size[1]) for y in (y0, y1))
            if x1 - x0 < 2 or y1 - y0 < 2 or (x1 - x0) * (y1 - y0) < 0.2 * area:
                continue
            (x, y), (w, h) = tile.corner, canvas.size
            found.append((label, [(x + x0) / w, (y + y0) / h, (x + x1) / w, (y + y1) / h]))
    return found


@pytest.mark.parametrize("kind", ["mosaic", "zoomed out"])
def test_boxes_agree_with_a_slow_version_and_with_the_pixels(samples, kind):
    settings = data(scales=(0.8, 1.0, 1.2))
    augmentation = build_augmentation(settings)
    mix, dropped, seen = Mix(samples, augmentation), 0, 0
    for trial in range(40):
        random = np.random.default_rng(trial)
        sample = samples[trial % len(samples)]
        if kind == "mosaic":
            canvas = mix.mosaic(sample, random)
            assert sample in [tile.image.sample for tile in canvas.tiles]
        else:
            canvas = zoomed_out(OneImage(sample, augmentation.augment.plan(sample.truth.size, random)), random)
        expected = slow_boxes(canvas)
        boxes, labels = canvas.boxes()
        assert labels.tolist() == [label for label, _ in expected]
        np.testing.assert_allclose(boxes, np.array([box for _, box in expected]).reshape(-1, 4), atol=1e-9)
        dropped += sum(len(tile.image.sample.truth) for tile in canvas.tiles) - len(labels)

        covered = np.zeros(canvas.size[::-1], int)
        for tile in canvas.tiles:
            (left, top), (width, height) = tile.corner, tile.image.size
            covered[top : top + height, left : left + width] += 1
        assert (covered == 1).all() if kind == "mosaic" else covered.max() == 1
        pixels = canvas.pixels(load)
        assert pixels.shape == (canvas.size[1], canvas.size[0], 3)
        assert (pixels[covered == 0] == BACKGROUND).all()
        for label, (x0, y0, x1, y1) in expected:
            middle = pixels[int((y0 + y1) / 2 * canvas.size[1]), int((x0 + x1) / 2 * canvas.size[0])]
            if min((x1 - x0) * canvas.size[0], (y1 - y0) * canvas.size[1]) > 6:
                seen += 1
                assert middle.tolist() == pytest.approx([100 + 5 * label, 255, 40], abs=2)
    assert seen > 60
    assert dropped > 5


def test_a_tile_is_as_large_as_its_image_alone_or_down_to_half_and_fills_its_place(samples):
    settings = data(scales=(1.0,), mosaic_smallest=0.5)
    mix = Mix(samples, build_augmentation(settings))
    sizes = []
    for trial in range(100):
        for tile in mix.mosaic(samples[trial % 8], np.random.default_rng(trial)).tiles:
            plan = tile.image.plan
            window = np.array(plan.crop[2:]) - plan.crop[:2]
            usual = min(96 / min(plan.source), 160 / max(plan.source))
            factor = np.array(plan.size) / window / usual
            assert abs(factor[0] / factor[1] - 1) < 0.2  # rounded to whole pixels of the source
            fills = (window == plan.source).any()
            assert fills or 0.45 < factor.min() <= factor.max() < 1.1
            sizes.append(factor.mean())
    assert 0.7 < np.mean(sizes) < 0.9


def everything(loader, epoch):
    return {
        batch.samples[i].path.name: (batch.pixels[i].numpy().tobytes(), batch.targets[i].boxes.tolist(), batch.sizes[i])
        for batch in loader.epoch(epoch)
        for i in range(len(batch))
    }


def loader(samples, epochs=10, batch=1, **settings):
    return Loader(samples, build_augmentation(data(**settings)), 3, batch, epochs=epochs, read=FileReader(), workers=0)


def test_the_papers_augmentation_is_the_same_where_the_others_are_off_or_closed(samples):
    plain = everything(loader(samples), 6)
    assert everything(loader(samples, mosaic_chance=1.0, zoom_out_chance=1.0, close_at=0.6), 6) == plain
    mosaics = everything(loader(samples, mosaic_chance=1.0, zoom_out_chance=1.0, close_at=0.6), 5)
    assert mosaics != everything(loader(samples), 5)
    half = [everything(loader(samples, mosaic_chance=0.5), epoch) for epoch in range(10)]
    same = sum(
        a == b for epoch in range(10) for a, b in zip(half[epoch].values(), everything(loader(samples), epoch).values())
    )
    assert 20 < same < 60, "an image that is in no mosaic is augmented as without mosaics"


def test_mosaic_depends_on_seed_epoch_and_image_alone(samples):
    settings = {"mosaic_chance": 0.7, "zoom_out_chance": 0.5, "color": 1.0}
    found = everything(loader(samples, **settings), 2)
    assert everything(loader(samples[::-1], **settings), 2) == found
    assert everything(loader(samples, **settings), 1) != found
    counts = [batch.object_counts.counts for batch in loader(samples, batch=4, **settings).epoch(2)]
    assert [tuple(len(t.labels) for t in b.targets) for b in loader(samples, batch=4, **settings).epoch(2)] == counts


def test_an_image_too_small_or_too_long_for_a_mosaic_still_trains(tmp_path):
    samples = make(tmp_path, 4)
    long = Image.fromarray(np.zeros((2, 3000, 3), np.uint8))
    long.save(tmp_path / "0.png")
    truth = samples[0].truth
    samples[0] = replace(
        samples[0], truth=replace(truth, size=(3000, 2), boxes=np.array([[0, 0, 9, 2], [1500.0, 0, 3000, 2]]))
    )
    for epoch in range(10):
        assert len(everything(loader(samples, mosaic_chance=1.0), epoch)) == 4


def test_the_plan_of_the_image_itself_has_its_own_random_numbers(samples):
    sample = samples[1]
    key = [3, 4, AUGMENTATION, sample.truth.image_id]
    expected = build_augmentation(data()).augment.plan(sample.truth.size, np.random.default_rng(key))
    assert loader(samples, color=1.0).image(4, sample).image.plan == expected
