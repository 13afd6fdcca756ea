"""docs/python.md runs as it is written, and passes mypy --strict."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from condetr.checkpoint import Weights, save
from condetr.types import Categories
from tests import generated, small_run
from tests.tiny import shaken

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), flags=re.S)
SCRIPT = "\n".join(BLOCKS)
QUICK = f'"nano", settings={small_run.SETTINGS | {"train.epochs": 1}!r}'


def quick() -> str:
    """The script with the smallest model and one epoch, which is all that differs from what the page says."""
    pattern = r'"small"(?:, epochs=50, settings=\{[^}]*\})?(?=[,)])'
    script, count = re.subn(r'(condetr\.train\("my_images/", )' + pattern, lambda m: m[1] + QUICK, SCRIPT)
    assert count == 2
    return script


@pytest.fixture
def here(tmp_path: Path) -> Path:
    generated.write(tmp_path / "my_images", {"train": 12, "valid": 4})
    (tmp_path / "new_images").mkdir()
    for number, image in enumerate(sorted((tmp_path / "my_images" / "valid").glob("*.png"))):
        shutil.copy(image, tmp_path / "new_images" / f"{number}.png")
    config = small_run.settings()
    categories = Categories((1, 2), generated.NAMES)
    save(tmp_path / "weights", Weights(shaken(config.model, 2), config, categories, None))
    return tmp_path


def test_the_page_has_the_example_of_fifteen_lines():
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 15


def test_the_examples_run(here: Path):
    pytest.importorskip("pandas")
    environment = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    script = "import torch\ntorch.set_num_threads(1)\n" + quick()
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=here,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "did you mean 'square'" in done.stdout
    assert (here / "precision_recall.png").exists()
    assert (here / "drawn.png").exists()


def test_the_examples_pass_mypy_strict(here: Path):
    (here / "example.py").write_text(SCRIPT)
    options = ["--strict", "--follow-imports=silent", "--disable-error-code=import-untyped", "--config-file="]
    command = [sys.executable, "-m", "mypy", *options, "--cache-dir", str(here / "cache"), "example.py"]
    environment = os.environ | {"MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
