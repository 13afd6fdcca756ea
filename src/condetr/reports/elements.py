"""Parts of a page's HTML: escaped text and embedded images."""

import base64
import html
import io
import re

import numpy as np
from PIL import Image

from ..shapes import UInt8

Pixels = UInt8[np.ndarray, "H W 3"]

FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
UNIT = re.compile(r"(?<=\d) (?=(?:%|×|px|ms|s|min|h|kB|MB|GB)(?!\w))")  # the space between a number and its unit
CODE = re.compile(r"`([^`\n]+)`")
LONGEST_SIDE = 1280  # pixels of a stored image: enough for a screen, small enough for an email


def escape(text: str) -> str:
    """Text for element content and quoted attributes, in which no line ends between a number and its unit."""
    return html.escape(UNIT.sub("\u00a0", visible(text)), quote=True)


def with_code(text: str) -> str:
    """Escaped text whose parts in backticks are shown as code, as in the messages of commands."""
    return CODE.sub(r"<code>\1</code>", escape(text))


def visible(text: str) -> str:
    """Replace characters that HTML forbids or that reorder other text (bidirectional overrides) by a visible mark."""
    return FORBIDDEN.sub("\ufffd", text)


def figcaption(text: str) -> str:
    return f"<figcaption>{escape(text)}</figcaption>" if text else ""


def image_source(pixels: Pixels) -> str:
    """An image as a data URI: PNG where it is small, else JPEG with a longer side of at most LONGEST_SIDE."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    kind = "png" if max(image.size) <= 256 else "jpeg"
    if kind == "png":
        image.save(stream, kind)
    else:
        image.save(stream, kind, quality=87, subsampling=0)  # full color: thin colored lines stay sharp
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
