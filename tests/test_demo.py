"""The demo from end to end, as small as it goes; how good it gets is for `make demo`, which CI runs as `slow`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from condetr.demo import demo
from condetr.recipes import recipe


def condetr(*words: object, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "condetr.cli", *map(str, words)], capture_output=True, text=True, check=False, **more
    )


def test_the_demo_leads_to_a_report(tmp_path):
    done = condetr("demo", "--out", tmp_path / "d", "--images", 20, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    report = re.search(r"the report: (.+report\.html)", done.stdout)
    assert report is not None
    assert "<html" in Path(report[1]).read_text()[:400]
    assert len(list((tmp_path / "d" / "predictions" / "images").rglob("*.*"))) == 8
    again = condetr("demo", "--out", tmp_path / "d")
    assert again.returncode == 1
    assert again.stderr.count("\n") == 2
    assert "not empty" in again.stderr


def test_a_demo_that_does_not_end_leaves_its_folder_as_it_was(tmp_path, monkeypatch):
    def interrupted(folder, *_):
        folder.mkdir(parents=True)
        (folder / "half.png").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("condetr.demo.make_digits", interrupted)
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with pytest.raises(KeyboardInterrupt):
            demo(tmp_path / name, 10, 0, recipe("nano"), lambda event: None, lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not any((tmp_path / "empty").iterdir())


@pytest.mark.slow
@pytest.mark.longest
def test_the_demo_finds_digits_nobody_has_seen(tmp_path):
    """AP50 of at least 0.80 on the test split, as the README states."""
    done = condetr("demo", "--out", tmp_path / "d")
    assert done.returncode == 0, done.stderr
    ap50 = re.search(r"AP50 ([\d.]+)", done.stdout.splitlines()[-4])
    assert ap50 is not None
    assert float(ap50[1]) >= 0.80
