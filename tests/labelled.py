"""Small data sets written to disk, each image different from all others."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48


def write_image(path: Path, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT), orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def coco_content(first: int, images: int = 2, boxes: int = 2, categories: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    """A sound COCO file: `images` named by their ids from `first` on, each with `boxes` of alternating category."""
    ids = range(first, first + images)
    annotations = [
        {"image_id": id, "category_id": categories[j % len(categories)], "bbox": [4 + 9 * j, 5, 8, 6], "area": 40,
         "iscrowd": 0}
        for id in ids for j in range(boxes)
    ]  # fmt: skip
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in ids],
        "annotations": annotations,
        "categories": [{"id": id, "name": f"class {id}", "supercategory": "none"} for id in categories],
    }
