"""The digits data set is fair (nothing of the test split is trained on), exact (boxes fit the ink) and repeatable."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from condetr.datasets.digits import HEIGHTS, SHARES, STRIPS, draw_digits, make_digits
from condetr.datasets.handwriting import LETTERS, digit_tiles, letter_tile, stamp
from condetr.errors import CondetrError, DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "digits"
    make_digits(folder, 30, 96, 5)
    return folder


def labels(folder, split):
    return json.loads((folder / split / "_annotations.coco.json").read_text())


def test_all_1797_digits_are_included_in_the_order_of_the_source():
    tiles, digits = digit_tiles()
    assert tiles.shape == (1797, 8, 8)
    assert np.bincount(digits).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI optdigits.tes
    assert digits[:10].tolist() == list(range(10))
    np.testing.assert_allclose(tiles[0][0] * 16, [0, 0, 5, 13, 9, 1, 0, 0], atol=1e-9)
    assert set(np.unique((tiles * 16).round(6))) == set(range(17))


@pytest.mark.parametrize("shares", [SHARES, STRIPS])
def test_splits_share_neither_digits_nor_photographs(shares):
    spans = sorted(shares.values())
    assert spans[0][0] == 0.0
    assert spans[-1][1] == 1.0
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_the_layout_is_roboflows_coco(folder):
    for split, count in {"train": 30, "valid": 20, "test": 20}.items():
        whole = labels(folder, split)
        assert len(whole["images"]) == count
        assert [c["name"] for c in whole["categories"]] == list("0123456789")
        assert {p.name for p in (folder / split).iterdir()} == {i["file_name"] for i in whole["images"]} | {
            "_annotations.coco.json"
        }
        assert [a["id"] for a in whole["annotations"]] == list(range(1, len(whole["annotations"]) + 1))
        per_image = np.bincount([a["image_id"] for a in whole["annotations"]], minlength=count + 1)[1:]
        assert set(per_image) <= {1, 2, 3, 4}
        for image in whole["images"]:
            with Image.open(folder / split / image["file_name"]) as opened:
                assert opened.size == (96, 96) == (image["width"], image["height"])
        for note in whole["annotations"]:
            x, y, w, h = note["bbox"]
            assert 0 <= x < x + w <= 96
            assert 0 <= y < y + h <= 96
            assert 0.9 * HEIGHTS[0] * 96 < h < 1.1 * HEIGHTS[1] * 96


def test_sizes_span_a_factor_of_three_and_all_digits_occur():
    drawn = list(draw_digits("train", 150, 96, 0))
    heights = np.concatenate([(one.boxes[:, 3] - one.boxes[:, 1]) for one in drawn])
    assert np.percentile(heights, 99) / np.percentile(heights, 1) > 2.5
    digits = np.concatenate([one.digits for one in drawn])
    assert set(digits) == set(range(10))
    assert len(digits) / 150 > 1.8


def test_images_depend_on_seed_split_and_number_alone():
    few, many = list(draw_digits("train", 3, 64, 1)), list(draw_digits("train", 6, 64, 1))
    for a, b in zip(few, many):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.boxes, b.boxes)
    others = [next(iter(draw_digits("train", 1, 64, 2))), next(iter(draw_digits("test", 1, 64, 1)))]
    assert all(not np.array_equal(few[0].image, other.image) for other in others)


def test_boxes_are_tight_around_the_ink():
    tiles, _ = digit_tiles()
    for seed in range(60):
        random = np.random.default_rng(seed)
        height = random.uniform(20, 60)
        printed = stamp(random, tiles[random.integers(len(tiles))], height)
        inside = np.argwhere(printed.ink > 0.5)
        (top, left), (bottom, right) = inside.min(0), inside.max(0) + 1
        np.testing.assert_allclose(printed.box, [left, top, right, bottom], atol=1.6)
        assert printed.box[3] - printed.box[1] == pytest.approx(height, rel=0.08)


def test_letters_are_as_coarse_as_digits_and_none_is_empty():
    for number in range(len(LETTERS)):
        tile = letter_tile(number)
        assert tile.shape == (8, 8)
        assert 0.1 < tile.mean() < 0.6
        assert set(np.unique(tile * 16)) <= set(range(17))


def test_the_same_data_set_is_kept_and_another_folder_is_refused(folder, tmp_path):
    image = folder / "train" / "00001.jpg"
    before = image.stat().st_mtime_ns
    make_digits(folder, 30, 96, 5)
    assert image.stat().st_mtime_ns == before
    with pytest.raises(DataError, match="not empty"):
        make_digits(folder, 31, 96, 5)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        make_digits(tmp_path, 5, 96, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failure_leaves_no_file(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("condetr.datasets.digits._write_split", broken)
    with pytest.raises(CondetrError, match=r"new: the disk is full\. Free some space and run again$"):
        make_digits(tmp_path / "new", 5, 96, 0)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="Make at least 1 image"):
        make_digits(tmp_path / "new", 0, 96, 0)
