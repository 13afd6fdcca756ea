"""Grey images of 16 and 32 bits, integer or float, to 8 bits."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from ..errors import ImageError
from ..shapes import Float64, UInt8
from .tiff import is_unsigned, tags, white_is_zero

BAND = 1 << 20  # pixels that are converted to floats at a time


def is_deep_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def to_eight_bits(image: Image.Image) -> UInt8[np.ndarray, "H W"]:
    """Scaled linearly from the image's range to 0..255; NaN, as for missing values, becomes 0.

    The range is that of the type for 16 bits (12 bits in a 12-bit TIFF); for 32-bit integers 0..65535 and for floats
    0..1 if all values lie in it, else from the smallest to the largest value. A TIFF in which white is 0 is inverted.
    Raises ImageError if no value is finite.
    """
    low, high = _range(image)
    scale = 255 / (high - low) if high > low else 0.0
    grey = np.empty((image.height, image.width), np.uint8)
    for top, values in _bands(image):
        values = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * scale
        grey[top : top + len(values)] = np.rint(values.clip(0, 255))
    return 255 - grey if white_is_zero(image) else grey


def _bands(image: Image.Image) -> Iterator[tuple[int, Float64[np.ndarray, "h W"]]]:
    """Bands of rows as floats, with the index of the first row: the whole image as floats could take gigabytes."""
    rows = max(1, BAND // image.width)
    unsigned = image.mode == "I" and is_unsigned(image)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        values = np.asarray(band)
        yield top, (values.view(np.uint32) if unsigned else values).astype(np.float64)


def _range(image: Image.Image) -> tuple[float, float]:
    """The values that become black and white."""
    if image.mode.startswith("I;16"):
        bits = tags(image).get(258, (16,))  # TIFF 6.0, BitsPerSample
        return 0.0, float(2 ** min(bits[0], 16) - 1)
    low, high = np.inf, -np.inf
    for _, values in _bands(image):
        finite = np.isfinite(values)
        low = min(low, float(values.min(initial=np.inf, where=finite)))
        high = max(high, float(values.max(initial=-np.inf, where=finite)))
    if low > high:  # no finite value
        raise ImageError("without content: every pixel is NaN or infinite")
    if image.mode == "I" and low >= 0 and high <= 65535:  # Pillow opens a 16-bit PGM as mode "I"
        return 0.0, 65535.0
    if image.mode == "F" and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high
