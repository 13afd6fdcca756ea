"""In a notebook, every result is shown as one short line, not as the arrays, labels or layers it holds."""

from pathlib import Path

import pytest

from condetr.checkpoint import Weights
from condetr.config import Config
from condetr.evaluating.evaluate import evaluate
from condetr.examining.examine import examine
from condetr.explaining.explain import explain
from condetr.explaining.head_roles import attention_shares
from condetr.predicting.predictor import Predictor
from condetr.training.run import Run
from condetr.types import Categories
from tests import generated
from tests.small_run import settings
from tests.tiny import shaken


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> list[str]:
    root = generated.write(tmp_path_factory.mktemp("data") / "shapes", {"train": 2, "valid": 2})
    image = next((root / "valid").glob("*.png"))
    config = settings()
    predictor = Predictor(Weights(shaken(config.model, 2), config, Categories((1, 2), generated.NAMES), None))
    evaluation = evaluate(predictor, root)
    diagnosis = examine(root)
    results = [
        predictor, predictor._weights, predictor(image), evaluation, evaluation.metrics, evaluation.classes[0],
        diagnosis, diagnosis.dataset, diagnosis.dataset.split("valid"),
        explain(predictor, image, threshold=0.0), attention_shares(predictor, image, threshold=0.0),
        Run(Path("runs/birds"), Path("runs/birds/best"), (), 0.5, 3, Config()),
        Run(Path("runs/birds"), Path("runs/birds/last"), (), None, None, Config()),
    ]  # fmt: skip
    return [repr(one) for one in results]


def test_every_result_is_one_short_line(shown):
    for line in shown:
        assert "\n" not in line
        assert len(line) < 300, line


def test_the_line_names_what_it_is_and_its_most_important_numbers(shown):
    whole = "\n".join(shown)
    for part in (
        "<Predictor with weights of the recipe nano: 2 classes, device cpu>", "<Weights of the recipe nano: ",
        "<Evaluation of a Predictor in memory on shapes, valid: 2 images, AP ", "<Metrics of 2 images, ",
        "<Diagnosis of ", "2 classes; images: train 2, valid 2>", "<Split valid: 2 images>", "<Explanation of ",
        "<AttentionShares over ", "<Run in runs/birds: 0 epochs, best AP 0.500 in epoch 3>",
        "<Run in runs/birds: 0 epochs>",
    ):  # fmt: skip
        assert part in whole, whole
