"""Tiny videos of every kind, made in milliseconds: the frame number is readable from each frame."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when FFmpeg is first used, here for writing

ONE = 1 << 16  # 16.16 fixed point
CORNER = (255, 40, 40)  # red, RGB, in the upper left corner of every frame


def picture(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """RGB: a red upper left quarter, and a grey right half whose brightness is 8 x number."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = CORNER
    image[:, width // 2 :] = number * 8 % 256
    return image


def number_in(image: np.ndarray) -> int:
    """The number of an upright frame, modulo 32."""
    return round(float(image[-8:-4, -8:-4].mean()) / 8)


def red_corner(image: np.ndarray) -> str:
    """Which corner is red: "top left" of an upright frame."""
    red = image[..., 0].astype(int) - image[..., 1] > 100
    rows, columns = np.nonzero(red)
    assert rows.size
    vertical = "top" if rows.mean() < image.shape[0] / 2 else "bottom"
    return f"{vertical} {'left' if columns.mean() < image.shape[1] / 2 else 'right'}"


def write(path: Path, frames: int = 12, size: tuple[int, int] = (64, 48), rate: float = 25.0, codec: str = "") -> Path:
    codec = codec or {".avi": "MJPG", ".webm": "VP90"}.get(path.suffix, "mp4v")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate, size)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.ascontiguousarray(picture(number, size)[..., ::-1]))
    writer.release()
    return path


def rotated(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The MP4 with a, b, c, d in the display matrix of its track header, as a phone that was turned writes it."""
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 4 + 40
    a, b, c, d = (ONE * sign for sign in matrix)
    content[at : at + 20] = struct.pack(">5i", a, b, 0, c, d)
    path.write_bytes(content)
    return path


def timed(path: Path, durations: list[float]) -> Path:
    """The MP4 with a duration in seconds for each frame: a variable frame rate."""
    content = bytearray(path.read_bytes())
    boxes = [0]
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        boxes.append(_find(content, name, boxes[-1] + 8 if len(boxes) > 1 else 0))
    media = _find(content, b"mdhd", boxes[3] + 8)
    (scale,) = struct.unpack(">I", content[media + 20 : media + 24])
    (old,) = struct.unpack(">I", content[boxes[-1] : boxes[-1] + 4])
    table = b"".join(struct.pack(">II", 1, round(seconds * scale)) for seconds in durations)
    new = struct.pack(">I4sII", 16 + len(table), b"stts", 0, len(durations)) + table
    content[boxes[-1] : boxes[-1] + old] = new
    for box in boxes[1:-1]:
        (size,) = struct.unpack(">I", content[box : box + 4])
        content[box : box + 4] = struct.pack(">I", size + len(new) - old)
    edits = content.find(b"edts")
    content[edits : edits + 4] = b"free"  # an edit list would cut the video at its old length
    path.write_bytes(content)
    return path


def index_first(path: Path) -> Path:
    """The MP4 with its index before the frames, as for the web: what is left of it after a cut can be read."""
    content = path.read_bytes()
    at = _find(content, b"moov", 0)
    (size,) = struct.unpack(">I", content[at : at + 4])
    index, start = bytearray(content[at : at + size]), _find(content, b"mdat", 0)
    table = index.find(b"stco") + 4
    (entries,) = struct.unpack(">I", index[table + 4 : table + 8])
    for entry in range(table + 8, table + 8 + 4 * entries, 4):
        (offset,) = struct.unpack(">I", index[entry : entry + 4])
        index[entry : entry + 4] = struct.pack(">I", offset + size)
    path.write_bytes(content[:start] + bytes(index) + content[start:at] + content[at + size :])
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def _find(content: bytes | bytearray, name: bytes, at: int) -> int:
    while content[at + 4 : at + 8] != name:
        (size,) = struct.unpack(">I", content[at : at + 4])
        at += size
    return at
