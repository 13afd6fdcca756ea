"""Object stores (s3://, gs://, file://, ...) through pyarrow's file systems: listed folder by folder, in order."""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from ..errors import CondetrError, ImageError, first_line
from ..extras import imported
from ..predicting.download import MAX_BYTES
from ..predicting.local_files import fits

PATIENCE = 20  # seconds in which a request to Google's store is repeated


class Address(NamedTuple):
    """`s3://key:secret@bucket/photos?region=eu-central-1` in its parts; `path` is /photos, not quoted."""

    scheme: str
    host: str
    path: str
    options: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        scheme, _, rest = text.partition("://")
        rest, _, options = rest.partition("?")
        host, slash, path = rest.partition("/")
        return cls(scheme.lower(), host, unquote(slash + path), options)

    @property
    def public_host(self) -> str:
        """The host without a key and its secret. A text before @ without a secret is the name of a container (abfs)."""
        user, at, host = self.host.rpartition("@")
        return host if ":" in user else user + at + host

    def __str__(self) -> str:
        """The address without secrets and options."""
        return f"{self.scheme}://{self.public_host}{quote(self.path)}"

    def at(self, path: str) -> "Address":
        return self._replace(path=path)

    def with_options_of(self, other: "Address") -> "Address":
        """The address with its own key and options, or, if it has none, with those of the source that led to it."""
        if self.scheme != other.scheme or self.options or self.host != self.public_host:
            return self
        secret = other.host.removesuffix(other.public_host)
        return self._replace(host=secret + self.host, options=other.options)


class Stores:
    """The object stores of a run, each connected to once. `sources` are the sources as they were given."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = sources
        self._roots: dict[tuple[str, str, str], tuple[Any, str]] = {}

    def read(self, location: str, source: int) -> bytes:
        """The content of a file. Raises ImageError with the reason."""
        address = Address.parse(location).with_options_of(Address.parse(self.sources[source]))
        try:
            system, path = self.opened(address)
            with system.open_input_file(path) as file:
                if file.size() > MAX_BYTES:
                    raise ImageError(f"more than {MAX_BYTES:,} bytes")
                return bytes(file.read())
        except FileNotFoundError:
            raise ImageError("no such file") from None
        except CondetrError as error:
            raise ImageError(str(error)) from None
        except (OSError, ValueError) as error:
            raise ImageError(f"cannot be read ({first_line(error)})") from None

    def opened(self, address: Address) -> tuple[Any, str]:
        """The file system and the path in it. Raises CondetrError for an address that pyarrow does not know."""
        key = (address.scheme, address.host, address.options)
        if key not in self._roots:
            options = f"?{address.options}" if address.options else ""
            try:
                self._roots[key] = connect(f"{address.scheme}://{address.host}/{options}")
            except (OSError, ValueError, NotImplementedError) as error:
                raise CondetrError(f"{address}: cannot be opened ({first_line(error)})") from None
        system, root = self._roots[key]
        return system, root.rstrip("/") + address.path

    def find(self, address: Address) -> Iterator[Address]:
        """Every file that an address leads to: the file itself, all files below a folder, or those that match a glob;
        no hidden ones. Raises CondetrError if there is none."""
        try:
            system, path = self.opened(address)
            if has_magic(address.path):
                yield from self._matches(system, address)
                return
            kind = imported("pyarrow.fs", "bulk").FileType
            found = system.get_file_info(path.rstrip("/") or "/").type
            if found == kind.File:
                yield address
            elif found == kind.Directory:
                yield from (address.at(each) for each in self._walk(system, address, lambda folders: True))
            else:
                raise CondetrError(f"{address}: no such file or folder")
        except UnicodeDecodeError as error:  # of a local file system
            name = f"{error.object[:100]!r}"
            raise CondetrError(f"{address}: a name in it is not UTF-8 ({name}). Name the folder as a path") from None
        except OSError as error:
            raise CondetrError(f"{address}: cannot be listed ({first_line(error)})") from None

    def _matches(self, system: Any, address: Address) -> Iterator[Address]:
        parts = PurePosixPath(address.path).parts[1:]
        fixed = next(i for i, part in enumerate(parts) if has_magic(part))
        base, pattern = address.at("/" + "/".join(parts[:fixed])), parts[fixed:]
        start = len(PurePosixPath(base.path).parts)
        found = False
        for path in self._walk(system, base, lambda folders: _leads(folders, pattern)):
            if fits(PurePosixPath(path).parts[start:], pattern):
                found = True
                yield address.at(path)
        if not found:
            raise CondetrError(f"{base}/{'/'.join(pattern)}: no file matches")

    def _walk(self, system: Any, address: Address, enter: Callable[[tuple[str, ...]], bool]) -> Iterator[str]:
        """The paths of all files below a folder, those of each folder before its subfolders; `enter` says which
        subfolders are listed, by the names below the first one."""
        fs = imported("pyarrow.fs", "bulk")
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            folders = waiting.pop()
            path = "/".join((address.path.rstrip("/"), *folders)) or "/"
            _, full = self.opened(address.at(path))
            entries = sorted(system.get_file_info(fs.FileSelector(full or "/")), key=lambda entry: entry.base_name)
            visible = [entry for entry in entries if not entry.base_name.startswith(".")]
            below = [(*folders, entry.base_name) for entry in visible if entry.type == fs.FileType.Directory]
            waiting += [each for each in reversed(below) if enter(each)]
            yield from (f"{path.rstrip('/')}/{entry.base_name}" for entry in visible if entry.type == fs.FileType.File)


def connect(address: str) -> tuple[Any, str]:
    """pyarrow's file system at an address, and the path of its root."""
    system, root = imported("pyarrow.fs", "bulk").FileSystem.from_uri(patient(address))
    return system, root


def patient(address: str) -> str:
    """The address with a limit on retries if it is Google's: its client would try for a quarter of an hour, and
    meanwhile no signal stops this process."""
    if not address.startswith(("gs://", "gcs://")) or "retry_limit_seconds" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}retry_limit_seconds={PATIENCE}"


def _leads(folders: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a folder can hold a path that matches."""
    for name, part in zip(folders, pattern):
        if part == "**":
            return True
        if not fnmatchcase(name, part):
            return False
    return len(folders) < len(pattern)
