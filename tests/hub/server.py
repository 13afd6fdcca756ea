"""A local server for the part of the Hugging Face hub's protocol that downloads use.

    with HubServer(root, faults={"owner/cut": "cut"}) as server:
        os.environ["HF_ENDPOINT"] = server.url

`root` holds `owner/name/revision/files…`; every revision folder is a branch, and its commit hash is derived from its
path. Clients ask for the repository's information (`/api/models/…`), its tree of files, and then for each file by HEAD
(ETag, size, commit) and GET (with byte ranges).
"""

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

# gated: 403 without access; private: 401, as for a repository that does not exist; error: 500 for everything;
# cut: the connection ends after half of each file, once for each file; cut always: every time; slow: 50 kB/s
Fault = Literal["gated", "private", "error", "cut", "cut always", "slow"]

REPOSITORY = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(?:/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class Hub:
    """What is served, and what was asked for: `requests` holds (method, path) in order."""

    root: Path
    faults: dict[str, Fault]
    requests: list[tuple[str, str]] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)  # files whose first download has been cut already

    def revision(self, id: str, revision: str) -> Path | None:
        """The folder of a branch or commit hash."""
        repository = self.root / id
        branches = [folder for folder in repository.iterdir() if folder.is_dir()] if repository.is_dir() else []
        return next((folder for folder in branches if revision in (folder.name, commit(self.root, folder))), None)


def commit(root: Path, folder: Path) -> str:
    """The commit hash of a revision's folder."""
    return hashlib.sha1(str(folder.relative_to(root)).encode()).hexdigest()


def etag(file: Path) -> str:
    """Changes when the file does; the real hub uses a hash of the content."""
    status = file.stat()
    return hashlib.sha256(f"{file.name}{status.st_size}{status.st_mtime_ns}".encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self.respond()

    def do_GET(self) -> None:
        self.respond()

    def respond(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        self.hub.requests.append((self.command, path))
        if match := FILE.fullmatch(path):
            if folder := self.folder(match["id"], match["revision"]):
                self.file(match["id"], folder, match["file"])
        elif match := REPOSITORY.fullmatch(path):
            if folder := self.folder(match["id"], match["revision"] or "main"):
                files = sorted(file for file in folder.rglob("*") if file.is_file())
                names = {str(file.relative_to(folder)): file for file in files}
                if match["what"] == "tree":
                    recursive = parse_qs(address.query).get("recursive") == ["True"]
                    self.json([entry(name, file) for name, file in names.items() if recursive or "/" not in name])
                else:
                    self.json(self.information(match["id"], folder, list(names)))
        else:
            self.failure(404, "RepoNotFound")

    def folder(self, id: str, revision: str) -> Path | None:
        """The revision's folder; None where the failure has been sent."""
        fault = self.hub.faults.get(id)
        if fault == "error":
            self.failure(500, "")
        elif fault == "private" or not (self.hub.root / id).is_dir():
            self.failure(401, "RepoNotFound")
        elif fault == "gated":
            self.failure(403, "GatedRepo")
        elif (folder := self.hub.revision(id, revision)) is None:
            self.failure(404, "RevisionNotFound")
        else:
            return folder
        return None

    def information(self, id: str, folder: Path, names: list[str]) -> dict[str, object]:
        siblings = [{"rfilename": name} for name in names]
        return {"id": id, "modelId": id, "sha": commit(self.hub.root, folder), "private": False, "gated": False,
                "disabled": False, "downloads": 0, "likes": 0, "tags": [], "siblings": siblings}  # fmt: skip

    def file(self, id: str, folder: Path, name: str) -> None:
        path = folder / name
        if not path.is_file():
            self.failure(404, "EntryNotFound", {"X-Repo-Commit": commit(self.hub.root, folder)})
            return
        size = path.stat().st_size
        start, stop = self.range(size)
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("ETag", f'"{etag(path)}"')
        self.send_header("X-Repo-Commit", commit(self.hub.root, folder))
        self.send_header("X-Linked-Size", str(size))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(stop - start))
        if self.headers.get("Range"):
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if self.command == "GET":
            self.send(self.hub.faults.get(id), path, start, stop)

    def range(self, size: int) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        return (int(match[1]), int(match[2]) + 1 if match[2] else size) if match else (0, size)

    def send(self, fault: Fault | None, path: Path, start: int, stop: int) -> None:
        if fault == "cut always" or (fault == "cut" and str(path) not in self.hub.cut):
            self.hub.cut.add(str(path))
            stop = start + (stop - start) // 2
            self.close_connection = True
        with path.open("rb") as file:
            file.seek(start)
            while start < stop:
                part = file.read(min(stop - start, 5_000 if fault == "slow" else 1 << 20))
                self.wfile.write(part)
                start += len(part)
                if fault == "slow":
                    time.sleep(0.1)

    def json(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def failure(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"error": code or "Internal Server Error"}).encode()
        self.send_response(status)
        for name, value in {"X-Error-Code": code, **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded, not printed."""


def entry(name: str, file: Path) -> dict[str, object]:
    """A file as the tree lists it."""
    size, oid = file.stat().st_size, etag(file)
    return {"type": "file", "path": name, "size": size, "oid": oid[:40],
            "lfs": {"oid": oid, "size": size, "pointerSize": 134}}  # fmt: skip


class HubServer:
    """The server for the length of a `with` block, on a free port of this machine."""

    def __init__(self, root: Path, faults: dict[str, Fault] | None = None, port: int = 0) -> None:
        self.hub = Hub(root, faults or {})
        handler = type("BoundHandler", (Handler,), {"hub": self.hub})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()
