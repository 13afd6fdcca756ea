"""What a bulk run may be given (folders, globs, images, manifests, object stores) as a stream of images, each once."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from ..errors import CondetrError
from ..files import quoted
from ..images.decode import SUFFIXES
from ..images.unread import UNREADABLE
from ..plural import counted
from ..predicting.local_files import exists
from ..predicting.sources import Found, Skipped, find_one, leads_to_many
from ..suggestions import did_you_mean, nearest_path
from .images import Image, is_address, is_web, local_image, printed
from .manifests import is_manifest, read_manifest
from .plan import planned_images
from .stores import Address, Stores

MOST_NAMED = 10  # skipped videos in a note


class Sources:
    """The images of all sources, in their order. `notes` is complete after `images` has been read to its end."""

    def __init__(self, names: Sequence[str], exclude: Path) -> None:
        """`exclude` is the folder of the results, which is not searched."""
        self.names, self.exclude, self.stores = names, exclude, Stores(names)
        self.notes: list[str] = []

    def check(self) -> None:
        """Check before any weights are loaded what is quickly seen: that local files and folders exist. Raises
        CondetrError."""
        for name in self.names:
            one = None if leads_to_many(name) or is_address(name) or name == "-" else next(find_one(name), None)
            if one is not None and not isinstance(one, Found) and one.failed:
                raise _failed(name, one)

    def images(self) -> Iterator[Image]:
        """Raises CondetrError for a source that leads to no image."""
        self.notes.clear()
        seen, repeated = _Seen(), 0
        for number, name in enumerate(self.names):
            image = None
            for image in self._of(name, number):
                if seen.add(image.location or image.name):
                    yield image
                else:
                    repeated += 1
            if image is None:
                raise CondetrError(f"{printed(name)}: leads to no image: a manifest without rows, or videos alone")
        if repeated:
            self.notes.append(f"named more than once, predicted once: {counted(repeated, 'image')}")

    def _of(self, name: str, number: int) -> Iterator[Image]:
        if name == "-":
            raise CondetrError("-: a bulk run that can be continued cannot read standard input. Write a manifest")
        if is_address(name) and not is_web(name) and not exists(Path(name)):
            yield from self._in_store(Address.parse(name), number)
            return
        videos: list[str] = []
        for found in find_one(name, self.exclude):
            if not isinstance(found, Found):
                if found.failed:
                    raise _failed(name, found)
                self.notes.append(f"{found.name}: {found.reason}")
            elif not is_manifest(found.name) and found.is_known_video():
                videos.append(found.name)
            elif isinstance(found.location, str):
                yield Image(found.name, found.location, number)
            elif is_manifest(found.name):
                folder = os.path.dirname(os.path.abspath(found.name))
                planned = planned_images(Path(found.name))  # rows of a run name images from where it was started
                for row, value in enumerate(read_manifest(found.name, found.name)):
                    if row < len(planned) and planned[row].name == value:
                        yield replace(planned[row], source=number)
                    else:
                        yield self._in_manifest(value, found.name, row, number, folder)
            else:
                yield local_image(found.name, number)
        if videos and not leads_to_many(name):
            raise CondetrError(f"{printed(videos[0])}: a video, not an image. `condetr predict` predicts videos")
        if videos:
            more = f" and {len(videos) - MOST_NAMED} more" if len(videos) > MOST_NAMED else ""
            named = ", ".join(map(printed, videos[:MOST_NAMED])) + more
            self.notes.append(f"{name}: skipped, videos: {named}. `condetr predict` predicts videos")

    def _in_store(self, source: Address, number: int) -> Iterator[Image]:
        """The images in an object store. In folders, images are recognised by their suffix alone."""
        skipped: Counter[str] = Counter()
        something = False
        for address in self.stores.find(source):
            if is_manifest(address.path) and (address == source or "*" in source.path):
                something = True
                system, path = self.stores.opened(address)
                folder = str(address.at(str(PurePosixPath(address.path).parent)))
                with system.open_input_file(path) as file:
                    for row, value in enumerate(read_manifest(file, str(address))):
                        yield self._in_manifest(value, str(address), row, number, folder)
            elif address == source or PurePosixPath(address.path).suffix.lower() in SUFFIXES | UNREADABLE:
                something = True
                yield Image(str(address), str(address), number)
            else:
                skipped[PurePosixPath(address.path).suffix or "no suffix"] += 1
        if not something:
            raise CondetrError(f"{source}: no images in it, by their suffixes")
        if skipped:
            kinds = ", ".join(f"{count:,} × {suffix}" for suffix, count in skipped.most_common(5))
            self.notes.append(f"{source}: skipped, not images: {kinds}")

    def _in_manifest(self, value: str | None, manifest: str, row: int, number: int, folder: str) -> Image:
        """A relative path starts in the folder of the manifest."""
        if not value:
            return Image(f"{printed(manifest)}, row {row}", "", number)
        if is_address(value):
            return Image(value, value, number)
        if is_address(folder) and not os.path.isabs(value):
            base = Address.parse(folder)
            address = base.at(os.path.normpath("/".join((base.path, value))).replace(os.sep, "/"))
            return Image(value, str(address), number)
        return Image(value, os.path.abspath(os.path.join(folder, value)), number)


def _failed(name: str, source: Skipped) -> CondetrError:
    near = did_you_mean(nearest_path(Path(name))) if source.reason.startswith("no such") else ""
    return CondetrError(f"{source.name}: {source.reason}{near}{_manifests_in(name)}")


def _manifests_in(folder: str) -> str:
    """The way out for a folder of Parquet files, as Spark writes a table; empty if it holds none."""
    try:
        inside = any(is_manifest(one) for one in os.listdir(folder))
    except OSError:
        return ""
    manifests = os.path.join(folder, "*.parquet")
    return f". To read its Parquet files as manifests, name them: {quoted(manifests)}" if inside else ""


class _Seen:
    """A set of texts on the disk, in a database without a name that ends with the process."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.execute("pragma journal_mode = off")
        self.database.execute("create table seen (key blob primary key) without rowid")

    def add(self, text: str) -> bool:
        """Add a text, and return whether it is new."""
        key = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        return self.database.execute("insert or ignore into seen values (?)", (key,)).rowcount == 1
