"""The data set of a run: examined by the doctor, with a `valid` split, and identified by a fingerprint."""

from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import Config
from ..datasets.dataset import DataSet, Split
from ..errors import DataError
from ..examining.cache import facts_folder
from ..examining.examine import examine
from ..files import quoted
from ..shapes import Float
from .progress import Examining, Message, Progress

HELD_OUT = 0.15  # of the training images, where a data set has no valid split


def training_data(
    data: Path | str | DataSet, config: Config, progress: Progress, follow_outside: bool = False
) -> DataSet:
    """The data set that `config` trains on: examined unless it is a DataSet already, and with a split `valid`.

    Raises DataError when it cannot be read or has nothing to train on.
    """
    dataset = data if isinstance(data, DataSet) else _examined(Path(data), config, progress, follow_outside)
    if "valid" not in dataset.splits:
        dataset = _with_held_out(dataset, config.train.seed, progress)
    if not any((~sample.truth.crowd).any() for sample in dataset.split("valid")):
        progress(Message("no object in 'valid': nothing is evaluated, and only the last weights are saved"))
    return dataset


def _examined(path: Path, config: Config, progress: Progress, follow_outside: bool) -> DataSet:
    diagnosis = examine(
        path, queries=config.model.queries, follow_outside=follow_outside, cache=facts_folder(),
        progress=lambda done, total: progress(Examining(done, total)),
    )  # fmt: skip
    counts: Counter[str] = Counter()
    for finding in diagnosis.findings:
        defect = finding.defect
        if defect.severity != "note":
            remedy = f": {defect.remedy}" if defect.action == "keep" else ""
            counts[f"{defect.meaning} ({defect.action}){remedy}"] += 1
    for line, number in counts.items():
        progress(Message(f"doctor: {number} × {line}"))
    if counts:
        same = f"`condetr doctor {quoted(path)} --queries {config.model.queries}`"
        if follow_outside:
            same = f"`condetr doctor {quoted(path)} --queries {config.model.queries} --follow-outside`"
        progress(Message(f"doctor: {same} lists the files"))
    return diagnosis.trainable()


def _with_held_out(dataset: DataSet, seed: int, progress: Progress) -> DataSet:
    try:
        dataset = dataset.with_held_out(HELD_OUT, seed)
        message = f"no split 'valid': {len(dataset.split('valid'))} of the training images are held out for it"
    except DataError:
        dataset = replace(dataset, splits={**dataset.splits, "valid": Split("valid", ())})
        message = "no split 'valid', and too few training images to hold any out for it"
    progress(Message(message))
    return dataset


def fingerprint(dataset: DataSet) -> str:
    """A hash of what is trained and evaluated on: file names, image sizes and boxes, but not the folder."""
    digest = blake2b(digest_size=12)
    digest.update(repr((dataset.categories.ids, dataset.categories.names)).encode())
    for name in ("train", "valid"):
        if name in dataset.splits:
            for sample in sorted(dataset.splits[name], key=lambda sample: sample.path.name):
                truth = sample.truth
                digest.update(repr((name, sample.path.name, truth.image_id, truth.size)).encode(errors="replace"))
                for column in (truth.boxes, truth.labels, truth.crowd):
                    digest.update(column.tobytes())
    return digest.hexdigest()


def box_sizes(split: Split) -> Float[Tensor, "M 2"]:
    """The width and height of each object of a split, relative to its image."""
    sizes = [
        (sample.truth.boxes[:, 2:] - sample.truth.boxes[:, :2])[~sample.truth.crowd] / sample.truth.size
        for sample in split
    ]
    return torch.from_numpy(np.concatenate([np.zeros((0, 2)), *sizes]).astype(np.float32))
