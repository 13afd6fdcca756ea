"""Real handwritten digits, and letters as coarse as they are, drawn smoothly, rotated and slanted, at any size."""

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from PIL import Image, ImageDraw

from ..shapes import Float, Int

Tile = Float[np.ndarray, "8 8"]

MARGIN = 3  # cells around a tile, so that it can be rotated
SOFT = 0.75  # cells that the soft edge can extend beyond the ink's box

# letters of straight strokes that resemble no digit: for each stroke its points in the unit square
LETTERS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (((0, 1), (0.5, 0), (1, 1)), ((0.2, 0.6), (0.8, 0.6))),  # A
    (((0.9, 0), (0, 0), (0, 1), (0.9, 1)), ((0, 0.5), (0.7, 0.5))),  # E
    (((0, 0), (0, 1)), ((0.9, 0), (0.9, 1)), ((0, 0.5), (0.9, 0.5))),  # H
    (((0, 0), (0, 1)), ((0.9, 0), (0, 0.55), (0.9, 1))),  # K
    (((0, 1), (0, 0), (0.5, 0.6), (1, 0), (1, 1)),),  # M
    (((0, 1), (0, 0), (0.9, 1), (0.9, 0)),),  # N
    (((0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)),),  # W
    (((0, 0), (1, 1)), ((1, 0), (0, 1))),  # X
    (((0, 0.5), (1, 0.5)), ((0.5, 0), (0.5, 1))),  # +
    (((0, 1), (0.5, 0), (1, 1), (0, 1)),),  # △
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """The amount of ink on each pixel, and its tight xyxy box."""

    ink: Float[np.ndarray, "h w"]
    box: tuple[float, float, float, float]


@cache
def digit_tiles() -> tuple[Float[np.ndarray, "T 8 8"], Int[np.ndarray, " T"]]:
    """Every tile, with ink from 0 to 1, and its digit."""
    embedded = resources.files("condetr.datasets") / "embedded"
    digits = np.array([int(c) for c in "".join((embedded / "digits.txt").read_text().split())])
    with (embedded / "digits.png").open("rb") as file:
        sheet = np.asarray(Image.open(file)) / 240
    rows, columns = sheet.shape[0] // 8, sheet.shape[1] // 8
    tiles = sheet.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    return tiles[: len(digits)], digits


def letter_tile(number: int) -> Tile:
    """A letter as coarse as the digits, made in the same way: 32 × 32 binary pixels, counted in blocks of 4."""
    fine = Image.new("L", (32, 32))
    for stroke in LETTERS[number]:
        ImageDraw.Draw(fine).line([(3 + 26 * x, 3 + 26 * y) for x, y in stroke], fill=1, width=4, joint="curve")
    return np.asarray(fine).reshape(8, 4, 8, 4).sum((1, 3)) / 16


def stamp(random: np.random.Generator, tile: Tile, height: float) -> Stamp:
    """The tile as smooth ink, `height` pixels tall, randomly rotated, slanted, stretched and thick."""
    scale = max(4, math.ceil(height / 6))  # pixels of a cell while it is drawn: more than in the result
    side = (8 + 2 * MARGIN) * scale
    fine = Image.fromarray(np.pad(tile, MARGIN).astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
    fine = fine.transform((side, side), Image.Transform.AFFINE, _warp(random, side), Image.Resampling.BILINEAR)
    ink = ((np.asarray(fine) - random.uniform(0.4, 0.55)) / 0.2 + 0.5).clip(0, 1)
    low, high = _extent(ink > 0.5)
    smaller = height / (high[0] - low[0])
    soft = round(SOFT * scale)
    start, stop = np.maximum(low - soft, 0), np.minimum(high + soft, side)
    target = np.maximum(np.round((stop - start) * smaller), 1).astype(int)
    cut = Image.fromarray(ink[start[0] : stop[0], start[1] : stop[1]].astype(np.float32))
    small = np.array(cut.resize((int(target[1]), int(target[0])), Image.Resampling.BILINEAR))
    ratio = target / (stop - start)
    (top, left), (bottom, right) = (low - start) * ratio, (high - start) * ratio
    return Stamp(small, (float(left), float(top), float(right), float(bottom)))


def _warp(random: np.random.Generator, side: int) -> tuple[float, ...]:
    """Pillow's affine coefficients, which map output coordinates to the tile's."""
    turn, slant, stretch = math.radians(random.uniform(-12, 12)), random.uniform(-0.2, 0.2), random.uniform(0.85, 1.15)
    rotate = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    back = rotate @ np.array([[1 / stretch, slant], [0, 1]])
    offset = (np.eye(2) - back) @ np.full(2, side / 2)
    return (*back[0].tolist(), float(offset[0]), *back[1].tolist(), float(offset[1]))


def _extent(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inside = np.argwhere(mask)
    return inside.min(0), inside.max(0) + 1
