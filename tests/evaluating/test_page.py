"""The page of an evaluation: mistakes at the best thresholds, what other thresholds find, weak classes, curves."""

import json
import math
import re
from calendar import month_name
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from condetr.evaluating.class_table import tag
from condetr.evaluating.evaluate import evaluate, evaluate_detections
from condetr.evaluating.evaluation import Evaluation
from condetr.evaluating.page import page, threshold_counts
from condetr.metrics import ClassMetrics
from condetr.metrics.operating_point import OperatingPoint
from condetr.reports.tables import Column, table
from condetr.types import Categories

from .test_evaluate import HOSTILE, folder, weights
from .test_evaluation import moved


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    place = tmp_path_factory.mktemp("page")
    source = weights(place / "w", Categories((1, 2), (HOSTILE, "cat")))
    config = json.loads((source / "config.json").read_text())
    config["thresholds"] = [0.3, 0.4]
    (source / "config.json").write_text(json.dumps(config))
    return evaluate(source, folder(place / "data"), device="cpu")


@pytest.fixture(scope="module")
def html(evaluation: Evaluation) -> str:
    return page(evaluation).html()


def test_the_stored_thresholds_go_by_the_labels_of_the_data_set(evaluation: Evaluation) -> None:
    """The weights have the classes in another order than the data set."""
    categories = evaluation.data.categories
    assert evaluation.stored_thresholds is not None
    assert evaluation.stored_thresholds[categories.names.index("cat")] == 0.4
    assert evaluation.stored_thresholds[categories.names.index(HOSTILE)] == 0.3


def test_what_each_choice_of_thresholds_finds_is_in_the_page(evaluation: Evaluation, html: str) -> None:
    (best, stored, half) = threshold_counts(evaluation)
    assert [name.split(":")[0] for name, _ in (best, stored, half)] == [
        "the best of each class here", "stored in the weights", "0.5",
    ]  # fmt: skip
    totals = [sum(getattr(one, key) for one in evaluation.metrics.by_image) for key in ("correct", "false", "missed")]
    assert [best[1].found, best[1].false, best[1].missed] == totals
    table, scores = evaluation.table, evaluation.table.detected_score
    for values, (name, counts) in (((0.5, 0.5), half), (evaluation.stored_thresholds, stored)):
        assert counts.found + counts.missed == evaluation.metrics.objects
        assert counts.found + counts.false == (scores >= np.array(values)[table.detected_label]).sum()
        assert f">{name.replace(chr(39), '&#x27;')}<" in html


def test_the_mistakes_are_counted_at_the_best_thresholds(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    file = moved(root, tmp_path / "found.json")
    found = json.loads(file.read_text())
    away = [{**one, "bbox": [70, 50, 5, 5], "score": score} for one in found for score in (0.9, 0.001)]
    file.write_text(json.dumps([{**one, "score": 0.5} for one in found] + away))
    evaluation = evaluate_detections(file, root)
    html, errors = page(evaluation).html(), evaluation.metrics.errors
    assert 0 < errors.confident[:5].sum() < errors.counts[:5].sum()
    section = html[html.index(">Error types</h2>") : html.index(">Confusion matrix</h2>")]
    counts = [int(n) for n in re.findall(r'<td class="number" data-key="(\d+)">', section)]
    assert sorted(counts) == sorted(errors.confident.tolist())
    written = evaluation.to_dict()["errors"]["background"]
    assert (written["count"], written["count_at_best_thresholds"]) == (errors.counts[4], errors.confident[4])


def test_weights_with_the_name_of_the_data_set_are_told_apart(evaluation: Evaluation) -> None:
    data = evaluation.data.name
    assert replace(evaluation, name="birds").subject == f"birds on {data}"
    assert replace(evaluation, name=data).subject == f"the weights {data} on {data}"


def test_every_class_opens_its_curves(evaluation: Evaluation, html: str) -> None:
    text = re.search(r'id="classes">(.*?)</script>', html)
    assert text is not None
    data = json.loads(text[1])
    for at, (row, one) in enumerate(zip(data["classes"], evaluation.classes, strict=True)):
        assert f'data-key="class-{at}"' in html
        np.testing.assert_allclose(np.array(row["curve50"]) / 1000, one.precision[0], atol=0.0005)
        np.testing.assert_allclose(np.array(row["curve75"]) / 1000, one.precision[5], atol=0.0005)
        assert row["found"] + row["missed"] == one.objects
    best = threshold_counts(evaluation)[0][1]
    assert sum(row["found"] for row in data["classes"]) == best.found
    assert sum(row["false"] for row in data["classes"] if row["found"]) <= best.false


def test_weak_classes_and_those_with_few_objects_are_marked() -> None:
    def one(objects: int, ap: float) -> ClassMetrics:
        point = OperatingPoint(0.5, ap, ap, ap)
        return ClassMetrics("a", 1, objects, 9, ap, ap, ap, ap, point, np.zeros((10, 101)))

    assert tag(one(100, 0.3), mean=0.4) == ""
    assert tag(one(100, 0.1), mean=0.4) == "weak"
    assert tag(one(5, 0.1), mean=0.4) == "weak, few"
    assert tag(one(100, 0.0004), mean=0.0002) == tag(one(100, 0.0), mean=0.0) == "weak"
    assert "--part" not in table([Column("AP", bar=True)], [[0.0004], [0.0001]])
    assert "--part:1.000" in table([Column("AP", bar=True)], [[0.2], [0.0001]])
    assert tag(one(0, math.nan), mean=0.4) == "no objects"


def test_the_page_says_when_and_with_what_it_was_made(evaluation: Evaluation, html: str) -> None:
    made = evaluation.provenance
    assert made.date.endswith("+00:00")
    time = f"{int(made.date[8:10])}\xa0{month_name[int(made.date[5:7])]}\xa0{made.date[:4]}, {made.date[11:19]} UTC"
    for fact in (time, evaluation.source, made.versions["torch"], "20", "64 pixels, the long side at most 107"):
        assert f">{fact}</td>" in html
    assert f"condetr {made.versions['condetr']}" in html
    assert json.loads(json.dumps(evaluation.to_dict()))["provenance"]["settings"]["queries"] == "20"


def test_the_worst_images_have_a_legend_and_their_captions_name_what_was_missed(html: str) -> None:
    section = unescape(html[html.index(">The worst images</h2>") :])
    for key, name in (("missed", "missed objects"), ("false", "false detections"), ("correct", "correct detections")):
        assert re.search(rf'data-switch="{key}" checked>.*?{name}', section)
    assert re.search(r'class="subtitle">[^<]* · \d+\xa0[A-Z][a-z]+\xa0\d{4} · ', html)  # the date is on one line
    assert re.search(r">data</td><td[^>]*>[^<]* \(COCO\), split", html)
    assert re.search(r"<figcaption>\d<b>\.png: \d+ correct; missed (none|cat|<img)", section)


def test_plots_are_narrow_enough_for_a_phone(html: str) -> None:
    assert max(int(width) for width in re.findall(r"--least:(\d+)px", html)) <= 320


def test_the_report_loads_nothing_and_is_one_file(evaluation: Evaluation, tmp_path: Path) -> None:
    text = evaluation.write(tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    assert "@import" not in text
