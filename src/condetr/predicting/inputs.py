"""What Python code may give as images: all that the command line takes, and images in memory."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..arguments import with_article
from ..errors import CondetrError, ImageError, first_line
from ..home import text_with_home
from ..images.decode import Pixels, Source, open_image
from .sources import Found, find_one, leads_to_many

A_VIDEO = (
    "a video, not an image: Predictor.video and `condetr predict` predict its frames, `condetr sample` writes some as "
    "images"
)
TAKEN = (
    "an image is a path or http(s) address, the bytes of an image file, an open binary file, a PIL image, a uint8 "
    "array (height, width, 3) or a uint8 tensor (3, height, width); several are a list of these, a folder or a glob"
)


@runtime_checkable
class Readable(Protocol):
    """An open binary file, of any library."""

    def read(self) -> bytes: ...


Name = str | os.PathLike
InMemory = bytes | bytearray | memoryview | Readable | Image.Image | np.ndarray | Tensor


@dataclass(frozen=True, slots=True)
class Input:
    """One image: `source` is the image as it was given, or the path that a folder or glob leads to; `file` is the path
    or address that it is read from, None for an image in memory."""

    source: Any
    file: str | None
    read: Callable[[], Pixels]

    def open(self) -> Pixels:
        """Raises ImageError with the reason."""
        return self.read()

    def open_named(self) -> Pixels:
        """As `open`, but the error names the file, for a caller who does not."""
        try:
            return self.read()
        except ImageError as error:
            raise ImageError(f"{self.file}: {error}" if self.file else str(error)) from None


def is_one_image(images: Any) -> bool:
    """Whether this is a single image, not several. Raises CondetrError for what is neither."""
    if isinstance(images, Name):
        return not leads_to_many(text_with_home(os.fsdecode(images)))
    if isinstance(images, InMemory):
        return not (isinstance(images, np.ndarray) and images.dtype.kind in "UO" and images.ndim == 1)  # of paths
    if isinstance(images, Iterable) and not isinstance(images, Mapping):
        return False
    raise CondetrError(f"{with_article(images)} is not an image: {TAKEN}")


def inputs(images: Any) -> Iterator[Input]:
    """Each image, with folders and globs expanded in place. Raises CondetrError for what is not an image."""
    for number, image in enumerate([images] if isinstance(images, Name) or is_one_image(images) else images):
        if isinstance(image, Name):
            name = text_with_home(os.fsdecode(image))
            many = leads_to_many(name)
            for one in find_one(name):
                if isinstance(one, Found):
                    read = partial(_fail, A_VIDEO) if not many and one.is_known_video() else one.read
                    yield Input(one.name if many else image, one.name, read)
                elif one.failed:
                    yield Input(image, one.name, partial(_fail, one.reason))
        elif isinstance(image, InMemory):
            yield Input(image, None, partial(_open, image))
        else:
            raise CondetrError(f"image {number}: {with_article(image)} is not an image: {TAKEN}")


def _open(image: InMemory) -> Pixels:
    if isinstance(image, Tensor):
        return open_image(_array(image))
    if isinstance(image, bytearray | memoryview):
        return open_image(bytes(image))
    if isinstance(image, bytes | io.BufferedIOBase | Image.Image | np.ndarray):
        return open_image(image)
    content: Source | str = image.read()
    if not isinstance(content, bytes):
        raise ImageError("a file opened as text; open it with mode 'rb'")
    return open_image(content)


def _array(tensor: Tensor) -> np.ndarray:
    """The pixels of a tensor of shape (3, H, W), or 1 or 4 channels, as (H, W, channels) or (H, W)."""
    shape = tuple(tensor.shape)
    if tensor.dtype != torch.uint8 or len(shape) != 3 or shape[0] not in (1, 3, 4):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ImageError(f"expected a uint8 tensor of shape (3, height, width), got {kind} of shape {shape}")
    try:
        array = tensor.detach().cpu().permute(1, 2, 0).numpy()
    except (RuntimeError, TypeError) as error:  # without values, or not dense
        raise ImageError(f"a tensor that has no array of pixels ({first_line(error)})") from None
    return array[..., 0] if shape[0] == 1 else array


def _fail(reason: str) -> NoReturn:
    raise ImageError(reason)
