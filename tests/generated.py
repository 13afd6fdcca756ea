"""A small data set in Roboflow's COCO layout, of bright rectangles on noise, made by the test that needs one."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("square", "bar")


def write(root: Path, counts: dict[str, int], size: int = 48, empty_every: int = 0, seed: int = 0) -> Path:
    """Images of each split with one to three objects; every so-manieth has none."""
    random = np.random.default_rng(seed)
    for split, number in counts.items():
        folder = root / split
        folder.mkdir(parents=True)
        images, annotations = [], []
        for i in range(number):
            name = f"{split}{i}.png"
            canvas = random.integers(0, 60, (size, size, 3), dtype=np.uint8)
            count = 0 if empty_every and i % empty_every == 0 else int(random.integers(1, 4))
            for _ in range(count):
                kind = int(random.integers(0, 2))
                width, height = (14, 14) if kind == 0 else (22, 8)
                x, y = int(random.integers(0, size - width)), int(random.integers(0, size - height))
                canvas[y : y + height, x : x + width] = (230, 80, 60) if kind == 0 else (60, 120, 240)
                annotations.append(
                    {
                        "id": len(annotations) + 1, "image_id": i + 1, "category_id": kind + 1, "iscrowd": 0,
                        "bbox": [x, y, width, height], "area": width * height,
                    }
                )  # fmt: skip
            Image.fromarray(canvas).save(folder / name)
            images.append({"id": i + 1, "file_name": name, "width": size, "height": size})
        labels = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": k + 1, "name": name} for k, name in enumerate(NAMES)],
        }
        (folder / "_annotations.coco.json").write_text(json.dumps(labels))
    return root
