"""How large images must be for a model to see what is in them: the size a run takes, from its config and its data."""

from math import ceil

import numpy as np

from ..config import Config, Data, override
from ..datasets.dataset import DataSet
from ..images.prepare import Prepare

STEP = 32  # pixels: sizes are multiples of it, as the papers' are
AT_MOST = 2.0  # times as long a side, which takes four times as long
ROOM = 1.25  # strides that half of the objects should be long: a little more than the one that the model sees at a time


def sized(config: Config, dataset: DataSet) -> Config:
    """The config with its `data.enlarge` carried out: `data.size` is final, and `data.enlarge` 0."""
    size, wanted = config.data.size, config.data.enlarge * config.model.backbone.stride
    middle = typical_side(dataset, config.data)
    if middle is not None and middle < wanted:
        size = int(min(4096, AT_MOST * size, _rounded(size * wanted / middle)))
    return config if not wanted else override(config, {"data.size": size, "data.enlarge": 0.0})


def notes(asked: Config, settled: Config, dataset: DataSet) -> list[str]:
    """What a person should know about the size, in lines: that it was chosen, and that it is too small."""
    size, stride = settled.data.size, settled.model.backbone.stride
    before, middle = typical_side(dataset, asked.data), typical_side(dataset, settled.data)
    if before is None or middle is None:
        return []
    told = []
    if size != asked.data.size:
        told.append(
            f"half of the objects are smaller than {before:.0f} pixels at size {asked.data.size}: images are taken "
            f"at {size}, about {(size / asked.data.size) ** 2:.1f} times the work; --size {asked.data.size} takes "
            "them as they were"
        )
    if middle < stride:
        better = min(4096, _rounded(size * ROOM * stride / middle))
        told.append(
            f"half of the objects are smaller than {middle:.0f} pixels at size {size}, and the model sees {stride} at "
            f"a time: --size {better} would show them, and take about {(better / size) ** 2:.1f} times as long"
        )
    return told


def typical_side(dataset: DataSet, data: Data) -> float | None:
    """The median of the objects' √area, in pixels of the training images as the detector takes them; None without
    objects."""
    seen = []
    for sample in dataset.split("train"):
        truth, (width, _) = sample.truth, sample.truth.size
        scale = Prepare.of(data).fit(truth.size)[0] / width
        seen.append(np.sqrt((truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(-1))[~truth.crowd] * scale)
    return max(0.1, float(np.median(np.concatenate(seen)))) if any(map(len, seen)) else None


def _rounded(size: float) -> int:
    return ceil(size / STEP) * STEP
