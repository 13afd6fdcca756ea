"""A run that learned nothing is called so, with ways out that can be typed."""

import io
from pathlib import Path

import pytest
from rich.console import Console

import condetr
from condetr import checkpoint
from condetr.cli.flags import as_typed
from condetr.config import Train
from condetr.evaluating.results import NOTHING_LEARNED
from condetr.evaluating.terminal import tables
from condetr.training.nothing_learned import nothing_learned
from condetr.training.progress import Message
from tests import generated


@pytest.mark.parametrize(
    ("steps", "init", "ways"),
    [
        (3, "imagenet", ["--resume --epochs 167;", "--init microsoft/conditional-detr-resnet-50;"]),
        (9000, "none", ["--resume --epochs 2;", "--lr 3e-05;", "--init microsoft/"]),
        (9000, "microsoft/conditional-detr-resnet-50", ["--resume --epochs 2;", "--lr 3e-05;"]),
    ],
)
def test_the_ways_out_suit_the_run(steps: int, init: str, ways: list[str]) -> None:
    line = as_typed(nothing_learned(0.0012, 1, steps, Train(init=init, lr=1e-4, epochs=1)))
    assert f"nothing was learned in {steps:,} steps: the best AP on valid is 0.001" in line
    assert all(way in line for way in ways)
    assert ("--init" in line) == (init in ("imagenet", "none"))
    assert "\n" not in line


def test_a_run_that_patience_has_ended_is_trained_longer_without_it() -> None:
    line = as_typed(nothing_learned(0.0, 4, 40, Train(epochs=20, patience=3)))
    assert "train longer: --resume --epochs 52 --set train.patience=0;" in line
    assert "--epochs 90 --set train.patience=0;" in as_typed(nothing_learned(0.0, 9, 900, Train(epochs=90, patience=3)))


def test_a_run_that_learned_nothing_says_so_and_saves_no_thresholds(tmp_path: Path) -> None:
    data = generated.write(tmp_path / "shapes", {"train": 2, "valid": 2})
    events: list[object] = []
    settings = {"train.epochs": 1, "data.size": 64, "train.lr": 1e-8}
    run = condetr.train(data, "nano", out=tmp_path / "run", settings=settings, device="cpu", progress=events.append)
    assert run.best_ap is not None
    assert run.best_ap < 0.005
    assert checkpoint.load(run.weights).thresholds is None
    evaluation = condetr.evaluate(run.weights, data, device="cpu", out=tmp_path / "evaluation")
    assert NOTHING_LEARNED in (tmp_path / "evaluation" / "report.html").read_text()
    console = Console(file=io.StringIO(), width=300)
    console.print(tables(evaluation))
    assert NOTHING_LEARNED in console.file.getvalue()  # type: ignore[attr-defined]
    assert [one.text[:18] for one in events if isinstance(one, Message)][-1] == "nothing was learned"[:18]
