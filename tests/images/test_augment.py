"""The augmentation is the papers': sizes and boxes of a slow version, Pillow's pixels, the papers' probabilities."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from condetr.build import build_augmentation
from condetr.config import Data, override, parse
from condetr.errors import ImageError
from condetr.images.augment import Plan, resample
from condetr.types import Truth

PAPER = build_augmentation(Data()).augment
SCALES = [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800]


def data(**settings) -> Data:
    return parse({"data": settings}, "test").data


def truth_of(size, boxes, labels=None, crowd=None) -> Truth:
    boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    labels = np.arange(len(boxes)) if labels is None else np.array(labels)
    crowd = np.zeros(len(boxes), dtype=bool) if crowd is None else np.array(crowd)
    return Truth(1, size, boxes, labels, crowd, (boxes[:, 2:] - boxes[:, :2]).prod(1))


def colors(width, height, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def paper_size(width, height, short, longest):
    """DETR's get_size_with_aspect_ratio, reimplemented from facts §4."""
    if longest is not None and max(width, height) / min(width, height) * short > longest:
        short = round(longest * min(width, height) / max(width, height))
    if width < height:
        return short, int(short * height / width)
    return int(short * width / height), short


def slow(pixels, truth, flip, crop_scale, window, scale, longest):
    """Step by step, a box at a time, with Pillow: the oracle."""
    image = Image.fromarray(pixels)
    things = [(list(box), int(label)) for box, label, crowd in zip(truth.boxes, truth.labels, truth.crowd) if not crowd]

    def resized(image, things, size):
        x, y = size[0] / image.width, size[1] / image.height
        things = [([a * x, b * y, c * x, d * y], label) for (a, b, c, d), label in things]
        return image.resize(size, Image.Resampling.BILINEAR), things

    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        things = [([image.width - c, b, image.width - a, d], label) for (a, b, c, d), label in things]
    if crop_scale:
        image, things = resized(image, things, paper_size(*image.size, crop_scale, None))
        left, top, width, height = window
        image = image.crop((left, top, left + width, top + height))
        kept = []
        for (a, b, c, d), label in things:
            a, c = (min(max(v - left, 0), width) for v in (a, c))
            b, d = (min(max(v - top, 0), height) for v in (b, d))
            if c > a and d > b:
                kept.append(([a, b, c, d], label))
        things = kept
    image, things = resized(image, things, paper_size(*image.size, scale, longest))
    w, h = image.size
    boxes = [[(a + c) / 2 / w, (b + d) / 2 / h, (c - a) / w, (d - b) / h] for (a, b, c, d), _ in things]
    return np.array(image), np.array(boxes).reshape(-1, 4), [label for _, label in things]


def test_at_size_800_every_size_is_the_papers():
    assert PAPER.scales == tuple(SCALES)
    assert PAPER.crop_scales == (400, 500, 600)
    assert (PAPER.crop_smallest, PAPER.crop_largest, PAPER.longest) == (384, 600, 1333)


def test_plans_agree_with_a_slow_version():
    random = np.random.default_rng(0)
    crops = 0
    for trial in range(60):
        size = tuple(int(side) for side in random.integers(60, 500, 2))
        low = random.uniform(0, 0.9, (6, 2)) * size
        boxes = np.concatenate([low, low + random.uniform(0.01, 1, (6, 2)) * (np.array(size) - low)], axis=1)
        truth = truth_of(size, boxes, labels=random.integers(0, 9, 6), crowd=random.random(6) < 0.2)
        augment = build_augmentation(data(size=200)).augment
        plan = augment.plan(size, np.random.default_rng([7, trial]))
        image, target = augment(colors(*size), truth, np.random.default_rng([7, trial]))
        assert image.shape[1::-1] == plan.size

        left, top, right, bottom = plan.crop
        cropped = plan.enlarged != size or plan.crop != (0, 0, *size)
        crops += cropped
        found = [
            slow(
                colors(*size), truth, plan.flip, crop_scale, (left, top, right - left, bottom - top), scale,
                augment.longest,
            )
            for crop_scale in (augment.crop_scales if cropped else [None])
            if crop_scale is None or paper_size(*size, crop_scale, None) == plan.enlarged
            for scale in augment.scales
            if paper_size(right - left, bottom - top, scale, augment.longest) == plan.size
        ]  # fmt: skip
        assert found, "no draw of the paper's gives these sizes"
        expected_image, expected_boxes, expected_labels = found[0]
        assert target.labels.tolist() == expected_labels
        np.testing.assert_allclose(target.boxes.numpy(), expected_boxes, atol=1e-6)
        difference = np.abs(image.astype(int) - expected_image.astype(int))
        assert difference.max() <= 3, "two resizes, each at most a level off"
        assert difference.mean() < 0.2
    assert 15 < crops < 45


def test_resampling_is_pillows_to_one_grey_level():
    import torch

    for size in [(97, 61), (300, 200), (640, 427), (33, 500)]:
        for image in (colors(240, 160), np.random.default_rng(1).integers(0, 256, (160, 240, 3), dtype=np.uint8)):
            ours = resample(torch.from_numpy(image), size).numpy().astype(int)
            pillows = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)).astype(int)
            assert np.abs(ours - pillows).max() <= 1
            assert (ours != pillows).mean() < 0.08


def test_probabilities_are_the_papers():
    """10 000 draws for one image: each share within five standard deviations."""
    plans = [PAPER.plan((640, 480), np.random.default_rng([3, i])) for i in range(10_000)]

    def near(share, expected, of):
        assert abs(share / of - expected) < 5 * (expected * (1 - expected) / of) ** 0.5

    near(sum(plan.flip for plan in plans), 0.5, 10_000)
    cropped = [plan for plan in plans if plan.enlarged != (640, 480)]
    near(len(cropped), 0.5, 10_000)
    for width, height in [(533, 400), (666, 500), (800, 600)]:
        near(sum(plan.enlarged == (width, height) for plan in cropped), 1 / 3, len(cropped))
    whole = Counter(plan.size for plan in plans if plan.enlarged == (640, 480))
    assert set(whole) == {paper_size(640, 480, scale, 1333) for scale in SCALES}
    for count in whole.values():
        near(count, 1 / 11, whole.total())

    large = [plan for plan in cropped if plan.enlarged == (800, 600)]
    widths = np.array([plan.crop[2] - plan.crop[0] for plan in large])
    heights = np.array([plan.crop[3] - plan.crop[1] for plan in large])
    for lengths in (widths, heights):
        assert lengths.min() == 384
        assert lengths.max() == 600
        assert abs(lengths.mean() - 492) < 5 * 62.6 / len(large) ** 0.5
    assert abs(np.corrcoef(widths, heights)[0, 1]) < 0.12
    place = np.array([plan.crop[0] / (800 - (plan.crop[2] - plan.crop[0])) for plan in large])
    assert abs(place.mean() - 0.5) < 5 * 0.289 / len(large) ** 0.5


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5),
    st.integers(0, 2**32),
    st.sampled_from([32, 96, 800]),
)
def test_boxes_stay_inside_and_keep_their_labels(size, corners, seed, short):
    boxes = [
        [min(a, c) * size[0], min(b, d) * size[1], max(a, c) * size[0], max(b, d) * size[1]] for a, b, c, d in corners
    ]
    truth = truth_of(size, boxes)
    augment = build_augmentation(data(size=short)).augment
    plan = augment.plan(size, np.random.default_rng(seed))
    relative, which = plan.boxes(truth)
    assert (relative >= 0).all()
    assert (relative <= 1).all()
    assert (relative[:, 2:] > relative[:, :2]).all()
    target = plan.target(truth)
    assert target.labels.tolist() == truth.labels[which].tolist()
    assert target.boxes.shape == (len(which), 4)
    assert min(plan.size) >= 1
    left, top, right, bottom = plan.crop
    sides = right - left, bottom - top
    rounding = 1 + max(sides) / min(sides) / 2  # of the short side, as far as it reaches the long one
    assert max(plan.size) <= augment.longest + rounding
    assert 0 <= left < right <= plan.enlarged[0]
    assert 0 <= top < bottom <= plan.enlarged[1]
    assert np.prod(plan.enlarged) < 40e6 or plan.enlarged == size, "a thin strip must not fill the memory"
    # each box that stays is where its object went: go back through the plan by hand
    for box, index in zip(relative, which):
        x = (left + box[[0, 2]] * (right - left)) * size[0] / plan.enlarged[0]
        x = (size[0] - x)[::-1] if plan.flip else x
        y = (top + box[[1, 3]] * (bottom - top)) * size[1] / plan.enlarged[1]
        assert x[0] >= truth.boxes[index, 0] - 1e-6 * size[0]
        assert x[1] <= truth.boxes[index, 2] + 1e-6 * size[0]
        assert y[0] >= truth.boxes[index, 1] - 1e-6 * size[1]
        assert y[1] <= truth.boxes[index, 3] + 1e-6 * size[1]


def test_an_object_outside_the_crop_is_dropped_and_one_across_its_edge_is_clipped():
    plan = Plan(source=(100, 100), flip=False, enlarged=(200, 200), crop=(100, 0, 200, 100), size=(50, 50))
    truth = truth_of((100, 100), [[0, 0, 40, 40], [40, 10, 60, 30], [50, 0, 50, 50]], labels=[5, 6, 7])
    target = plan.target(truth)
    assert target.labels.tolist() == [6]
    np.testing.assert_allclose(target.boxes.numpy(), [[0.1, 0.4, 0.2, 0.4]], atol=1e-7)


def test_pixels_and_boxes_move_together():
    """A red block on black: wherever the plan takes it, the box is around the red."""
    image = np.zeros((120, 160, 3), dtype=np.uint8)
    image[30:70, 50:110, 0] = 255
    truth = truth_of((160, 120), [[50, 30, 110, 70]])
    augment = build_augmentation(data(size=120)).augment
    seen = 0
    for seed in range(40):
        moved, target = augment(image, truth, np.random.default_rng(seed))
        red = np.argwhere(moved[..., 0] > 127)
        if not len(target.labels):
            assert len(red) == 0
            continue
        seen += 1
        (top, left), (bottom, right) = red.min(0), red.max(0) + 1
        cx, cy, w, h = target.boxes[0].numpy() * np.tile(moved.shape[1::-1], 2)
        np.testing.assert_allclose([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], [left, top, right, bottom], atol=1)
    assert seen > 30


def test_an_image_of_another_size_than_its_labels_is_refused():
    with pytest.raises(ImageError, match="is 20×10 pixels, but its labels assume 10×20"):
        PAPER(np.zeros((10, 20, 3), dtype=np.uint8), truth_of((10, 20), []), np.random.default_rng(0))


def test_nothing_is_done_when_all_chances_are_zero_and_the_size_fits():
    quiet = build_augmentation(data(size=96, flip_chance=0.0, crop_chance=0.0, scales=[1.0])).augment
    image = colors(96, 96)
    moved, target = quiet(image, truth_of((96, 96), [[0, 0, 48, 96]]), np.random.default_rng(0))
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(target.boxes.numpy(), [[0.25, 0.5, 0.5, 1.0]])


def test_one_number_rescales_the_whole_recipe():
    from condetr.config import Config

    half = build_augmentation(override(Config(), {"data.size": 400}).data).augment
    assert half.scales == tuple(scale // 2 for scale in SCALES)
    assert (half.crop_smallest, half.crop_largest) == (192, 300)
