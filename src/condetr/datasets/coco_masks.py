"""The box around a COCO segmentation: polygons, or a mask in run-length encoding."""

import json
import math
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

Box = tuple[float, float, float, float]


def box_around(segmentation: Any) -> Box | None:
    """(x, y, width, height) around all parts of a segmentation; None if it is empty or invalid.

    A polygon is a list of numbers x, y, x, y, … or of points, which can be {"x": …, "y": …}. A mask is
    {"size": [height, width], "counts": …}, with counts as a list or as a compressed string; its box covers whole
    pixels, as pycocotools' `toBbox` does.
    """
    try:
        if isinstance(segmentation, str):  # as pandas writes it
            segmentation = json.loads(segmentation)
        if isinstance(segmentation, list) and len(segmentation) == 1 and "counts" in segmentation[0]:
            segmentation = segmentation[0]
        corners = _mask_corners(segmentation) if isinstance(segmentation, dict) else _polygon_corners(segmentation)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    if corners is None or not all(map(math.isfinite, corners)):
        return None
    x1, y1, x2, y2 = corners
    return x1, y1, x2 - x1, y2 - y1


def _polygon_corners(polygons: Any) -> Box | None:
    numbers = [float(number) for number in _flat(polygons)]
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    return min(numbers[0::2]), min(numbers[1::2]), max(numbers[0::2]), max(numbers[1::2])


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = [value["x"], value["y"]]
    if not isinstance(value, list):
        yield value
        return
    for part in value:
        yield from _flat(part)


def _mask_corners(mask: dict[str, Any]) -> Box | None:
    """From the runs alone, which alternate between background and object, down one column after the other."""
    height, width = (int(side) for side in mask["size"])
    counts = mask["counts"]
    runs = _decompressed(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if height <= 0 or width <= 0 or min(runs, default=-1) < 0 or sum(runs) > height * width:
        return None
    ends = list(accumulate(runs))
    left, top, right, bottom = width, height, 0, 0
    for start, end in zip(ends[0::2], ends[1::2]):
        if start == end:
            continue
        first, last = start // height, (end - 1) // height
        left, right = min(left, first), max(right, last + 1)
        if first == last:
            top, bottom = min(top, start % height), max(bottom, (end - 1) % height + 1)
        else:  # the run continues at the top of the next column
            top, bottom = 0, height
    return (float(left), float(top), float(right), float(bottom)) if right else None


def _decompressed(text: str) -> list[int]:
    """The run lengths of a compressed string (pycocotools' `rleFrString`): groups of 5 bits, the lowest first, bit 6 is
    set if more follow; from the fourth number on, the difference from the number two places before."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError("not a compressed mask")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:  # negative
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("a mask that is cut short")
    return runs
