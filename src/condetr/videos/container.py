"""What the container of a video file declares: whether the file is complete, and how its frames are mirrored.

OpenCV reports neither. ISO/IEC 14496-12 (MP4, MOV), RFC 9559 (Matroska, WebM), and RIFF (AVI).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP")
STARTS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"0&\xb2u", b"OggS", b"\0\0\1\xba", b"\0\0\1\xb3", b"YUV4MPEG2")
STILL = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"crx ", b"jp2 ", b"M4A ", b"M4B ")
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # that an MP4 or MOV file begins with
CUT = "cut short: bytes are missing at its end"
NO_INDEX = (
    "cut short: its index (moov) is missing, as after a recording that was not finished. Copy it again, or repair it"
)

Matrix = tuple[int, int, int, int]  # signs of a, b, c, d in x' = a x + c y, y' = b x + d y
MIRRORING = ((-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0))


def looks_like_a_video(path: Path, suffix: bool) -> bool:
    """Whether a file is a video, by its first bytes. If these are unknown, `suffix` decides: whether the file's name
    has a suffix of videos."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(189)
    except OSError:
        return False
    if start.startswith(IMAGES) or start[8:12] == b"WEBP":
        return False
    if start[4:8] in BOXES:
        return start[8:12] not in STILL or start[4:8] != b"ftyp"
    riff = start[:4] == b"RIFF" and start[8:12] == b"AVI "
    transport = len(start) == 189 and start[0] == start[188] == 0x47  # MPEG-TS: packets of 188 bytes
    return suffix or riff or transport or start.startswith(STARTS)


def damage(path: Path) -> str | None:
    """Why a file is incomplete, for a message; None if nothing indicates it. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[4:8] in BOXES:
            kinds = {kind: end for kind, _, end in _boxes(file, 0, size)}
            if b"moov" not in kinds or kinds[b"moov"] > size:
                return NO_INDEX
            return CUT if max(kinds.values()) > size else None
        if start[:4] == b"RIFF":
            return CUT if int.from_bytes(start[4:8], "little") + 8 > size else None
        if start[:4] == b"\x1aE\xdf\xa3":
            return CUT if _matroska_end(file) > size else None
    return None


def mirroring(path: Path) -> Matrix | None:
    """The display matrix of an MP4 or MOV if it flips the frames besides rotating them, else None."""
    matrix = _display_matrix(path)
    return matrix if matrix in MIRRORING else None


def _display_matrix(path: Path) -> Matrix | None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            for kind, at, end in _boxes(file, 0, size):
                if kind != b"moov":
                    continue
                for track, inner, stop in _boxes(file, at, min(end, size)):
                    matrix = _track_matrix(file, inner, min(stop, size)) if track == b"trak" else None
                    if matrix is not None:
                        return matrix
    except (OSError, struct.error):
        pass
    return None


def _track_matrix(file: BinaryIO, at: int, end: int) -> Matrix | None:
    """The matrix of a track that has a width; sound has none (14496-12, 8.3.2)."""
    for kind, start, _ in _boxes(file, at, end):
        if kind == b"tkhd":
            file.seek(start)
            long = file.read(1) == b"\1"
            file.seek(start + (52 if long else 40))
            a, b, _, c, d, *_, width, _ = struct.unpack(">9iII", file.read(44))
            if width:
                return _sign(a), _sign(b), _sign(c), _sign(d)
    return None


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the content and declared end of each box between two positions; the end may be beyond the file."""
    while at + 8 <= end:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        content = at + 8
        if length == 1:
            if len(long := file.read(8)) < 8:
                return
            (length,) = struct.unpack(">Q", long)
            content = at + 16
        length = end - at if length == 0 else length
        if length < content - at:
            return
        yield kind, content, at + length
        at += length


def _matroska_end(file: BinaryIO) -> int:
    """The declared end of the segment; 0 if it is unknown, as in a recorded stream."""
    file.seek(4)
    header = _number(file)
    if header is None:
        return 0
    file.seek(header, 1)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _number(file)
    return 0 if length is None else file.tell() + length


def _number(file: BinaryIO) -> int | None:
    """A length of EBML, 1 to 8 bytes; None if unknown (all bits set) or invalid."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    rest = file.read(extra)
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + rest, "big")
    return None if len(rest) < extra or value == (1 << 7 * (extra + 1)) - 1 else value
