"""Images are added one by one, by several processes, in any order, and with weights of other classes."""

import json
import tracemalloc
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.metrics import BoxTable, Evaluator, match_classes
from condetr.types import Categories

from .scenes import measure, scene
from .tables import THREE, image, table_of


def same(a: BoxTable, b: BoxTable) -> None:
    for name in BoxTable.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(1, 4), st.randoms(use_true_random=False))
def test_tables_of_several_processes_merge_into_the_same_table(seed: int, world: int, shuffle: Random) -> None:
    truths, detections, categories = scene(seed, images=9)
    whole = table_of(truths, detections, categories)
    order = list(range(9))
    shuffle.shuffle(order)
    order += order[: -len(order) % world]  # a sampler that repeats images until every process has as many
    parts = []
    for rank in range(world):
        mine = order[rank::world]
        part = table_of([truths[i] for i in mine], [detections[i] for i in mine], categories)
        parts.append(BoxTable.unpacked(part.packed()))
    same(BoxTable.merge(parts), whole)


def test_a_table_is_unpacked_as_it_was_packed() -> None:
    for seed in range(3):
        part = table_of(*scene(seed))
        same(BoxTable.unpacked(part.packed()), part)
    empty = Evaluator(THREE).table()
    same(BoxTable.unpacked(empty.packed()), empty)


def test_image_ids_above_2_to_the_53_stay_distinct_between_processes() -> None:
    """2^53 and 2^53 + 1 are the same float64."""
    truths, detections, categories = scene(2, images=4)
    ids = [2**53, 2**53 + 1, 2**62 - 1, 2**62 - 2]
    numbered = [type(t)(i, t.size, t.boxes, t.labels, t.crowd, t.areas) for i, t in zip(ids, truths)]
    parts = [table_of(numbered[k:4:2], detections[k:4:2], categories) for k in (0, 1)]
    merged = BoxTable.merge([BoxTable.unpacked(part.packed()) for part in parts])
    assert merged.image_ids.tolist() == sorted(ids)
    same(merged, table_of(numbered, detections, categories))


def test_adding_an_image_twice_is_an_error() -> None:
    truths, detections, categories = scene(1)
    evaluator = Evaluator(categories)
    evaluator.add(truths[0], detections[0])
    with pytest.raises(AssertionError, match="was added before"):
        evaluator.add(truths[0], detections[0])


def test_compacting_many_images_changes_no_number() -> None:
    """The evaluator merges its tables after 1024 images."""
    truths, detections, categories = scene(2, images=20, objects=2, predicted=3)
    numbers = []
    for copies in (1, 100):
        evaluator = Evaluator(categories)
        for copy in range(copies):
            for truth, found in zip(truths, detections):
                numbered = type(truth)(
                    truth.image_id + 1000 * copy, truth.size, truth.boxes, truth.labels, truth.crowd, truth.areas
                )
                evaluator.add(numbered, found)
        numbers.append(evaluator.summary().ar100)
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-9)


def test_classes_are_matched_by_name_whatever_their_numbers() -> None:
    truths, detections, categories = scene(6)
    theirs = Categories((500, 501, 502, 503, 504), ("unknown", *reversed(categories.names)))
    moved = [
        type(found)(found.boxes, found.scores, 4 - found.labels, found.queries, theirs, found.size)
        for found in detections
    ]
    assert measure(truths, moved, categories, 50).to_dict() == measure(truths, detections, categories, 50).to_dict()


def test_detections_of_other_classes_are_left_out_and_objects_of_unknown_classes_are_missed() -> None:
    fox = Categories((1, 2), ("cat", "fox"))
    one = image(1, [("cat", (0, 0, 9, 9)), ("dog", (50, 50, 99, 99))], [("cat", (0, 0, 9, 9), 0.9)], fox)
    other = image(2, [("cat", (0, 0, 9, 9))], [("cat", (0, 0, 9, 9), 0.8), ("fox", (30, 30, 60, 60), 0.99)], fox)
    evaluation = measure(*map(list, zip(one, other)), THREE, 50)
    by_name = {result.name: result for result in evaluation.classes}
    assert by_name["cat"].ap == pytest.approx(1.0)
    assert by_name["dog"].ap == 0.0
    assert np.isnan(by_name["owl"].ap)
    assert evaluation.summary.ap == pytest.approx(0.5)
    assert evaluation.detections == 2


def test_class_names_match_exactly_first_then_in_any_case() -> None:
    ours = Categories((1, 2, 3, 4), ("TV", "tv", None, "Person "))
    theirs = Categories((1, 2, 3, 4, 5), ("tv", None, "person", "car", "TV"))
    assert match_classes(ours, theirs) == (1, -1, 3, -1, 0)


def test_the_dict_has_every_metric_and_undefined_numbers_are_null() -> None:
    truths, detections, categories = scene(2, classes=6)
    few = [
        type(t)(t.image_id, t.size, *(x[t.labels < 5] for x in (t.boxes, t.labels, t.crowd, t.areas))) for t in truths
    ]
    evaluation = measure(few, detections, categories, 50)
    values = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert values["summary"]["AP50"] == evaluation.summary.ap50
    assert values["classes"][5]["ap"] is None
    assert len(values["classes"][0]["precision50"]) == 101
    assert set(values["errors"]) == {"localisation", "class", "both", "duplicate", "background", "missed"}
    assert len(values["by_image"]) == len(truths) == values["images"]


def test_per_class_numbers_average_to_the_summary_and_images_add_up() -> None:
    evaluation = measure(*scene(8, images=30), 50)
    for name in ("ap", "ap50", "ap75"):
        mean = np.nanmean([getattr(result, name) for result in evaluation.classes])
        assert mean == pytest.approx(getattr(evaluation.summary, name), abs=1e-12)
    assert np.nanmean([r.ar for r in evaluation.classes]) == pytest.approx(evaluation.summary.ar100, abs=1e-12)
    assert sum(p.correct + p.missed for p in evaluation.by_image) == evaluation.objects
    found = sum(r.best.recall * r.objects for r in evaluation.classes)
    assert sum(p.correct for p in evaluation.by_image) == pytest.approx(found)


@pytest.mark.slow
def test_memory_grows_by_a_few_kilobytes_per_image() -> None:
    """Neither pixels nor predictions are kept."""
    truths, detections, categories = scene(0, images=10, predicted=30)
    held = []
    for images in (2000, 4000):
        tracemalloc.start()
        evaluator = Evaluator(categories)
        for number in range(images):
            t, d = truths[number % 10], detections[number % 10]
            evaluator.add(type(t)(number, t.size, t.boxes, t.labels, t.crowd, t.areas), d)
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert held[1] / 4000 < 3000
    assert held[1] < 2.2 * held[0]
