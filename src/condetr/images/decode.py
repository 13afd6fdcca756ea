"""Decode an image of any common format to upright 8-bit RGB, or raise one ImageError with the reason."""

import io
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from ..errors import ImageError
from ..shapes import UInt8
from .bounded import BoundedFile
from .grey import is_deep_grey, to_eight_bits
from .tiff import HEADS, has_unnamed_band, refuse_planes, refuse_raw
from .unread import reason, reason_of_failure

Pixels = UInt8[np.ndarray, "H W 3"]
Source = Path | str | bytes | io.BufferedIOBase | Image.Image | np.ndarray

MOST_PIXELS = 178_956_970  # Pillow's own limit, above which it raises: half a gigabyte once decoded as RGB
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM")  # none that starts other programs
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"}
    | {".avif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm"}
)
BACKGROUND = (255, 255, 255)  # behind transparent pixels
BAND = 1 << 20  # pixels that are converted at a time
IN_PYTHON = frozenset({"ppm", "ppm_plain", "bmp_rle"})  # Pillow's decoders that are not written in C

# EXIF 2.32, tag 0x0112: the operation that makes the stored image upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(source: Source) -> Pixels:
    """The image, upright (EXIF or XMP orientation applied), as 8-bit RGB; of an animation, the first frame.

    Transparent pixels are blended with white. Deep grey is scaled to 8 bits as in `grey.to_eight_bits`. Arrays are
    uint8, RGB (H W 3), RGBA (H W 4) or grey (H W). Raises ImageError with the reason.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    with _image_errors():
        if isinstance(source, Image.Image):
            return _upright_rgb(source)
        with _file(source) as file, _opened(file) as image:
            return _upright_rgb(image)


class Header(NamedTuple):
    """The size of the upright image. `slow`: its pixels are decoded in Python, about 2 µs for each of their values."""

    width: int
    height: int
    slow: bool


def image_size(source: Path | str | bytes | io.BufferedIOBase) -> tuple[int, int]:
    """(width, height) of the upright image from its header; pixels are not decoded. Raises ImageError."""
    return image_header(source)[:2]


def image_header(source: Path | str | bytes | io.BufferedIOBase) -> Header:
    """What the header says; pixels are not decoded. Raises ImageError."""
    with _image_errors(), _file(source) as file, _opened(file) as image:
        metadata = image.getexif
        if image.format == "PNG" and not _metadata_follows_pixels(file):
            metadata = partial(Image.Image.getexif, image)  # the PNG reader's own method decodes the pixels first
        # Pillow reports the upright size of a TIFF
        swapped = image.format != "TIFF" and _orientation(metadata) >= 5
        size = (image.height, image.width) if swapped else (image.width, image.height)
        return Header(*size, any(tile[0] in IN_PYTHON for tile in image.tile))


@contextmanager
def _image_errors() -> Iterator[None]:
    """Every exception inside becomes one ImageError.

    Pillow's warnings about files that it can read are left to the caller: a filter belongs to the whole process and
    cannot be set safely from a thread.
    """
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except IsADirectoryError:
        raise ImageError("a folder, not an image") from None
    except PermissionError:
        raise ImageError("cannot be read (permission denied)") from None
    except Image.DecompressionBombError:
        raise ImageError(f"declares more than {MOST_PIXELS:,} pixels, the largest image that is decoded") from None
    except MemoryError:
        raise ImageError("too large for the memory of this machine") from None
    except Exception as error:  # decoders of broken files raise nearly any exception
        if isinstance(error, OSError) and error.errno is not None:  # of the system: a loop of links, a name too long
            raise ImageError(f"cannot be read ({(error.strerror or type(error).__name__).lower()})") from None
        line = " ".join(str(error).split())
        if "truncated" in line.lower():
            raise ImageError(f"cut short ({line})") from None
        raise ImageError(f"broken ({line or type(error).__name__})") from None


@contextmanager
def _file(source: Path | str | bytes | io.BufferedIOBase) -> Iterator[io.BufferedIOBase]:
    """A regular, seekable file that is not empty. A file object from the caller is not closed."""
    if isinstance(source, bytes):
        file: io.BufferedIOBase = BoundedFile(source)
    elif isinstance(source, Path | str):
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):  # opening a pipe could block forever
            raise ImageError("not an ordinary file")
        file = open(source, "rb")  # noqa: SIM115
    else:
        file = source if source.seekable() else BoundedFile(source.read())
    try:
        file.seek(0)  # a file in memory is at its end after it was written
        if not file.read(1):
            raise ImageError("an empty file (0 bytes)")
        file.seek(0)
        yield file
    finally:
        if file is not source:
            file.close()


@contextmanager
def opened(file: io.BufferedIOBase) -> Iterator[ImageFile.ImageFile]:
    """The image of an open file, whose pixels are not decoded. Raises ImageError for a file that is not read, Pillow's
    exceptions for a broken one."""
    head = file.read(10)
    file.seek(0)
    try:
        image = Image.open(cast(IO[bytes], file), formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageError(reason(file)) from None
    with image:
        if head.startswith(HEADS):
            refuse_raw(image, head)
            refuse_planes(image, file)
        if image.width * image.height > MOST_PIXELS:  # also where the process has raised Pillow's limit
            raise Image.DecompressionBombError
        if not image.width or not image.height:
            raise ImageError(f"has no pixels ({image.width}x{image.height})")
        yield image


@contextmanager
def _opened(file: io.BufferedIOBase) -> Iterator[ImageFile.ImageFile]:
    """As `opened`, with a reason for decoders that fail without one."""
    try:
        with opened(file) as image:
            yield image
    except (ImageError, Image.DecompressionBombError, MemoryError):
        raise
    except Exception:
        if known := reason_of_failure(file):
            raise ImageError(known) from None
        raise


def _orientation(metadata: Callable[[], Image.Exif]) -> int:
    """1 to 8; 1 if the tag is missing, invalid or unreadable."""
    try:
        orientation = metadata().get(0x0112, 1)
    except Exception:  # broken metadata of a readable image
        return 1
    return orientation if orientation in UPRIGHT else 1


def _upright_rgb(image: Image.Image) -> Pixels:
    """Converted in bands of rows: with its intermediate images, a whole one would take up to 19 bytes for each pixel
    instead of 7."""
    image.load()
    # after loading: Pillow applies a TIFF's orientation itself, and a PNG may store it behind the pixels
    orientation = _orientation(image.getexif)
    if not image.width or not image.height:
        raise ImageError(f"has no pixels ({image.width}x{image.height})")
    opaque = has_unnamed_band(image)
    if is_deep_grey(image):
        image = Image.fromarray(to_eight_bits(image))
    swapped, from_the_end = orientation >= 5, orientation in (3, 4, 6, 7)
    shape = (image.width, image.height) if swapped else (image.height, image.width)
    pixels = np.empty((*shape, 3), np.uint8)
    for top, band in _bands(image):
        converted = Image.merge("RGB", band.split()[:3]) if opaque else _rgb(band)
        if orientation in UPRIGHT:
            converted = converted.transpose(UPRIGHT[orientation])
        first = image.height - top - band.height if from_the_end else top
        rows = slice(first, first + band.height)
        pixels[(slice(None), rows) if swapped else rows] = np.asarray(converted)
    return pixels


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The rows of an image, about BAND pixels at a time, with the index of the first one."""
    rows = max(1, BAND // image.width)
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")
        return ImageCms.applyTransform(image, transform) or image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(background, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_array(array: np.ndarray) -> Pixels:
    shape = array.shape
    if array.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
        raise ImageError(f"expected uint8 RGB of shape (height, width, 3), got {array.dtype} of shape {shape}")
    if 0 in shape:
        raise ImageError(f"has no pixels (shape {shape})")
    if len(shape) == 3 and shape[2] == 3:
        return np.ascontiguousarray(array)
    return np.array(_rgb(Image.fromarray(np.ascontiguousarray(array))))


def _metadata_follows_pixels(file: io.BufferedIOBase) -> bool:
    """Whether a PNG has EXIF or text behind its pixels, where some editors put them (PNG 3rd edition, section 5)."""
    at = file.tell()
    try:
        file.seek(8)
        pixels_seen = False
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            pixels_seen |= kind == b"IDAT"
            if pixels_seen and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
                return True
            file.seek(length + 4, os.SEEK_CUR)
        return False
    finally:
        file.seek(at)
