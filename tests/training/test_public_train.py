"""`condetr.train`: the command's defaults in one call, and a result that can be plotted."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from condetr.checkpoint import load
from condetr.config import Config, parse
from condetr.errors import ConfigError
from condetr.evaluating.evaluate import evaluate
from condetr.predicting.predictor import Predictor
from condetr.training.run_folder import RunFolder
from condetr.training.train import train
from tests import generated
from tests.small_run import SETTINGS


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)


@pytest.fixture
def root(tmp_path) -> Path:
    return generated.write(tmp_path / "shapes", {"train": 8, "valid": 4})


def test_a_run_has_its_folder_weights_and_curves(root, capsys):
    run = train(root, "nano", seed=3, settings=SETTINGS | {"train.clip": 0.2})
    assert run.folder == Path("runs/shapes")
    assert run.weights == run.folder / "best"
    assert Predictor.load(run).categories.names == load(run.weights).categories.names
    assert evaluate(run, root, split="valid").source == str(run.weights)
    assert (run.config.train.seed, run.config.train.clip, run.config.recipe) == (3, 0.2, "nano")
    assert [epoch.epoch for epoch in run.epochs] == [1, 2]
    assert all(epoch.lr > 0 and epoch.loss > 0 and epoch.ap is not None for epoch in run.epochs)
    assert run.best_ap == run.epochs[run.best_epoch - 1].ap == max(epoch.ap for epoch in run.epochs)
    assert capsys.readouterr() == ("", "")


def test_a_setting_given_twice_is_refused(root):
    with pytest.raises(ConfigError, match=r"train\.epochs: given twice, as `epochs` and among the settings"):
        train(root, "nano", epochs=1, settings=SETTINGS)


def test_saved_weights_have_no_local_path_and_the_run_resumes_with_it(root, tmp_path):
    first = train(root, "nano", out=tmp_path / "first", settings=SETTINGS)
    for init, name in ((first.weights, "first/best"), (first.folder / "last", "first/last")):
        out = tmp_path / f"from-{init.name}"
        run = train(root, out=out, init=init, settings=SETTINGS)
        for saved in ("best", "last"):
            for file in ("config.json", "README.md"):
                text = (out / saved / file).read_text()
                assert str(tmp_path) not in text
                assert name in text
            assert parse(json.loads((out / saved / "config.json").read_text())["config"], "x").train.init == name
        assert RunFolder(out).saved_config().train.init == str(init)
        again = train(root, out=out, init=init, settings=SETTINGS, resume=True)
        assert again.epochs == run.epochs
        assert train(root, out=out, resume=True).epochs == run.epochs


def test_a_whole_config_can_be_trained(root, tmp_path):
    config = Config.model_validate(train(root, "nano", out=tmp_path / "a", settings=SETTINGS).config.model_dump())
    again = train(root, config, out=tmp_path / "b")
    assert load_file(again.folder / "last" / "model.safetensors").keys()
    assert again.config == config
