"""The estimates before a run: memory follows from the sizes of a step, without computing one."""

import pytest
import torch

from condetr import config, recipes
from condetr.build import build_detector
from condetr.engine.distributed import SINGLE, Processes
from condetr.errors import ConfigError
from condetr.images.cache import reader
from condetr.training.estimates import count_parameters, process_memory, seconds_per_image, step_memory
from condetr.training.machine import choose_machine
from condetr.training.plan import _millions, warmup_note
from tests.small_run import settings


def test_memory_is_four_copies_of_the_weights_and_grows_linearly_with_the_images():
    config = settings(train__ema=0.0)
    few, more, most = (step_memory(config, 2, images, 4) for images in (1, 2, 3))
    assert more > few
    assert abs((most - more) / (more - few) - 1) < 0.05
    fixed = few - (more - few)
    parameters = count_parameters(build_detector(config.model, 2))
    assert abs(fixed / (16 * parameters) - 1) < 0.3  # weights, gradients, two moments, and what no image changes
    assert step_memory(config, 2, 2, 2) < more
    with_average = step_memory(settings(train__ema=0.9), 2, 2, 4)
    assert with_average - more == 4 * parameters


def test_the_memory_of_groups_of_anchors_is_estimated():
    grouped = settings(model__decoder={"kind": "refining"}, model__reference="anchors", train__groups=3)
    assert step_memory(grouped, 2, 1, 4) > step_memory(settings(), 2, 1, 4)


def test_the_memory_of_heads_of_a_single_channel_is_estimated():
    narrow = settings(model__decoder__kind="refining", model__dim=8, model__heads=8, train__denoising=20)
    assert step_memory(narrow, 2, 8, 4) > step_memory(narrow, 2, 1, 4)


def test_the_memory_of_images_is_that_of_the_largest_that_training_makes():
    """At 32 pixels: a share of 0.01 is a side of 1 pixel, and no side is longer than `longest`."""
    sides = [step_memory(settings(data__scales=[scale]), 2, 1, 4) for scale in (0.01, 1.0, 1333 / 800, 64.0)]
    assert sides[0] < sides[1] < sides[2] == sides[3]


def test_frozen_parameters_do_not_count_as_trained():
    with torch.device("meta"):
        detector = build_detector(recipes.recipe("conditional_detr_r50").model, 91)
    assert (count_parameters(detector), count_parameters(detector, trained=True)) == (43_418_401, 43_196_001)


def test_numbers_of_parameters_are_short():
    assert [_millions(number) for number in (0, 49_800, 897_000, 41_500_000)] == ["none", "50 k", "0.9 M", "41.5 M"]


def test_a_cpu_processes_large_images_one_by_one_and_small_ones_together():
    def at_a_time(size: int, micro_batch: int | None) -> int:
        config_ = config.parse({"data": {"size": size}, "train": {"batch": 16}}, "test")
        return choose_machine("cpu", None, micro_batch, config_, SINGLE, 1).micro_batch

    assert [at_a_time(size, None) for size in (800, 400, 64)] == [1, 3, 16]
    assert at_a_time(800, 4) == 4


def test_a_batch_with_fewer_images_than_processes_is_refused():
    eight = Processes(rank=0, world=8, local=0)
    with pytest.raises(ConfigError, match=r"train\.batch=7: fewer images than processes.*`batch=8`"):
        choose_machine("cpu", None, None, settings(train__batch=7), eight)
    assert choose_machine("cpu", None, None, settings(train__batch=8), eight).micro_batch == 1


def test_process_memory_is_the_present_one_plus_two_steps_and_the_images():
    bare = process_memory(0, 0)
    assert bare > 100 << 20  # python and torch alone
    assert process_memory(1 << 30, 1 << 20) - bare >= (2 << 30) + (1 << 20)


def test_the_time_of_a_run_is_measured_on_warm_steps(monkeypatch):
    """A dry run costs 1 s for each image, the first one 100 s more; batches of slow images are not run whole."""
    clock, sizes = [0.0], []
    monkeypatch.setattr("condetr.training.estimates.time.monotonic", lambda: clock[0])

    def measured(seconds: float) -> float:
        def dry_run(images: int) -> None:
            clock[0] += seconds * images + (0 if sizes else 100)
            sizes.append(images)

        return seconds_per_image(dry_run, 4)

    assert (measured(1.0), sizes) == (1.0, [1, 2, 4])
    sizes.clear()
    assert (measured(10.0), sizes) == (10.0, [1, 2])


def test_a_warm_up_of_more_than_a_third_of_the_run_is_reported():
    assert warmup_note(0, 90) == warmup_note(30, 90) == ()
    shorter = "`settings={'train.warmup': 0.05}` makes it shorter"
    assert warmup_note(31, 90) == (f"the warm-up takes 31 of 90 steps: that is more than a third; {shorter}",)
    assert "100 of 90 steps: the learning rate does not reach lr; `settings=" in warmup_note(100, 90)[0]


def test_concurrent_trainings_share_the_cache():
    machine = choose_machine("cpu", None, None, config.Config(), SINGLE, 4)
    assert reader("memory", machine.cache_shares).budget == reader("memory", 1).budget // 4
