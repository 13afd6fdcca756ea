"""What takes long is named at once: before heavy imports, downloads and measurements."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from condetr.cli.streams import announcing
from tests.labelled import write_image

STOPPED_AT_TORCH = """
import runpy, signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "torch": signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
runpy.run_module("condetr", run_name="__main__")
"""
HUB = "microsoft/conditional-detr-resnet-50"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["train", "birds"], "reading birds"),
        (["doctor", "birds"], "reading birds"),
        (["compare", "birds", "--models", "a,b"], "reading birds"),
        (["evaluate", "birds", "--weights", HUB], "reading birds"),
        (["predict", "birds"], f"loading {HUB}"),
        (["explain", "birds"], f"loading {HUB}"),
        (["explain", "birds", "--nms", "0.7"], f"loading {HUB}"),
        (["predict", "birds", "--nms", "0.7", "--threshold", "0.3"], f"loading {HUB}"),
        (["evaluate", "birds", "--weights", HUB, "--nms", "none"], "reading birds"),
        (["export", HUB], f"loading {HUB}"),
        (["convert", HUB, "out"], f"loading {HUB}"),
        (["predict", "birds", "--quiet"], None),
        (["train", "nowhere"], None),
    ],
    ids=str,
)
def test_the_first_line_comes_before_torch_is_imported(words: list[str], line: str | None, tmp_path: Path) -> None:
    write_image(tmp_path / "birds" / "a.png", 1)
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_AT_TORCH, *words], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    lines = [*([f"condetr: {line}"] if line else []), "condetr: interrupted"]
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (130, "", lines)


def test_the_log_is_shown_once_and_by_one_process(monkeypatch, capsys) -> None:
    log = logging.getLogger("condetr.some.module")
    with announcing(quiet=False):
        for text in ("loading a", "loading a", "loading b\x1b[2J"):
            log.info(text)
    for quiet, rank in ((True, "0"), (False, "1")):
        monkeypatch.setenv("RANK", rank)
        with announcing(quiet):
            log.info("loading c")
    log.info("loading d")
    assert capsys.readouterr().err == "condetr: loading a\ncondetr: loading b\\x1b[2J\n"
