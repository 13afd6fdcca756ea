"""What each image file contains (size, orientation, format, a digest of the content), read by a pool of threads."""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

from ..engine.processors import cores
from ..errors import ImageError
from ..images.decode import image_size, open_image, opened
from .cache import FactsCache
from .facts import ImageFacts

Inspect = Callable[[Path], ImageFacts]
Progress = Callable[[int, int], None]


def inspect_pixels(path: Path) -> ImageFacts:
    """The facts after decoding every pixel. The digest is of the pixels, so it also finds copies saved again."""
    try:
        content = _content(path)
        pixels = open_image(content)
        stored, orientation, kind = _header(io.BytesIO(content))
    except ImageError as error:
        return ImageFacts.of_problem(str(error))
    height, width = pixels.shape[:2]
    digest = blake2b(pixels.tobytes(), digest_size=12, key=f"{width}x{height}".encode()).hexdigest()
    return ImageFacts((width, height), stored, orientation, kind, digest, "")


def inspect_header(path: Path) -> ImageFacts:
    """The facts from the header only: fast, but truncated files pass. The digest is of the file's ends and length."""
    try:
        upright = image_size(path)
        with path.open("rb") as file:
            stored, orientation, kind = _header(file)
            length = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest = blake2b(file.read(65536), digest_size=12, key=str(length).encode())
            file.seek(max(0, length - 65536))
            digest.update(file.read())
    except ImageError as error:
        return ImageFacts.of_problem("missing" if str(error) == "no such file" else str(error))
    except (OSError, ValueError) as error:
        return ImageFacts.of_problem(f"cannot be read ({error})")
    return ImageFacts(upright, stored, orientation, kind, digest.hexdigest(), "")


def inspect_images(
    paths: Sequence[Path], inspect: Inspect, cache: FactsCache | None = None, progress: Progress | None = None
) -> list[ImageFacts]:
    """The facts of every path, in order, from a pool of threads (image decoders release the GIL).

    Readable files that `cache` knows are not opened again. `progress` is called with the number done and the total.
    """
    unique = list(dict.fromkeys(paths))
    known: dict[Path, ImageFacts] = {}
    if cache is not None:
        known = {path: facts for path in unique if (facts := cache.get(path)) is not None}
    unknown = [path for path in unique if path not in known]
    pool = ThreadPoolExecutor(cores())
    try:
        for done, (path, facts) in enumerate(zip(unknown, pool.map(inspect, unknown)), start=len(known) + 1):
            known[path] = facts
            if progress is not None:
                progress(done, len(unique))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for the remaining images
    if unknown and cache is not None:
        cache.store(known)
    return [known[path] for path in paths]


def _content(path: Path) -> bytes:
    try:
        if path.is_file():
            return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read ({error})") from None
    raise ImageError("not an ordinary file" if path.exists() else "missing")


def _header(file: io.BytesIO | io.BufferedReader) -> tuple[tuple[int, int], int, str]:
    """Stored size, EXIF orientation and file format."""
    with opened(file) as image:
        kind, stored = image.format or "", image.size
        if kind == "TIFF":  # Pillow applies a TIFF's orientation itself, to the size as well
            return stored, 1, kind
        try:
            orientation = image.getexif().get(0x0112, 1)
        except Exception:  # broken metadata of a readable image: no orientation
            orientation = 1
    return stored, orientation if orientation in range(1, 9) else 1, kind
