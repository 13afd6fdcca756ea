"""`--follow-outside` reaches the data set from every command that opens one."""

import json
import sys
from pathlib import Path

import pytest

from condetr import cli
from tests.labelled import coco_content, write_image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set whose images are in another folder; nothing is labelled, so that no command starts its work."""
    content = coco_content(1, images=1, boxes=0)
    content["images"][0]["file_name"] = str(write_image(tmp_path / "photos" / "1.png", 1))
    for split in ("train", "valid"):
        (tmp_path / "data" / split).mkdir(parents=True)
        (tmp_path / "data" / split / "_annotations.coco.json").write_text(json.dumps(content))
    (tmp_path / "found.json").write_text("[]")
    return tmp_path / "data"


@pytest.mark.parametrize(
    "command",
    [
        ["doctor"],
        ["train", "--recipe", "nano"],
        ["compare", "--models", "conditional_detr,detr"],
        ["evaluate", "--detections", "found.json"],
        ["evaluate", "--weights", "no/weights"],
    ],
    ids=" ".join,
)
def test_every_command_takes_the_permission(command, data, tmp_path, monkeypatch, capsys) -> None:
    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["condetr", command[0], str(data), *command[1:], *words])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        assert exit.value.code == 1
        captured = capsys.readouterr()
        return " ".join((captured.out + captured.err).split())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    refused, permitted = run(), run("--follow-outside")
    assert "outside the data set's folder" in refused or "no image of 'valid' can be used" in refused
    assert "outside the data set's folder" not in permitted
    assert "no image has a labelled object" in permitted or "not one labelled object" in permitted
