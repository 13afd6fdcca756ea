"""Compares the time from JPEG files to padded batches with targets, on one core, with transformers' image processor.

    python -m benchmarks.loading [--images FOLDER] [--rounds 9] [--quick]

Both decode with Pillow, scale the short side to 800 (the long one to at most 1333), normalise, pad batches of four, and
make masks and relative cxcywh boxes. That is "the same work"; others add the flips, scales and crops of the papers.
The peer is the faster of transformers' two processors. Without `--images`, photographs of the package are enlarged to
640 pixels, the usual size in COCO. Times are CPU times, which other processes affect less.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
import torch
from PIL import Image

from benchmarks.pairing import HEADER, Work, options, row, seconds
from condetr.build import build_augmentation, build_prepare
from condetr.config import Data, parse
from condetr.datasets.digits import PHOTOS
from condetr.images.cache import CachedReader, FileReader
from condetr.images.loader import EvaluationLoader, Loader
from condetr.images.prepare import image_size
from condetr.types import Sample, Truth

BATCH = 4


def samples(files: list[Path]) -> list[Sample]:
    made = []
    for number, file in enumerate(files):
        width, height = image_size(file)
        boxes = np.array([[0.1, 0.2, 0.5, 0.9], [0.4, 0.1, 0.9, 0.6]]) * [width, height, width, height]
        truth = Truth(number, (width, height), boxes, np.array([0, 1]), np.zeros(2, dtype=bool), np.ones(2))
        made.append(Sample(file, truth, number))
    return made


def embedded(folder: Path, count: int) -> list[Path]:
    """The package's photographs at 640 pixels, cropped differently."""
    import condetr.datasets

    files = []
    for i in range(count):
        photo = Image.open(Path(condetr.datasets.__file__).parent / "embedded" / PHOTOS[i % len(PHOTOS)])
        trimmed = photo.crop((0, 0, photo.width - 7 * i, photo.height - 5 * (i % 4)))
        scale = 640 / max(trimmed.size)
        files.append(folder / f"{i}.jpg")
        trimmed.resize((round(trimmed.width * scale), round(trimmed.height * scale))).save(files[-1], quality=90)
    return files


def peers(given: list[Sample]) -> dict[str, Work]:
    """transformers' processor on Pillow, and the one on torchvision where that is installed."""
    operators = torch.library.Library("torchvision", "DEF")
    if torchvision := importlib.util.find_spec("torchvision"):
        # with a CPU torch, its ordinary wheel fails at import without these two operators, which nothing here calls
        operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from transformers.models.conditional_detr.image_processing_pil_conditional_detr import (
        ConditionalDetrImageProcessorPil,
    )

    found = {"transformers, on Pillow": peer(given, ConditionalDetrImageProcessorPil())}
    if torchvision:
        from transformers import ConditionalDetrImageProcessor

        found["transformers, on torchvision"] = peer(given, ConditionalDetrImageProcessor())
    return found


def peer(given: list[Sample], processor: Callable[..., object]) -> Work:
    targets = []
    for sample in given:
        truth = sample.truth
        annotations = [
            {"bbox": [a, b, c - a, d - b], "category_id": int(label), "area": 1.0, "iscrowd": 0}
            for (a, b, c, d), label in zip(truth.boxes.tolist(), truth.labels)
        ]
        targets.append({"image_id": truth.image_id, "annotations": annotations})

    def work() -> None:
        for start in range(0, len(given), BATCH):
            part = slice(start, start + BATCH)
            opened = [Image.open(sample.path).convert("RGB") for sample in given[part]]
            processor(images=opened, annotations=targets[part], return_tensors="pt")

    return work


def ours(given: list[Sample], data: Data, memory: bool) -> Work:
    read = CachedReader(4 << 30) if memory else FileReader()
    loader = Loader(given, build_augmentation(data), 0, BATCH, epochs=1, read=read, workers=0)
    epoch = iter(range(10**6))
    return lambda: [batch.images for batch in loader.epoch(next(epoch))]


def evaluation(given: list[Sample]) -> Work:
    loader = EvaluationLoader(given, build_prepare(Data()), BATCH, read=FileReader(), workers=0)
    return lambda: [batch.images for batch in loader]


def main() -> None:
    given = options(__doc__, rounds=9, threads=1, images=Path)
    with tempfile.TemporaryDirectory() as scratch:
        files = sorted(given.images.rglob("*.jpg"))[:16] if given.images else embedded(Path(scratch), 12)
        images = samples(files)
        plain = parse({"data": {"flip_chance": 0.0, "crop_chance": 0.0, "scales": [1.0]}}, "benchmark").data
        theirs = peers(images)
        own = {
            "the same work": ours(images, plain, memory=False),
            "with the papers' augmentation": ours(images, Data(), memory=False),
            "… of decoded images in memory": ours(images, Data(), memory=True),
            "for evaluation (Pillow's own resize)": evaluation(images),
        }
        time = seconds({**theirs, **own}, given.rounds, clock=process_time)
    best = min(theirs, key=lambda name: time[name])
    print(HEADER)
    for name in own:
        target = 1 / 3 if name == "the same work" else None
        print(row(f"an image, {name}", time[name] / len(files) * 1e3, time[best] / len(files) * 1e3, target))
    rates = ", ".join(f"{name} {len(files) / time[name]:.0f}" for name in (*theirs, *own))
    print(f"\n- images per second and core: {rates}; {len(files)} images")


if __name__ == "__main__":
    main()
