"""`~` is the home folder wherever a path is given, also where a shell leaves it: in `--out=~/x` and in quotes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import condetr
from condetr import cli
from condetr.checkpoint import Weights, save
from condetr.config import Config, Data
from condetr.errors import CondetrError
from condetr.home import text_with_home, with_home
from condetr.types import Categories
from tests.generated import write
from tests.tiny import TINY, shaken


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with weights and two images; the current folder is an empty one."""
    (tmp_path / "home/photos").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    categories = Categories((1, 2, 3), ("square", "bar", "c"))
    weights = Weights(shaken(TINY, 3), Config(model=TINY, data=Data(size=64)), categories, None)
    save("~/weights", weights, "card")
    for i in range(2):
        Image.fromarray(np.full((40, 60, 3), 100 * i, np.uint8)).save(tmp_path / f"home/photos/{i}.png")
    return tmp_path / "home"


def test_a_home_folder_is_put_in_place_of_its_sign_alone(home: Path):
    assert with_home("~/a/b") == home / "a/b"
    assert with_home("~") == home
    assert text_with_home("~/*.png") == str(home / "*.png")
    for name in ("a~", "./~/a", "owner/name", "https://a.example/~me/a.jpg", "~nobody-has-this-name/a"):
        assert text_with_home(name) == name
    Path("~").mkdir()
    Path("~/a").touch()
    assert with_home("~/a") == Path("~/a"), "a file of that name is meant"


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["predict", "~/photos/*.png", "--weights=~/weights", "--out=~/out"], "out/images/1.png"),
        (["predict", "~/photos", "--weights", "~/weights", "--out", "~/out"], "out/images/photos/1.png"),
        (["explain", "~/photos/0.png", "--weights=~/weights", "--threshold=0", "--out=~/ex"], "ex/explain.html"),
        (["convert", "~/weights", "~/copy"], "copy/config.json"),
        (["grow", "~/weights", "--queries", "20", "--out=~/grown"], "grown/config.json"),
    ],
)
def test_every_command_takes_paths_below_the_home_folder(home: Path, words: list[str], written: str):
    result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert (result.exit_code, list(Path().iterdir())) == (0, []), result.output
    assert (home / written).exists()


def test_python_takes_paths_below_the_home_folder(home: Path):
    predictor = condetr.Predictor.load("~/weights")
    alone = predictor("~/photos/1.png", threshold=0.0)
    assert alone.file == str(home / "photos/1.png")
    assert [len(found) for found in (predictor("~/photos", threshold=0.0), predictor("~/photos/*.png"))] == [2, 2]
    assert predictor(Path("~/photos/1.png"), threshold=0.0) == alone
    condetr.convert("~/weights", "~/copy")
    write(home / "data", {"test": 2})
    condetr.evaluate("~/copy", "~/data", split="test", out="~/evaluation")
    assert (home / "evaluation/report.html").exists()
    assert condetr.load("~/copy").categories == predictor.categories
    with pytest.raises(CondetrError, match="no such"):
        predictor("~/photo/1.png")
    assert not list(Path().iterdir())
