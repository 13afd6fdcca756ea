"""Data sets for the tests of readers and doctor."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.labelled import write_picture


@pytest.fixture
def roboflow(tmp_path: Path) -> Callable[..., Path]:
    """Write `split=content` as train|valid|test/_annotations.coco.json with the pictures they name."""

    def write(**splits: dict[str, Any]) -> Path:
        for seed, (name, content) in enumerate(splits.items()):
            folder = tmp_path / "data" / name
            for i, image in enumerate(content["images"]):
                write_picture(folder / image["file_name"], 1000 * seed + i)
            (folder / "_annotations.coco.json").write_text(json.dumps(content))
        return tmp_path / "data"

    return write
