"""The plan of a bulk run: the images in numbered shards, fixed in files before the first one is predicted."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CondetrError
from ..extras import imported
from ..files import check_writable, replacing, write_text
from .images import Image
from .rows import Counts, counted

FOLDER = "_plan"  # readers of Parquet folders skip names that begin with _ or .
RECORD = "plan.json"
VERSION = 1
LARGEST = 128  # images of a shard
SMALLEST = 8
FEW = 64 * LARGEST  # images; fewer are divided into about 64 shards, so that several workers have something to do
SHARDS_OF_A_FILE = 1024


class Shard(NamedTuple):
    number: int
    images: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`out` is the folder of the results. The rows depend on `settings`, and on the images."""

    out: Path
    settings: dict[str, Any]
    images: int
    shard_size: int

    @property
    def shards(self) -> int:
        return -(-self.images // self.shard_size)

    def file(self, number: int) -> Path:
        """The Parquet file of a shard. It exists if and only if the shard is finished."""
        return self.out / f"shard-{number:06d}.parquet"

    def size_of(self, number: int) -> int:
        return min(self.shard_size, self.images - number * self.shard_size)

    def finished(self) -> dict[int, Counts]:
        """The shards that are finished. A file that is damaged, or has another number of rows, does not count."""
        found = {}
        for number in range(self.shards):
            if self.file(number).exists():
                counts = counted(self.file(number))
                if counts is not None and counts.rows == self.size_of(number):
                    found[number] = counts
        return found

    def read(self, skip: Iterable[int] = ()) -> Iterator[Shard]:
        """The shards in their order, each read when it is needed. Raises CondetrError for a damaged plan."""
        skipped = frozenset(skip)
        for first in range(0, self.shards, SHARDS_OF_A_FILE):
            yield from self._of_file(first, skipped)

    def _of_file(self, first: int, skipped: Collection[int]) -> Iterator[Shard]:
        """The shards in the file that begins with one of them."""
        arrow, parquet = imported("pyarrow", "bulk"), imported("pyarrow.parquet", "bulk")
        file = self.out / FOLDER / _name(first)
        try:
            with parquet.ParquetFile(file) as opened:
                for number in range(first, min(first + SHARDS_OF_A_FILE, self.shards)):
                    if number not in skipped:
                        rows = opened.read_row_group(number - first).to_pydict()
                        yield Shard(number, tuple(map(_image, rows["image"], rows["location"], rows["source"])))
        except (arrow.ArrowException, OSError):
            raise CondetrError(f"{file}: damaged. Remove {self.out}, and start again") from None

    def shard(self, number: int) -> tuple[Image, ...]:
        """The images of one shard. Raises CondetrError for a damaged plan."""
        first = number - number % SHARDS_OF_A_FILE
        others = {*range(first, min(first + SHARDS_OF_A_FILE, self.shards))} - {number}
        return next((shard.images for shard in self._of_file(first, others)), ())

    @classmethod
    def load(cls, out: Path) -> "Plan | None":
        """The plan in a folder of results; None if there is none. Raises CondetrError for a damaged one."""
        file = out / FOLDER / RECORD
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["version"] != VERSION:
                raise CondetrError(f"{file}: made by another version of condetr. Choose another `out`")
            return cls(out, dict(record["settings"]), int(record["images"]), int(record["shard_size"]))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CondetrError(f"{file}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError):
            raise CondetrError(f"{file}: damaged. Remove {out}, and start again") from None

    @classmethod
    def check_folder(cls, out: Path) -> None:
        """Raises CondetrError for a folder that cannot be written, or that has other files and no plan."""
        check_writable(out)
        others = sorted(one.name for one in out.iterdir() if not one.name.startswith(".")) if out.is_dir() else []
        if others and not (out / FOLDER / RECORD).exists():
            raise CondetrError(f"{out}: holds other files ({others[0]}). Choose a new folder with `out`")

    @classmethod
    def make(cls, out: Path, settings: dict[str, Any], images: Iterable[Image]) -> "Plan":
        """Write the plan; it appears as a whole. Raises CondetrError if the folder contains anything else."""
        cls.check_folder(out)
        part = Path(tempfile.mkdtemp(prefix=f".{FOLDER}.", dir=out))
        try:
            stream = iter(images)
            first = list(islice(stream, FEW))
            shard_size = shard_size_for(len(first))
            count = 0
            shards = _chunks(chain(first, stream), shard_size)
            for number in range(0, 2**62, SHARDS_OF_A_FILE):
                written = _write(part / _name(number), islice(shards, SHARDS_OF_A_FILE))
                count += written
                if not written:
                    break
            record = {"version": VERSION, "images": count, "shard_size": shard_size, "settings": settings}
            write_text(part / RECORD, json.dumps(record, indent=2) + "\n")
            os.replace(part, out / FOLDER)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return cls(out, settings, count, shard_size)

    def check(self, settings: dict[str, Any], images: Callable[[], Iterable[Image]]) -> None:
        """Raises CondetrError if this is the plan of other images or of other settings."""
        for name, ours in self.settings.items():
            if settings.get(name) != ours:
                what = name.replace("_", " ")
                values = f"{what} {_shown(ours)}, not {_shown(settings.get(name))}"
                differs = f"other {what}" if name in ("weights", "categories") else values
                raise CondetrError(f"{self.out}: holds a run with {differs}. {WAY_OUT}")
        planned = chain.from_iterable(shard.images for shard in self.read())
        for old, new in zip_longest(planned, images()):
            if old is None or new is None or old.key != new.key:
                differs = f"without {new.name}" if new is not None else f"with {old.name}, too" if old else ""
                raise CondetrError(f"{self.out}: holds a run of other images, {differs}. {WAY_OUT}")


WAY_OUT = "Repeat its command as it was, or choose another `out`"


def shard_size_for(images: int) -> int:
    """The number of images in a shard. It depends only on the number of all images, so that any number of workers can
    work on the shards."""
    return min(LARGEST, max(SMALLEST, -(-images // 64)))


def remove_leftovers(out: Path) -> None:
    """Remove what a killed run has left half written. Only for the process that holds the folder's lock."""
    for part in [*out.glob(f".{FOLDER}.*"), *out.glob(".shard-*.part")]:
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)


def _name(first: int) -> str:
    return f"images-{first // SHARDS_OF_A_FILE:06d}.parquet"


def _chunks(images: Iterable[Image], size: int) -> Iterator[list[Image]]:
    stream = iter(images)
    while chunk := list(islice(stream, size)):
        yield chunk


def _write(file: Path, shards: Iterator[list[Image]]) -> int:
    """Write the shards as row groups of a file, and return the number of their images. If there are none, no file is
    written."""
    arrow, parquet = imported("pyarrow", "bulk"), imported("pyarrow.parquet", "bulk")
    first = next(shards, None)
    if first is None:
        return 0
    schema = arrow.schema([("image", arrow.string()), ("location", arrow.binary()), ("source", arrow.int32())])
    count = 0
    with replacing(file) as part, parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        for shard in chain([first], shards):
            locations = [image.location.encode("utf-8", "surrogateescape") for image in shard]
            rows = [[image.name for image in shard], locations, [image.source for image in shard]]
            writer.write_table(arrow.table(rows, schema=schema), row_group_size=len(shard))
            count += len(shard)
    return count


def _image(name: str, location: bytes, source: int) -> Image:
    return Image(name, location.decode("utf-8", "surrogateescape"), source)


def planned_images(file: Path) -> tuple[Image, ...]:
    """The images of the shard whose rows a file has, in their order; none for any other file. Raises CondetrError for a
    damaged plan."""
    number = re.fullmatch(r"shard-(\d{6,})\.parquet", file.name, re.ASCII)
    plan = Plan.load(file.parent) if number and (file.parent / FOLDER / RECORD).exists() else None
    return plan.shard(int(number[1])) if number and plan is not None else ()


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"of {len(value)} classes" if value and isinstance(value[0], float) else ",".join(map(str, value))
    return "none" if value is None else str(value)
