"""Grown weights have their queries twice, ten times or nearly so, and the detections that they had."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import condetr
from condetr import config
from condetr.checkpoint import Weights, load, save
from condetr.cli.app import app
from condetr.config import Config, Data
from condetr.errors import CondetrError
from condetr.growing import grow
from condetr.model.query_bias import SCALE, SILENT
from condetr.predicting.predictor import Predictor
from condetr.training.matching_weights import load_matching
from condetr.types import Categories
from tests.tiny import TINY, TINY_DETR, TINY_REFINING, shaken

CATEGORIES = Categories((1, 3), ("cat", "dog"))
IMAGE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)


def weights(model: config.Model) -> Weights:
    detector = shaken(model, 2)
    torch.nn.init.normal_(detector.queries.weight)
    return Weights(detector, Config(model=model, data=Data(size=64)), CATEGORIES, (0.2, 0.4))


@pytest.mark.parametrize("model", [TINY, TINY_DETR, TINY_REFINING], ids=["conditional", "detr", "refining"])
def test_grown_weights_have_the_detections_that_they_had_and_silent_ones(model: config.Model, tmp_path: Path) -> None:
    before = Predictor(weights(model))(IMAGE, threshold=0.0)
    save(tmp_path / "w", weights(model))
    grown = grow(tmp_path / "w", queries=70, out=tmp_path / "grown")
    assert grown.config.model.queries == 70
    assert grown.thresholds == (0.2, 0.4)
    after = Predictor(load(tmp_path / "grown"))(IMAGE, threshold=0.0, max_detections=1000)
    old, new = after[after.queries < 7], after[after.queries >= 7]
    order, same = np.lexsort((old.labels, old.queries)), np.lexsort((before.labels, before.queries))
    np.testing.assert_array_equal(old.queries[order], before.queries[same])
    np.testing.assert_allclose(old.scores[order], before.scores[same], atol=0.01)
    np.testing.assert_allclose(old.boxes[order], before.boxes[same], atol=1.5)
    assert len(new) >= 63
    assert new.scores.max() < 1e-3


def test_training_starts_with_all_grown_queries_and_their_biases() -> None:
    grown = grow(weights(TINY), queries=9)
    bias = grown.detector.query_bias.value  # type: ignore[attr-defined]
    assert (bias[:7] == 0).all()
    assert (bias[7:] == SILENT / SCALE).all()
    fresh = shaken(grown.config.model, 2, seed=1)
    load_matching(grown, fresh, grown.config, CATEGORIES)
    for name in ("queries.weight", "query_bias.value"):
        torch.testing.assert_close(fresh.state_dict()[name], grown.detector.state_dict()[name])
    twice = grow(grown, queries=20).detector.query_bias.value  # type: ignore[attr-defined]
    assert (twice[:9] == bias).all()
    assert (twice[9:] < -0.4).all()


def test_what_cannot_grow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CondetrError, match="`queries=7`: the weights have 7 already"):
        grow(weights(TINY), queries=7)
    (tmp_path / "model.onnx").write_text("onnx")
    with pytest.raises(CondetrError, match=r"model\.onnx: an exported file. Give the folder of weights"):
        condetr.grow(tmp_path / "model.onnx", queries=70)
    (tmp_path / "full").write_text("")
    with pytest.raises(CondetrError, match="exists and is not empty"):
        grow(weights(TINY), queries=70, out=tmp_path / "full")
    with pytest.raises(CondetrError, match=r"model\.queries"):
        grow(weights(TINY), queries=10**6)


def test_on_the_command_line_the_flag_is_named(tmp_path: Path) -> None:
    save(tmp_path / "w", weights(TINY))
    for number, why in (("7", "the weights have 7 already"), ("1000000", "must be at most 10000")):
        words = ["grow", str(tmp_path / "w"), "--queries", number, "--out", str(tmp_path / "grown")]
        failed = CliRunner().invoke(app, words).exception
        assert isinstance(failed, CondetrError)
        assert str(failed).startswith(f"--queries {number}: {why}")
