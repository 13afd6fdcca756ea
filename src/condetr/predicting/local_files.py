"""Images in folders and behind globs, recognised by suffix or by their first bytes."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import escape, glob
from pathlib import Path

from ..datasets.walk import listed_below
from ..images.decode import SUFFIXES
from ..images.unread import UNREADABLE

MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"\0\0\0\x0cjP")

_COPIES = ("~", ".bak", ".orig", ".part", ".crdownload", ".tmp")  # ends of the names of backups and partial downloads


def walk(folder: Path, exclude: Path | None) -> Iterator[Path | OSError]:
    """Every visible file below a folder, sorted, and the error of each folder that cannot be listed. Linked folders are
    followed, each once."""
    failures: list[OSError] = []
    for root, files in listed_below(folder, failures.append, lambda place: is_within(Path(place), exclude)):
        yield from (Path(root, file) for file in files if not file.startswith("."))
        while failures:
            yield failures.pop(0)


def matches(pattern: str, exclude: Path | None) -> Iterator[Path]:
    """The files that match a glob, sorted; `**` matches any folders.

    Folders at its beginning that exist are taken literally, even if their names have brackets: `holiday [1]/*.jpg`.
    """
    literal = Path(with_literal_folders(pattern))
    hidden = any(part.startswith(".") for part in literal.parts)
    deep = "**" in literal.parts and not hidden
    found = _matches_below(literal.parts) if deep else map(Path, glob(str(literal), recursive=True))
    for path in sorted(found, key=str):
        if not is_folder(path) and not is_within(path, exclude):
            yield path


def _matches_below(parts: tuple[str, ...]) -> Iterator[Path]:
    """What a glob with `**` matches: linked folders are followed, each once, where `glob` would follow loops."""
    deep = parts.index("**")
    for top in glob(str(Path(*parts[:deep]))):
        for place, files in listed_below(Path(top)):
            folders = Path(place).relative_to(top).parts
            for name in files:
                if not name.startswith(".") and fits((*folders, name), parts[deep:]):
                    yield Path(place, name)


def fits(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a path matches a glob; ** stands for any folders."""
    if not pattern or not names:
        return not names and all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return fits(names, pattern[1:]) or fits(names[1:], pattern)
    return fnmatchcase(names[0], pattern[0]) and fits(names[1:], pattern[1:])


def with_literal_folders(pattern: str) -> str:
    """The glob with the special characters of its existing first folders escaped."""
    folder, parts = Path(), Path(pattern).parts
    for number, part in enumerate(parts):
        if number == len(parts) - 1 or not is_folder(folder / part):
            break
        folder = folder / part
    else:
        return pattern
    return str(Path(escape(str(folder)), *parts[number:])) if number else pattern


def looks_like_an_image(path: Path) -> bool:
    """Whether a file is an image by its suffix (those of formats that cannot be read included) or by its first
    bytes, unless its name is that of a copy."""
    if path.suffix.lower() in SUFFIXES | UNREADABLE:
        return True
    if path.name.endswith(_COPIES):
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(16)
        return is_magic(start) and not start.startswith(b"BM")  # two letters that text may begin with
    except OSError:
        return False


def is_magic(start: bytes) -> bool:
    """Whether these are the first bytes of JPEG, PNG, GIF, TIFF, BMP, JPEG 2000, WebP or AVIF."""
    return start.startswith(MAGIC) or start[8:12] == b"WEBP" or start[4:12] in (b"ftypavif", b"ftypavis")


def exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def is_missing(path: Path) -> bool:
    """Whether there is certainly no such file. False if a permission hides it: opening it gives the reason."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that no file can have
        return True
    except OSError:
        return False
    return False


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_within(path: Path, folder: Path | None) -> bool:
    return folder is not None and folder.resolve() in (path.resolve(), *path.resolve().parents)
