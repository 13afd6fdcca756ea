"""The tracking example of docs/video.md runs as it is written, with supervision and trackers or with stand-ins."""

import re
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from condetr.checkpoint import Weights, save
from condetr.config import Config, Data
from condetr.types import Categories
from tests.tiny import TINY, shaken
from tests.videos import clips

PAGE = (Path(__file__).parents[2] / "docs" / "video.md").read_text(encoding="utf-8")
(EXAMPLE,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "Tracker" in block)


class Detections:
    """What the example uses of supervision's class."""

    def __init__(self, xyxy: np.ndarray, confidence: np.ndarray, class_id: np.ndarray, data: dict) -> None:
        self.xyxy, self.data, self.tracker_id = xyxy, data, np.full(len(xyxy), -1)

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, str):
            return self.data[which]
        kept = Detections(self.xyxy[which], which, which, {key: value[which] for key, value in self.data.items()})
        kept.tracker_id = self.tracker_id[which]
        return kept


class Tracker:
    """Every second detection is a track."""

    def update(self, detections: Detections, timestamp: float) -> Detections:
        assert isinstance(timestamp, float)
        detections.tracker_id = np.where(np.arange(len(detections.xyxy)) % 2, -1, np.arange(len(detections.xyxy)))
        return detections


class Annotator:
    def annotate(self, scene: np.ndarray, detections: Detections) -> np.ndarray:
        assert (detections.tracker_id >= 0).all()
        return scene


def test_the_tracking_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_spec("supervision") is None or find_spec("trackers") is None:
        supervision, trackers = types.ModuleType("supervision"), types.ModuleType("trackers")
        vars(supervision).update(Detections=Detections, BoxAnnotator=Annotator, TraceAnnotator=Annotator)
        vars(trackers).update(ByteTrackTracker=Tracker)
        monkeypatch.setitem(sys.modules, "supervision", supervision)
        monkeypatch.setitem(sys.modules, "trackers", trackers)
    monkeypatch.chdir(tmp_path)
    categories = Categories((1, 3, 4), ("cat", None, "dog"))
    weights = Weights(shaken(TINY, 3), Config(model=TINY, data=Data(size=64)), categories, None)
    save(Path("runs/birds"), weights, "card")
    clips.write(Path("clip.mp4"), 4)
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 15
    names: dict[str, Any] = {}
    exec(EXAMPLE.replace("threshold=0.1", "threshold=0.0"), names)
    assert names["drawn"].shape == (48, 64, 3)
    assert re.fullmatch(r"[1-9]\d* objects: \[('(cat|dog)'(, )?)+\]\n", capsys.readouterr().out)
