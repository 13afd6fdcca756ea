"""An image as a person sees it: any common file, oriented, as RGB; or one reason why not."""

import io
import logging
import os
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from ..errors import ImageError
from ..shapes import Float64, UInt8

Pixels = UInt8[np.ndarray, "H W 3"]
Source = Path | str | bytes | io.BufferedIOBase | Image.Image | np.ndarray

MOST_PIXELS = 178_956_970  # Pillow's own hard limit: half a gigabyte once decoded as RGB
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM")  # none that starts other programs
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"}
    | {".avif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm"}
)
BAND = 1 << 20  # pixels of deep grey that are floats at a time
PAPER = (255, 255, 255)  # what shows through transparent pixels

# EXIF 2.32, tag 0x0112: how the stored image has to be turned to stand upright
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
    """The image upright (EXIF or XMP orientation applied), 8-bit RGB; of an animation, the first frame.

    Transparent pixels show white paper. Grey of 16 bits is scaled by the range of its type (12-bit TIFF: by 4095),
    whatever range the image uses; 32-bit integers and floats that exceed 16 bits or [0, 1] by their own range.
    Arrays are RGB (H W 3), RGBA (H W 4) or grey (H W) of uint8. Raises ImageError with the reason.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    with _reasons():
        if isinstance(source, Image.Image):
            return _upright_rgb(source)
        with _file(source) as file, _opened(file) as image:
            return _upright_rgb(image)


def image_size(source: Path | str | bytes | io.BufferedIOBase) -> tuple[int, int]:
    """(width, height) of the upright image from its header alone: pixels are not decoded, nor known to be whole."""
    with _reasons(), _file(source) as file, _opened(file) as image:
        metadata = image.getexif
        if image.format == "PNG" and not _metadata_follows_pixels(file):
            metadata = partial(Image.Image.getexif, image)  # the PNG reader's own would decode the pixels first
        # Pillow already reports the upright size of a TIFF
        turned = image.format != "TIFF" and _orientation(metadata) >= 5
        return (image.height, image.width) if turned else (image.width, image.height)


@contextmanager
def _reasons() -> Iterator[None]:
    """Whatever goes wrong inside is one ImageError; Pillow's remarks on files it can read are not shown."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if not logging.getLogger("PIL").handlers:
        logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except IsADirectoryError:
        raise ImageError("a folder, not an image") from None
    except PermissionError:
        raise ImageError("may not be read (permission denied)") from None
    except UnidentifiedImageError:
        raise ImageError("not an image of a known format (JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF)") from None
    except Image.DecompressionBombError:
        raise ImageError(f"declares more than {MOST_PIXELS:,} pixels, the most that is decoded") from None
    except MemoryError:
        raise ImageError("too large for the memory of this machine") from None
    except Exception as error:  # decoders of broken files raise nearly everything there is
        line = " ".join(str(error).split())
        if "truncated" in line.lower():
            raise ImageError(f"cut short ({line})") from None
        raise ImageError(f"broken ({line or type(error).__name__})") from None


@contextmanager
def _file(source: Path | str | bytes | io.BufferedIOBase) -> Iterator[io.BufferedIOBase]:
    """An ordinary, seekable file that is not empty; one given open stays open."""
    if isinstance(source, bytes):
        file: io.BufferedIOBase = io.BytesIO(source)
    elif isinstance(source, Path | str):
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):  # opening a pipe could wait for ever
            raise ImageError("not an ordinary file")
        file = open(source, "rb")  # noqa: SIM115
    else:
        file = source if source.seekable() else io.BytesIO(source.read())
    try:
        if not file.read(1):
            raise ImageError("an empty file (0 bytes)")
        file.seek(0)
        yield file
    finally:
        if file is not source:
            file.close()


@contextmanager
def _opened(file: io.BufferedIOBase) -> Iterator[Image.Image]:
    with Image.open(cast(IO[bytes], file), formats=FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:  # also where the process has lifted Pillow's limit
            raise Image.DecompressionBombError
        if not image.width or not image.height:
            raise ImageError(f"has no pixels ({image.width}x{image.height})")
        yield image


def _orientation(metadata: Callable[[], Image.Exif]) -> int:
    """1 to 8; 1 also where the tag is missing, illegal or unreadable."""
    try:
        orientation = metadata().get(0x0112, 1)
    except Exception:  # broken metadata of an image that is whole
        return 1
    return orientation if orientation in UPRIGHT else 1


def _upright_rgb(image: Image.Image) -> Pixels:
    image.load()
    orientation = _orientation(image.getexif)  # after loading: Pillow turns TIFFs itself, and PNG may tell it last
    image = _rgb(image)
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    if not image.width or not image.height:
        raise ImageError(f"has no pixels ({image.width}x{image.height})")
    return np.array(np.asarray(image))  # np.array alone asks Pillow for the bytes twice


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")
        return ImageCms.applyTransform(image, transform) or image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, PAPER)
        return Image.alpha_composite(paper, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> UInt8[np.ndarray, "H W"]:
    low, high = _range(image)
    scale = 255 / (high - low) if high > low else 0.0
    grey = np.empty((image.height, image.width), np.uint8)
    for top, values in _bands(image):
        values = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * scale
        grey[top : top + len(values)] = np.rint(values.clip(0, 255))
    return grey


def _bands(image: Image.Image) -> Iterator[tuple[int, Float64[np.ndarray, "h W"]]]:
    """The rows, some at a time, with the place of the first: the whole as floats would be gigabytes."""
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, np.asarray(band).astype(np.float64)


def _range(image: Image.Image) -> tuple[float, float]:
    """The values that become black and white."""
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(258, (16,))  # TIFF 6.0, BitsPerSample
        return 0.0, float(2 ** min(bits[0], 16) - 1)
    low, high = np.inf, -np.inf
    for _, values in _bands(image):
        finite = np.isfinite(values)
        low = min(low, float(values.min(initial=np.inf, where=finite)))
        high = max(high, float(values.max(initial=-np.inf, where=finite)))
    if low > high:  # not one finite value
        return 0.0, 0.0
    if image.mode == "I" and low >= 0 and high <= 65535:  # how Pillow holds a 16-bit PGM
        return 0.0, 65535.0
    if image.mode == "F" and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high


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
