"""A bulk run of tiny images in the test's own process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from condetr.bulk_predicting.images import Image
from condetr.bulk_predicting.task import Shards, Task
from condetr.bulk_predicting.workers import Worker
from condetr.checkpoint import save
from tests.serving.served import tiny_weights


def write_images(folder: Path, count: int, seed: int = 0) -> Path:
    """PNG files of many sizes."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        shape = (*(int(side) for side in random.integers(20, 70, 2)), 3)
        Pillow.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{number:04d}.png")
    return folder


def write_weights(folder: Path, seed: int = 0) -> Path:
    save(folder, tiny_weights(seed), "card")
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as parquet

    return parquet.read_table(folder).to_pylist()


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.parquet"))}


class Here(Worker):
    """A worker without a process. `calls` are the names of the images of each call, of all workers."""

    calls: list[list[str]]

    def __init__(self, task: Task) -> None:
        self.task = task
        self.shards: Shards | None = None

    @property
    def running(self) -> bool:
        return self.shards is not None

    def start(self) -> None:
        self.shards = Shards(self.task)

    def call(self, images: Sequence[Image]) -> bytes:
        assert self.shards is not None
        type(self).calls.append([Path(image.name).name for image in images])
        return self.shards.predict(images)

    def stop(self) -> None:
        self.shards = None
