"""A detection data set made from this package alone: real handwritten digits on photographs, among letters.

The digits are the 1797 of UCI's optical recognition set, 8 by 8 pixels, sorted by writer; there are three photographs.
Digits and photographs are split before anything is drawn: `test` has digits of (nearly always) other writers, and
parts of the photographs that are not in `train`.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError
from ..files import unwritable
from ..shapes import Float, Int, UInt8
from .handwriting import LETTERS, Stamp, Tile, digit_tiles, letter_tile, stamp

CLASSES = tuple("0123456789")
SHARES = {"train": (0.0, 0.7), "valid": (0.7, 0.8), "test": (0.8, 1.0)}  # of the digits, in order
STRIPS = {"test": (0.0, 0.35), "train": (0.35, 0.85), "valid": (0.85, 1.0)}  # of each photograph's width
PHOTOS = ("china.jpg", "flower.jpg", "hopper.jpg")
HEIGHTS = (20 / 96, 60 / 96)  # of a digit, as fractions of the image's side
LIGHT = 0.55  # brightness of the photograph behind the digits
RECORD = "digits.json"

Box = tuple[float, float, float, float]
Range = tuple[float, float]

DIGITS_INK: Range = (0.7, 1.0)  # brightness of each color channel
LETTERS_INK: Range = (0.35, 0.75)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An image with its xyxy boxes in pixels and their digits."""

    image: UInt8[np.ndarray, "S S 3"]
    boxes: Float[np.ndarray, "M 4"]
    digits: Int[np.ndarray, " M"]


def make_digits(folder: Path, images: int, size: int, seed: int) -> None:
    """Write the data set: `images` for training, a tenth as many for `valid`, a fifth for `test` (at least 20 each),
    `size` × `size` pixels each, in Roboflow's layout (`train/_annotations.coco.json`).

    Every image depends only on (seed, split, its number): a larger set starts with the images of a smaller one. A
    folder with exactly this data set is kept as it is. Raises DataError for any other folder that is not empty.
    """
    if images < 1 or size < 32:
        raise DataError(f"{folder}: cannot make {images} images of {size} pixels. Make at least 1 image of 32 pixels")
    settings = {"images": images, "size": size, "seed": seed, "version": 2}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if _record(folder) == settings:
            return
        raise DataError(f"{folder}: not empty, and not this data set. Choose a new folder")
    counts = {"train": images, "valid": max(20, images // 10), "test": max(20, images // 5)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        for split, count in counts.items():
            _write_split(part / split, draw_digits(split, count, size, seed))
        (part / RECORD).write_text(json.dumps(settings))
        os.chmod(part, 0o755)
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def draw_digits(split: str, count: int, size: int, seed: int) -> Iterator[Drawn]:
    """The first `count` images of a split."""
    tiles, digits = _share(split)
    strips = _strips(split)
    for number in range(count):
        random = np.random.default_rng([seed, list(SHARES).index(split), number])
        yield _draw(random, size, tiles, digits, strips)


def _draw(random: np.random.Generator, size: int, tiles: np.ndarray, digits: np.ndarray, strips: list) -> Drawn:
    image = _background(random, size, strips[random.integers(len(strips))])
    taken: list[Box] = []
    chosen: list[int] = []
    stamps: list[tuple[Stamp, tuple[int, int], tuple[float, float]]] = []
    for _ in range(random.integers(1, 5)):
        which = int(random.integers(len(tiles)))
        if (placed := _place(random, size, tiles[which], taken, 0.05)) is not None:
            stamps.append((*placed, DIGITS_INK))
            chosen.append(which)
    boxes = np.array(taken, dtype=np.float64).reshape(-1, 4)
    for _ in range(random.integers(0, 3)):
        letter = letter_tile(int(random.integers(len(LETTERS))))
        if (placed := _place(random, size, letter, taken, 0.15)) is not None:
            stamps.insert(0, (*placed, LETTERS_INK))  # beneath the digits
    for printed, corner, ink_range in stamps:
        _print(random, image, printed, corner, ink_range)
    image += random.normal(0, random.uniform(0, 0.04), image.shape)
    return Drawn((image.clip(0, 1) * 255).round().astype(np.uint8), boxes, digits[chosen])


def _place(
    random: np.random.Generator, size: int, tile: Tile, taken: list[Box], most_overlap: float
) -> tuple[Stamp, tuple[int, int]] | None:
    """A stamp and the position of its corner, overlapping the `taken` boxes by at most `most_overlap`; its box is added
    to them. None if no place was found."""
    for _ in range(3):
        printed = stamp(random, tile, size * math.exp(random.uniform(*np.log(HEIGHTS))))
        h, w = printed.ink.shape
        for _ in range(10 if max(w, h) <= size else 0):
            x, y = int(random.integers(0, size - w, endpoint=True)), int(random.integers(0, size - h, endpoint=True))
            left, top, right, bottom = printed.box
            box = (x + left, y + top, x + right, y + bottom)
            if all(_overlap(box, other) <= most_overlap for other in taken):
                taken.append(box)
                return printed, (x, y)
    return None


def _print(
    random: np.random.Generator, image: np.ndarray, printed: Stamp, corner: tuple[int, int], ink_range: Range
) -> None:
    """Blend a stamp into the image in one random color."""
    (x, y), (h, w) = corner, printed.ink.shape
    patch = image[y : y + h, x : x + w]
    ink = printed.ink[..., None] * random.uniform(0.85, 1)
    patch[:] = patch * (1 - ink) + random.uniform(*ink_range, 3) * ink


def _background(random: np.random.Generator, size: int, strip: Image.Image) -> Float[np.ndarray, "S S 3"]:
    """A random square of a photograph, with random brightness and contrast."""
    side = int(random.integers(min(strip.size) // 2, min(strip.size), endpoint=True))
    x, y = (int(random.integers(0, extent - side, endpoint=True)) for extent in strip.size)
    square = strip.resize((size, size), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side))
    if random.random() < 0.5:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(square) / 255
    light, contrast = random.uniform(-0.2, 0.2, 3), random.uniform(0.4, 1.0)
    return LIGHT * ((pixels - 0.5) * contrast + 0.5 + light).clip(0, 1)


def _write_split(folder: Path, drawn: Iterator[Drawn]) -> None:
    folder.mkdir()
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, one in enumerate(drawn, 1):
        name, side = f"{number:05d}.jpg", len(one.image)
        Image.fromarray(one.image).save(folder / name, quality=92)
        images.append({"id": number, "file_name": name, "width": side, "height": side})
        for (x1, y1, x2, y2), digit in zip(one.boxes.round(2).tolist(), one.digits.tolist()):
            w, h = round(x2 - x1, 2), round(y2 - y1, 2)
            note = {"id": len(annotations) + 1, "image_id": number, "category_id": digit, "bbox": [x1, y1, w, h]}
            annotations.append(note | {"area": round(w * h, 2), "iscrowd": 0})
    categories = [{"id": i, "name": name, "supercategory": "digit"} for i, name in enumerate(CLASSES)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "_annotations.coco.json").write_text(json.dumps(whole))


def _share(split: str) -> tuple[np.ndarray, np.ndarray]:
    tiles, digits = digit_tiles()
    start, stop = (round(part * len(tiles)) for part in SHARES[split])
    return tiles[start:stop], digits[start:stop]


@cache
def _strips(split: str) -> list[Image.Image]:
    strips = []
    for name in PHOTOS:
        with (resources.files("condetr.datasets") / "embedded" / name).open("rb") as file:
            photo = Image.open(file).convert("RGB")
        left, right = (round(part * photo.width) for part in STRIPS[split])
        strips.append(photo.crop((left, 0, right, photo.height)))
    return strips


def _record(folder: Path) -> object:
    try:
        return json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return None


def _overlap(a: Box, b: Box) -> float:
    """The area of the intersection as a fraction of the smaller box."""
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return common / min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
