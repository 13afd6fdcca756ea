"""Files that are either whole or not there: written beside their place, flushed to the disk, then renamed."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from .errors import CondetrError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it takes the place of `path` when the block ends well and goes when it does not.

    Raises CondetrError when the disk is full or the folder cannot be written; what was at `path` is then untouched.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _explained(path, error) from None
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        raise _explained(path, error) from None
    except SafetensorError as error:  # its writer tells the system's errors in words
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise _explained(path, OSError(int(number[1]), os.strerror(int(number[1])))) from None
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as part:
        part.write_bytes(content)


def check_writable(folder: Path) -> None:
    """Learn now, not after an hour of work, that a folder, there or not yet, cannot be written. Raises CondetrError."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise _explained(folder, error) from None


def _explained(path: Path, error: OSError) -> CondetrError:
    if error.errno == errno.ENOSPC:
        return CondetrError(f"{path}: the disk is full. Free some space and run again; the previous file is intact")
    return CondetrError(f"{path}: cannot be written ({error.strerror or error})")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
