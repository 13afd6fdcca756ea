"""One live process a run folder. The lock is the kernel's, so it ends with its process, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CondetrError


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder for the block. Raises CondetrError, naming the process, when another one holds it."""
    file = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CondetrError(f"{folder}: cannot be written ({error.strerror}). Choose another --out") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
            raise CondetrError(f"{folder}: in use by {owner}. Wait for it, stop it, or choose another --out") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
