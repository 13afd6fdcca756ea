"""What every image file really is: size, orientation, type, a digest of its content; seen once and remembered."""

import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path

from PIL import Image

from ..errors import CondetrError, ImageError
from ..files import write_text
from ..images.decode import FORMATS, image_size, open_image


@dataclass(frozen=True, slots=True)
class Facts:
    """`upright` and `stored` are (width, height) after and before EXIF orientation (1 to 8). `problem` is empty for a
    sound image, "missing", or the reason why it cannot be read; the other fields then mean nothing."""

    upright: tuple[int, int]
    stored: tuple[int, int]
    orientation: int
    kind: str
    digest: str
    problem: str

    @classmethod
    def of_problem(cls, problem: str) -> "Facts":
        return cls((0, 0), (0, 0), 1, "", "", problem)


Look = Callable[[Path], Facts]
Progress = Callable[[int, int], None]


def decode(path: Path) -> Facts:
    """Facts after decoding every pixel; the digest is of the pixels, so that copies saved anew are found too."""
    try:
        content = _content(path)
        pixels = open_image(content)
        stored, orientation, kind = _header(io.BytesIO(content))
    except ImageError as error:
        return Facts.of_problem(str(error))
    height, width = pixels.shape[:2]
    digest = blake2b(pixels.tobytes(), digest_size=12, key=f"{width}x{height}".encode()).hexdigest()
    return Facts((width, height), stored, orientation, kind, digest, "")


def header(path: Path) -> Facts:
    """Facts from the header alone: fast, but a file cut short passes. The digest is of the file's ends and length."""
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
        return Facts.of_problem("missing" if not path.is_file() else str(error))
    except (OSError, ValueError) as error:
        return Facts.of_problem(f"cannot be read ({error})")
    return Facts(upright, stored, orientation, kind, digest.hexdigest(), "")


def inspect(
    paths: Sequence[Path], look: Look, cache: Path | None = None, progress: Progress | None = None
) -> list[Facts]:
    """The facts of every path, in order, by a pool of threads (decoders let go of the interpreter's lock).

    With a `cache` folder, sound files whose length and time of change are as they were are not opened again.
    """
    memory = _Memory(cache, look)
    wanted = list(dict.fromkeys(paths))
    known = {path: facts for path in wanted if (facts := memory.recall(path)) is not None}
    unknown = [path for path in wanted if path not in known]
    pool = ThreadPoolExecutor(_processors())
    try:
        for done, (path, facts) in enumerate(zip(unknown, pool.map(look, unknown)), start=len(known) + 1):
            known[path] = facts
            if progress is not None:
                progress(done, len(wanted))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupted user does not wait for the other images
    if unknown:
        memory.keep(known)
    return [known[path] for path in paths]


def cache_folder() -> Path:
    """Where what was seen of images is remembered between runs."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "condetr" / "images"


class _Memory:
    """One JSON file for a set of images, named by their folder. Losing it costs time, nothing else."""

    def __init__(self, folder: Path | None, look: Look) -> None:
        self.folder = folder
        self.look = getattr(look, "__name__", "look")
        self.files: dict[Path, dict[str, list[object]]] = {}

    def recall(self, path: Path) -> Facts | None:
        if self.folder is None:
            return None
        try:
            stamp = _stamp(path)
            entry = self._of(path.parent).get(path.name)
            if not isinstance(entry, list) or list(stamp) != entry[:2]:
                return None
            upright, stored, orientation, kind, digest = entry[2:]
            facts = Facts(_pair(upright), _pair(stored), int(str(orientation)), str(kind), str(digest), "")
        except (OSError, ValueError, TypeError, IndexError):
            return None
        return facts

    def keep(self, known: dict[Path, Facts]) -> None:
        if self.folder is None:
            return
        for path, facts in known.items():
            if not facts.problem:  # a broken file is looked at again each time: it may have been mended
                try:
                    self._of(path.parent)[path.name] = [*_stamp(path), *astuple(facts)[:-1]]
                except OSError:
                    continue
        for parent, entries in self.files.items():
            try:
                write_text(self._file(parent), json.dumps(entries))
            except (CondetrError, OSError, ValueError):
                return

    def _of(self, parent: Path) -> dict[str, list[object]]:
        if parent not in self.files:
            try:
                content = json.loads(self._file(parent).read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                content = {}
            self.files[parent] = content if isinstance(content, dict) else {}
        return self.files[parent]

    def _file(self, parent: Path) -> Path:
        assert self.folder is not None
        digest = blake2b(os.fsencode(parent.absolute()), digest_size=12).hexdigest()
        return self.folder / f"{self.look}-{digest}.json"


def _content(path: Path) -> bytes:
    try:
        if path.is_file():
            return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read ({error})") from None
    raise ImageError("not an ordinary file" if path.exists() else "missing")


def _header(file: io.BytesIO | io.BufferedReader) -> tuple[tuple[int, int], int, str]:
    with Image.open(file, formats=FORMATS) as image:
        kind, stored = image.format or "", image.size
        if kind == "TIFF":  # Pillow turns these itself, size included
            return stored, 1, kind
        try:
            orientation = image.getexif().get(0x0112, 1)
        except Exception:  # broken metadata of an image that is whole: it stands as stored
            orientation = 1
    return stored, orientation if orientation in range(1, 9) else 1, kind


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError
    return int(value[0]), int(value[1])


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
