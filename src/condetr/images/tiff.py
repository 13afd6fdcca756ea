"""What Pillow leaves to its caller in TIFF files: thumbnails of raw photos, bands without a meaning, inverted grey."""

import io
from typing import IO, Any, cast

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..errors import ImageError
from ..plural import counted

HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF in both byte orders

# TIFF 6.0, section 8; 50706 is of the DNG specification
_SUBFILE, _OLD_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _EXTRA = 254, 255, 258, 259, 262, 338
_BANDS, _PLANES, _SAMPLE_FORMAT, _DNG = 277, 284, 339, 50706
_WHITE_IS_ZERO, _RGB = 0, 2
_BROKEN = "a broken TIFF (its directory cannot be read)"
_NUMBERS = {1: "integer", 2: "signed integer", 3: "float", 5: "complex integer", 6: "complex"}


def tags(image: Image.Image) -> Any:
    """The tags of an opened TIFF by number; empty for images of other formats."""
    return getattr(image, "tag_v2", {})


def refuse_raw(image: Image.Image, head: bytes) -> None:
    """Raise ImageError for a raw photo: the first image in such a TIFF is a thumbnail. `head` is the file's start."""
    found = tags(image)
    if _DNG in found:
        kind = "a raw photo (DNG)"
    elif head[8:10] == b"CR":
        kind = "a raw photo (CR2)"
    elif int(found.get(_SUBFILE) or 0) & 1 or found.get(_OLD_SUBFILE) == 2:
        kind = "a TIFF that starts with a thumbnail, as raw photos (NEF, ARW) do"
    else:
        return
    raise ImageError(f"{kind}, which is not read. Convert it to JPEG or TIFF")


def refuse_planes(image: ImageFile, file: io.BufferedIOBase) -> None:
    """Raise ImageError for bands stored one after the other that Pillow reads wrongly without a word: those of more
    than 8 bits that are not compressed, and four that are compressed, one of which has no meaning."""
    found = tags(image)
    if found.get(_PLANES) == 2 and len(found.get(_BITS, ())) > 1:
        compressed = any(tile[0] == "libtiff" for tile in image.tile)
        if has_unnamed_band(image) if compressed else max(found[_BITS]) > 8:
            raise ImageError(layout(file))


def white_is_zero(image: Image.Image) -> bool:
    return tags(image).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def is_unsigned(image: Image.Image) -> bool:
    """Whether a grey image of 32 bits has no sign; Pillow's 32-bit mode has one."""
    found = tags(image)
    return bool(found) and tuple(found.get(_BITS, ())) == (32,) and tuple(found.get(_SAMPLE_FORMAT, (1,))) == (1,)


def has_unnamed_band(image: Image.Image) -> bool:
    """Whether the fourth band, which Pillow takes for opacity, is not declared as such: it can be near infrared."""
    found = tags(image)
    return image.mode == "RGBA" and found.get(_PHOTOMETRIC) == _RGB and _EXTRA not in found


def layout(file: io.BufferedIOBase) -> str:
    """The layout of a TIFF that Pillow does not open: `5 bands of 16-bit integers, compression 1`."""
    try:
        file.seek(0)
        head = file.read(8)
        directory = ImageFileDirectory_v2(head + (file.read(8) if head[2:3] == b"+" or head[3:4] == b"+" else b""))
        file.seek(directory.next)
        directory.load(cast(IO[bytes], file))
        if _PHOTOMETRIC not in directory:
            return _BROKEN
        bits = tuple(directory.get(_BITS, (1,)))
        bands = int(directory.get(_BANDS, len(bits)))
        numbers = _NUMBERS.get(next(iter(directory.get(_SAMPLE_FORMAT, (1,)))), "unknown number")
        order = ", each band for itself" if directory.get(_PLANES) == 2 and bands > 1 else ""
        return (
            f"a TIFF of {counted(bands, 'band')} of {bits[0]}-bit {numbers}s (photometric "
            f"{directory.get(_PHOTOMETRIC)}, compression {directory.get(_COMPRESSION, 1)}{order}), which is not read. "
            "Convert it to 8-bit RGB"
        )
    except Exception:  # a broken directory raises nearly any exception
        return _BROKEN
