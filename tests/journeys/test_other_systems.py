"""Training, resuming, evaluating and predicting without what only Unix has, in any encoding, and without a home."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.labelled import coco_content, write_image
from tests.small_run import SETTINGS

ROOT = Path(__file__).parents[2]


def write_data(folder: Path) -> Path:
    """COCO as a Windows tool writes it: backslashes, a byte order mark, and a name outside ASCII."""
    for number, (split, images) in enumerate((("train", 8), ("valid", 3), ("test", 3))):
        content = coco_content(100 * number + 1, images=images)
        content["categories"][0]["name"] = "vélo Ω"
        for image in content["images"]:
            write_image(folder / split / "images" / image["file_name"], image["id"])
            image["file_name"] = f"{split}\\images\\{image['file_name']}"
        text = json.dumps(content, ensure_ascii=False)
        (folder / split / "_annotations.coco.json").write_text(text, encoding="utf-8-sig")
    return folder


def test_a_project_on_a_system_that_is_not_unix(tmp_path):
    data = write_data(tmp_path / "data")
    settings = [word for path, value in SETTINGS.items() for word in ("--set", f"{path}={value}")]
    train = ["train", data, "--recipe", "nano", "--device", "cpu", "--out", "run", *settings]
    weights = ["--weights", "run", "--device", "cpu"]
    commands = [
        [word.replace("epochs=2", "epochs=1") if isinstance(word, str) else word for word in train],
        [*train, "--resume"],
        ["evaluate", data, *weights, "--out", "evaluation", "--split", "valid"],
        ["predict", data / "test", *weights, "--threshold", "0", "--format", "images,coco,jsonl,csv"],
        ["convert", "run", "converted"],
        ["doctor", data, "--out", "doctor"],
    ]
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "LANG")}
    encodings = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONIOENCODING": "cp1252"}
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.other_system", json.dumps(commands, default=str)], capture_output=True,
        env=kept | encodings | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    shown = done.stdout.decode("cp1252")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert "vélo" in shown
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 3  # the header and two epochs
    lines = (tmp_path / "predictions" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    names = {found["category"] for line in lines for found in json.loads(line)["detections"]}
    assert names == {"vélo Ω", "class 2"}
    assert {"run", "evaluation", "predictions", "converted", "doctor"} <= {file.name for file in tmp_path.iterdir()}
