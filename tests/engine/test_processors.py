"""The cores of a process are those of its affinity, on every system, and not more than its container may use."""

import os
from pathlib import Path

import pytest

from condetr.engine import processors
from condetr.engine.processors import cores


def test_cores_are_those_that_the_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "CONTAINER", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_a_container_with_a_limit_on_processor_time_has_fewer_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "CONTAINER", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    for text, expected in {"400000 100000": 4, "150000 100000": 2, "5000 100000": 1, "max 100000": 64, "": 64}.items():
        (tmp_path / "cpu.max").write_text(text)
        assert cores() == expected, text
