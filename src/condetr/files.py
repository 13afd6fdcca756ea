"""Atomic writes: a file is written under a temporary name, flushed to the disk, then renamed."""

import errno
import hashlib
import os
import re
import secrets
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock
from safetensors import SafetensorError

from .errors import CondetrError

FULL = (errno.ENOSPC, errno.EDQUOT)
ELSEWHERE = "Choose another folder"


@contextmanager
def replacing(path: Path, ending: str = ".part") -> Iterator[Path]:
    """A temporary path to write to: it replaces `path` when the block succeeds, and is removed when it raises.

    `ending` is for libraries that choose a format by the end of a name, such as ".part.mp4".
    Raises CondetrError when the disk is full or the folder cannot be written; the previous file is then intact.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _new_file(path, ending)
        mode = stat.S_IMODE(part.stat().st_mode)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        yield part
        flush(part)
        os.chmod(part, mode)  # a library may have replaced the file
        os.replace(part, path)
    except OSError as error:
        raise unwritable(path, error) from None
    except SafetensorError as error:  # its writer reports errors of the system as text
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise unwritable(path, OSError(int(number[1]), os.strerror(int(number[1])))) from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def working_folder(parent: Path, purpose: str) -> Iterator[Path]:
    """A hidden folder in `parent` to write files in before they get their final names; removed at the end, also where
    the block raises. Folders of the same purpose that killed processes have left in `parent` are removed first: the
    lock in a folder tells whether its process still runs. Raises CondetrError where `parent` cannot be written.
    """
    prefix = f".condetr-{purpose}-"
    for left in parent.glob(f"{prefix}*/lock"):
        with suppress(OSError, NotImplementedError), FileLock(left, timeout=0):
            shutil.rmtree(left.parent, ignore_errors=True)
    try:
        created = tempfile.TemporaryDirectory(prefix=prefix, dir=parent)
        files = Path(created.name) / "files"
        files.mkdir()
    except OSError as error:
        raise unwritable(parent, error) from None
    with created as folder:
        lock = FileLock(Path(folder) / "lock")
        with suppress(OSError, NotImplementedError):  # on a file system without locks, folders that are left stay
            lock.acquire(timeout=0)
        try:
            yield files
        finally:
            lock.release()


def flush(file: Path) -> None:
    """Write to the disk what the system has of a file in memory, before the file gets its final name."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_together(texts: Mapping[Path, str]) -> None:
    """Write several UTF-8 files, all of them or, where one cannot be written, none."""
    with ExitStack() as stack:
        parts = {path: stack.enter_context(replacing(path)) for path in texts}
        for path, text in texts.items():
            try:
                parts[path].write_text(text, encoding="utf-8")
                flush(parts[path])
            except OSError as error:
                raise unwritable(path, error) from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as part:
        part.write_bytes(content)


def quoted(path: object) -> str:
    """A path as it is typed in a command: in quotes where a shell needs them, and not taken for an option."""
    text = os.fsdecode(path) if isinstance(path, bytes | os.PathLike) else str(path)
    text = f"./{text}" if text.startswith("-") else text
    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)


def safe_name(part: str) -> str:
    """A part of a path as a file name that stays where it is put, on any system, and is not too long."""
    part = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", part.encode("utf-8", "backslashreplace").decode())
    part = "_" + part[1:] if part.startswith(".") else part
    if len(part.encode()) > 200:
        digest = hashlib.sha256(part.encode()).hexdigest()[:8]
        part = part.encode()[:150].decode(errors="ignore") + "-" + digest + PurePosixPath(part).suffix[:8]
    return part or "_"


def check_new_folder(folder: Path) -> None:
    """Check before a long computation that a folder is new or empty, and can be written. Raises CondetrError."""
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise unwritable(folder, error) from None
    if taken:
        raise CondetrError(f"{folder}: exists and is not empty. Name another folder, or remove it")
    check_writable(folder)


def check_writable(folder: Path, way_out: str = ELSEWHERE) -> None:
    """Check before a long computation that a folder, which need not exist yet, can be written. Raises CondetrError."""
    try:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise unwritable(folder, error, way_out) from None


def check_replaceable(path: Path) -> None:
    """Check before a long computation that a file can be written at a path, which need not exist yet. Raises
    CondetrError."""
    try:
        folder = path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise unwritable(path, error) from None
    if folder:
        raise CondetrError(f"{path}: a folder with this name exists. Choose another name")
    check_writable(path.parent)


def unwritable(path: Path, error: OSError, way_out: str = ELSEWHERE) -> CondetrError:
    """The error for a file that the system does not write."""
    if error.errno in FULL:
        intact = "; the previous file is intact" if os.path.isfile(path) else ""
        return CondetrError(f"{path}: the disk is full. Free some space and run again{intact}")
    way_out = "Choose a shorter name" if error.errno == errno.ENAMETOOLONG else way_out
    return CondetrError(f"{path}: cannot be written ({error.strerror or error}). {way_out}")


def _new_file(path: Path, ending: str) -> Path:
    """An empty file beside `path`, with the permissions that the system gives new files. They are not computed from the
    umask: reading it changes it for a moment, in all threads."""
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{ending}")
        with suppress(FileExistsError):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return part
