"""What a user may name (files, folders, globs, http(s) addresses, standard input) as a stream of single images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ..images.decode import Pixels, open_image
from . import download, local_files
from .standard_input import ByteStream, NotAnImage, read_standard_input


@dataclass(frozen=True, slots=True)
class Found:
    """An image that has been found, not read. `name` is how the user knows it, `relative` its path in an output folder,
    `location` where it is: a file, an address, or the bytes of the file themselves."""

    name: str
    location: Path | bytes | str
    relative: PurePosixPath

    def read(self) -> Pixels:
        """Raises ImageError with the reason."""
        return open_image(download.download(self.location) if isinstance(self.location, str) else self.location)


@dataclass(slots=True, weakref_slot=True)
class Opened:
    """A found image on its way through the detector. With `keep` its pixels stay, so that whatever draws on them need
    not fetch and decode the image again; they go with this object."""

    found: Found
    keep: bool
    pixels: Pixels | None = field(default=None, init=False, repr=False)

    def read(self) -> Pixels:
        """Raises ImageError with the reason."""
        if self.pixels is not None:
            return self.pixels
        pixels = self.found.read()
        if self.keep:
            self.pixels = pixels
        return pixels


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source that leads to no image. `failed`: it should have, so that the run counts as failed."""

    name: str
    reason: str
    failed: bool


def find(names: Iterable[str], standard_input: ByteStream, exclude: Path) -> Iterator[Found | Skipped]:
    """Every image that the names lead to, in their order, folders sorted; nothing is read ahead.

    A name is a path, a folder, a glob, an http(s) address, or `-`: the bytes of one image, or such names, one a line.
    Folders and globs leave out `exclude` (the outputs of this or an earlier run) and hidden files.
    """
    for name in names:
        if name == "-":
            yield from _standard_input(standard_input, exclude)
        else:
            yield from find_one(name, exclude)


def find_one(name: str, exclude: Path | None = None) -> Iterator[Found | Skipped]:
    """Every image that one path, folder, glob or http(s) address leads to."""
    scheme = name.partition("://")[0].lower() if "://" in name else ""
    path = Path(name)
    if not name:
        yield Skipped("''", "an empty name", failed=True)
    elif scheme in ("http", "https"):
        try:
            file = unquote(PurePosixPath(urlsplit(name).path).name)
        except ValueError as error:
            yield Skipped(name, f"not an address ({error})", failed=True)
        else:
            yield Found(name, name, PurePosixPath(file or "image"))
    elif scheme and not local_files.exists(path):
        yield Skipped(name, f"only http and https addresses are fetched, not {scheme}", failed=True)
    elif local_files.is_folder(path):
        yield from _folder(path, exclude)
    elif leads_to_many(name):
        found = False
        for match in local_files.matches(name, exclude):
            found = True
            yield Found(str(match), match, PurePosixPath(match.name))
        if not found:
            yield Skipped(name, "no file matches", failed=True)
    elif local_files.is_missing(path):
        yield Skipped(name, "no such file or folder", failed=True)
    else:
        yield Found(name, path, PurePosixPath(path.name))


def leads_to_many(name: str) -> bool:
    """Whether a name is a folder or a glob, and so may lead to any number of images."""
    if name.lower().startswith(("http://", "https://")):
        return False
    path = Path(name)
    return local_files.is_folder(path) or (has_magic(name) and not local_files.exists(path))


def _folder(folder: Path, exclude: Path | None) -> Iterator[Found | Skipped]:
    something, others = False, []
    for path in local_files.walk(folder, exclude):
        if isinstance(path, OSError):
            something = True
            yield Skipped(str(path.filename), f"cannot be listed ({path.strerror})", failed=True)
        elif local_files.looks_like_an_image(path):
            something = True
            yield Found(str(path), path, PurePosixPath(folder.resolve().name, *path.relative_to(folder).parts))
        else:
            others.append(str(path.relative_to(folder)))
    if others:
        named = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        yield Skipped(str(folder), f"skipped, not images: {named}", failed=False)
    if not something:
        yield Skipped(str(folder), "a folder without images", failed=True)


def _standard_input(stream: ByteStream, exclude: Path) -> Iterator[Found | Skipped]:
    try:
        content = read_standard_input(stream)
    except NotAnImage as error:
        yield Skipped("-", str(error), failed=True)
        return
    if isinstance(content, bytes):
        yield Found("-", content, PurePosixPath("stdin"))
        return
    found = False
    for name in content:
        found = True
        yield from find_one(name, exclude)
    if not found:
        yield Skipped("-", "empty: expected one image, or paths, one a line", failed=True)
