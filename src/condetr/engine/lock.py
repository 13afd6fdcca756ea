"""At most one running process per run folder. The operating system holds the lock, so it ends with its process."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import CondetrError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder while the block runs; the folder is created where there is none.

    Raises CondetrError, naming the process that holds the lock, when the folder is in use.
    """
    holder = folder / ".lock-holder"  # next to the lock file, which the library may truncate
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        owner = _read(holder) or "another process"
        raise CondetrError(f"{folder}: in use by {owner}. Wait for it, stop it, or choose another `out`") from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CondetrError(f"{folder}: cannot be written ({reason}). Choose another `out`") from None
    try:
        _write(holder)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _write(holder: Path) -> None:
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    except OSError as error:  # a full disk, whose error has no file name
        remedy = "Free some space, or choose another `out`"
        raise CondetrError(f"{holder}: cannot be written ({error.strerror or error}). {remedy}") from None


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8", errors="replace").strip()[:100]
    except OSError:
        return ""
