"""YOLO's pose labels without `kpt_shape`: whether the numbers behind a box are keypoints, or the line is a polygon."""

from collections.abc import Sequence

import numpy as np

from ..shapes import Bool, Float64

BEFORE = 5  # numbers before the keypoints: class and box
ROOM = 0.02  # by which boxes may exceed the image, and keypoints their box, in fractions of the image
MOST = 0.95  # share of the lines that must agree; annotators put some keypoints outside
FEW = 0.9  # share of the lines that may be polygons too
ENOUGH = (8, 3)  # lines that tell keypoints without visibility from corners: of one keypoint, of several
SAMPLE = 50  # lines whose edges are looked at


def are_poses(lines: Sequence[list[float]]) -> bool:
    """Whether lines of more than 5 numbers are class, box and keypoints, as x and y or as x, y and visibility.

    Poses have as many numbers in each line; every box lies in the image; every visibility is 0, 1 or 2. Without
    visibilities the keypoints lie in their box, and the numbers are no outlines: the box's width and height, taken for
    a point, lie far from the others in most lines, where a polygon would have its second corner, or the edges of most
    lines would cross. In a few lines the edges of all of them must cross.
    """
    if not lines or len({len(line) for line in lines}) > 1:
        return False
    table = np.array(lines, dtype=np.float64)
    center, size, behind = table[:, 1:3], table[:, 3:5], table[:, BEFORE:]
    low, high = center - size / 2, center + size / 2
    if not ((size > 0).all() and (low >= -ROOM).all() and (high <= 1 + ROOM).all()):
        return False
    if behind.shape[1] % 3 == 0 and np.isin(behind[:, 2::3], (0, 1, 2)).all():
        return True
    if behind.shape[1] % 2 or _are_parallelograms(table[:, 1:]):
        return False
    points = behind.reshape(len(lines), -1, 2)
    inside = (points >= low[:, None] - ROOM) & (points <= high[:, None] + ROOM) | (points == 0)  # 0, 0: not labelled
    if inside.all(axis=(1, 2)).mean() < MOST:
        return False
    if len(lines) >= ENOUGH[points.shape[1] > 1] and _near(points, size).mean() < FEW:
        return True
    crossing = _cross(table[:, 1:].reshape(len(lines), -1, 2)[:SAMPLE]).mean()
    return bool(crossing > 0.5 if len(lines) >= ENOUGH[1] else crossing == 1)


def _are_parallelograms(corners: Float64[np.ndarray, "N numbers"]) -> bool:
    """Whether most lines are 4 corners of a parallelogram, as in YOLO's format of rotated boxes."""
    if corners.shape[1] != 8:
        return False
    off = np.abs(corners[:, 0:2] + corners[:, 4:6] - corners[:, 2:4] - corners[:, 6:8])
    return bool((off < 0.01).all(axis=1).mean() > 0.5)


def _near(points: Float64[np.ndarray, "N P 2"], corner: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, " N"]:
    """1 where a corner lies in the box around the points, enlarged by its longer side, else 0."""
    low, high = points.min(axis=1), points.max(axis=1)
    room = (high - low).max(axis=1, keepdims=True)
    return ((corner >= low - room) & (corner <= high + room)).all(axis=1).astype(np.float64)


def _cross(corners: Float64[np.ndarray, "N P 2"]) -> Bool[np.ndarray, " N"]:
    """Whether two edges of the outline through the corners cross, as they do in hardly any polygon that was drawn."""
    start, edge = corners[:, :, None], (np.roll(corners, -1, axis=1) - corners)[:, :, None]
    to_start, to_end = corners[:, None] - start, np.roll(corners, -1, axis=1)[:, None] - start
    side = edge[..., 0] * to_start[..., 1] - edge[..., 1] * to_start[..., 0]
    other = edge[..., 0] * to_end[..., 1] - edge[..., 1] * to_end[..., 0]
    divides = side * other < 0  # the line through one edge divides the other
    return (divides & divides.transpose(0, 2, 1)).any(axis=(1, 2))
