"""The plan's estimates: memory grows with what a step holds, without computing anything."""

import torch

from condetr import config, recipes
from condetr.build import build_detector
from condetr.engine.distributed import SINGLE
from condetr.images.cache import reader
from condetr.training import train
from condetr.training.plan import count, counted, held_memory, process_memory
from tests.small_run import settings


def test_memory_is_four_copies_of_the_weights_and_grows_evenly_with_the_images():
    config = settings(train__ema=0.0)
    few, more, most = (held_memory(config, 2, images, 4) for images in (1, 2, 3))
    assert more > few
    assert abs((most - more) / (more - few) - 1) < 0.05
    fixed = few - (more - few)
    parameters = count(build_detector(config.model, 2))
    assert abs(fixed / (16 * parameters) - 1) < 0.3  # weights, gradients, two moments, and what no image changes
    assert held_memory(config, 2, 2, 2) < more
    with_average = held_memory(settings(train__ema=0.9), 2, 2, 4)
    assert with_average - more == 4 * parameters


def test_frozen_parameters_do_not_count_as_learning():
    with torch.device("meta"):
        detector = build_detector(recipes.recipe("conditional_detr_r50").model, 91)
    assert (count(detector), count(detector, learning=True)) == (43_418_401, 43_196_001)


def test_a_cpu_takes_large_images_one_by_one_and_small_ones_together():
    def at_a_time(size: int, micro_batch: int | None) -> int:
        settled = config.parse({"data": {"size": size}, "train": {"batch": 16}}, "test")
        return train._machine("cpu", None, micro_batch, settled, SINGLE, 1).micro_batch

    assert [at_a_time(size, None) for size in (800, 400, 64)] == [1, 3, 16]
    assert at_a_time(800, 4) == 4


def test_a_process_holds_what_it_has_a_step_twice_and_the_images():
    bare = process_memory(0, 0)
    assert bare > 100 << 20  # python and torch alone
    assert process_memory(1 << 30, 1 << 20) - bare >= (2 << 30) + (1 << 20)


def test_one_is_no_plural():
    assert [counted(1, "epoch"), counted(2, "epoch"), counted(2, "process"), counted(1200, "object")] == [
        "1 epoch", "2 epochs", "2 processes", "1,200 objects"
    ]  # fmt: skip


def test_trainings_at_the_same_time_have_a_share_of_the_cache_each():
    machine = train._machine("cpu", None, None, config.Config(), SINGLE, 4)
    assert reader("memory", machine.cache_shares).budget == reader("memory", 1).budget // 4
