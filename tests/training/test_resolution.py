"""Images are enlarged until the model's stride resolves their objects, unless the user sets a size."""

from dataclasses import replace

import pytest

from condetr.config import Config, override
from condetr.datasets.dataset import DataSet, Split
from condetr.examining.examine import examine
from condetr.training.resolution import median_side, resolve_size, size_messages
from tests import generated
from tests.small_run import settings

STRIDE = 8


@pytest.fixture(scope="module")
def near(tmp_path_factory) -> DataSet:
    root = generated.write(tmp_path_factory.mktemp("data") / "shapes", {"train": 8, "valid": 2})
    return examine(root).trainable()


def seen_from(dataset: DataSet, side: int) -> DataSet:
    """The same objects in images of this side."""
    samples = [replace(s, truth=replace(s.truth, size=(side, side))) for s in dataset.split("train")]
    return replace(dataset, splits={**dataset.splits, "train": Split("train", tuple(samples))})


def config(size: int, enlarge: float) -> Config:
    made = settings()
    assert made.model.backbone.stride == STRIDE
    return override(made, {"data.size": size, "data.enlarge": enlarge})


def test_images_are_enlarged_until_half_of_the_objects_are_long_enough(near):
    objects = median_side(near, config(48, 0.0).data)  # in their own pixels
    side = round(64 * objects / 6)  # where objects are 6 pixels at size 64
    far = seen_from(near, side)
    grown = resolve_size(config(64, 1.25), far)
    assert grown == override(grown, {"data.size": 128})  # 64 · 10 / 6 = 107, in steps of 32; and nothing is left to do
    assert median_side(far, config(128, 0.0).data) > 1.25 * STRIDE > median_side(far, config(64, 0.0).data)
    (note,) = size_messages(config(64, 1.25), grown, far)
    assert "images are resized to 128, which takes about 4.0 times as long; `size=64`" in note


def test_images_are_enlarged_at_most_twofold_and_a_better_size_is_suggested(near):
    far = seen_from(near, 4000)
    grown = resolve_size(config(64, 1.25), far)
    assert grown.data.size == 128
    chosen, missing = size_messages(config(64, 1.25), grown, far)
    assert "images are resized to 128" in chosen
    assert f"the model's stride is {STRIDE}: `size=" in missing


def test_large_objects_leave_the_size_unchanged(near):
    assert resolve_size(config(64, 1.25), near).data.size == 64
    assert size_messages(config(64, 1.25), resolve_size(config(64, 1.25), near), near) == []


def test_a_size_that_the_user_sets_is_final(near):
    far = seen_from(near, 4000)
    named = override(config(64, 1.25), {"data.size": 96})
    assert resolve_size(named, far).data.size == 96
    assert override(named, {"data.size": 96, "data.enlarge": 2.0}).data.enlarge == 2.0
    assert resolve_size(config(64, 0.0), far).data.size == 64


def test_in_a_panorama_the_limit_of_the_long_side_decides(near):
    objects, data = median_side(near, config(48, 0.0).data), config(64, 0.0).data
    wide = [replace(s, truth=replace(s.truth, size=(4800, 480))) for s in near.split("train")]
    panoramas = replace(near, splits={**near.splits, "train": Split("train", tuple(wide))})
    assert median_side(panoramas, data) == pytest.approx(objects * round(data.longest * 64) / 4800, rel=0.05)


def test_without_objects_the_size_stays(near):
    bare = replace(near, splits={**near.splits, "train": Split("train", ())})
    assert median_side(bare, config(64, 0.0).data) is None
    assert resolve_size(config(64, 1.25), bare).data.size == 64
    assert size_messages(config(64, 1.25), config(64, 0.0), bare) == []
