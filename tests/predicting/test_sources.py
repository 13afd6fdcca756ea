"""Sources become single images, in order, or a reason why not."""

import io
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from condetr.errors import ImageError
from condetr.predicting import download
from condetr.predicting.sources import Found, Skipped, find


def png(color: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (color, 0, 0)).save(file, "PNG")
    return file.getvalue()


def listed(*words: str, stdin: bytes = b"", exclude: Path = Path("nowhere")) -> list[tuple[str, str]]:
    """(name, output name) of what is found, (name, reason) of what is not."""
    found = find(words, io.BytesIO(stdin), exclude)
    return [(one.name, str(one.relative) if isinstance(one, Found) else one.reason) for one in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "b.png",
        "a.JPG",
        "sub/c.webp",
        "sub/no suffix",
        "notes.txt",
        ".hidden.png",
        "out/drawn.png",
        "x.heic",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"some text" if name.endswith("txt") else png())
    return tmp_path


def test_a_folder_is_walked_in_order_without_hidden_files_and_outputs(tree: Path) -> None:
    found = list(find([str(tree)], io.BytesIO(), exclude=tree / "out"))
    images = [one for one in found if isinstance(one, Found)]
    assert [one.name for one in images] == [
        str(tree / name) for name in ("a.JPG", "b.png", "x.heic", "sub/c.webp", "sub/no suffix")
    ]
    assert [str(one.relative) for one in images][-2:] == [f"{tree.name}/sub/c.webp", f"{tree.name}/sub/no suffix"]
    (skipped,) = (one for one in found if isinstance(one, Skipped))
    assert (skipped.reason, skipped.failed) == ("skipped, not images: notes.txt", False)


@pytest.mark.parametrize(("pattern", "count"), [("", 5), ("/**/*.png", 5), ("/**", 5), ("/*/*.png", 3)])
def test_linked_folders_are_followed_once(pattern: str, count: int, tmp_path: Path) -> None:
    shots, store = tmp_path / "shots", tmp_path / "store"
    for file in (shots / "a.png", shots / "cam0" / "b.png", store / "c.png", store / "deep" / "d.png"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png())
    for link, target in (
        ("cam2", store),
        ("again", store),
        ("loop", shots),
        ("up", tmp_path),
        ("cam1", shots / "cam0"),
    ):
        (shots / link).symlink_to(target, target_is_directory=True)
    (shots / ".versions" / "1").mkdir(parents=True)
    (shots / ".versions" / "1" / "e.png").write_bytes(png())
    (shots / "now").symlink_to(shots / ".versions" / "1", target_is_directory=True)
    (store / "round").symlink_to(store, target_is_directory=True)
    found = [str(one.location) for one in find([f"{shots}{pattern}"], io.BytesIO(), tmp_path / "out")
             if isinstance(one, Found)]  # fmt: skip
    real = [os.path.realpath(path) for path in found]
    assert (len(set(real)), len(real)) == (count, count) if pattern != "/*/*.png" else len(set(real)) >= count


@pytest.mark.parametrize("folder", ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", ".ipynb_checkpoints"])
@pytest.mark.parametrize("file", ["a.png~", "a.png.bak", "a.png.part"])
def test_folders_of_systems_and_copies_are_left_out(folder: str, file: str, tree: Path) -> None:
    before = listed(str(tree))[:-1]
    (tree / folder).mkdir()
    (tree / folder / "a.png").write_bytes(png())
    (tree / file).write_bytes(png())
    *found, (_, skipped) = listed(str(tree))
    assert (found, skipped) == (before, f"skipped, not images: {file}, notes.txt")


def test_a_named_file_is_an_image_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("a#1=2.jpg", "ein Bild über.png", "[x].png", "*.png", "no suffix", "-5.png"):
        (tmp_path / name).write_bytes(png())
        assert listed(str(tmp_path / name)) == [(str(tmp_path / name), name)]


def test_globs(tree: Path) -> None:
    assert [name for name, _ in listed(f"{tree}/*.png", f"{tree}/**/*.webp")] == [
        str(tree / "b.png"),
        str(tree / "sub/c.webp"),
    ]
    assert listed(f"{tree}/*.bmp")[0][1] == "no file matches"


def test_folders_of_a_glob_may_have_brackets_in_their_names(tree: Path) -> None:
    folder = tree / "holiday [1] *"
    (folder / "day [a]").mkdir(parents=True)
    (folder / "day [a]" / "x.png").write_bytes(png())
    names = [str(folder / "day [a]" / "x.png")]
    for pattern in ("day [a]/*.png", "day*/x.png", "**/*.png", "day [[]a]/[wx].png"):
        assert [name for name, _ in listed(f"{folder}/{pattern}")] == names, pattern


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("nowhere.jpg", "no such file or folder"),
        ("", "an empty name"),
        ("ftp://host/a.jpg", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
    ],
)
def test_names_that_lead_to_nothing(word: str, reason: str) -> None:
    (skipped,) = find([word], io.BytesIO(), Path("out"))
    assert isinstance(skipped, Skipped)
    assert skipped.failed
    assert skipped.reason.startswith(reason)


def test_folders_without_images_and_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(str(tmp_path)) == [(str(tmp_path), "a folder without images")]

    def locked(path: Path, onerror: object, followlinks: bool) -> Iterator[tuple]:
        onerror(PermissionError(13, "Permission denied", str(path)))  # type: ignore[operator]
        yield str(path), [], []

    monkeypatch.setattr(os, "walk", locked)
    assert listed(str(tmp_path)) == [(str(tmp_path), "cannot be listed (Permission denied)")]


def test_standard_input_is_an_image_or_a_list_of_paths(tree: Path) -> None:
    (found,) = find(["-"], io.BytesIO(png(7)), Path("out"))
    assert isinstance(found, Found)
    assert found.read()[0, 0, 0] == 7
    lines = f"\ufeff{tree}/b.png\r\n\n{tree}/sub\nnowhere.png".encode()
    names = [name for name, _ in listed("-", stdin=lines)]
    assert names == [f"{tree}/b.png", f"{tree}/sub/c.webp", f"{tree}/sub/no suffix", "nowhere.png"]
    assert listed("-", stdin=b"\0\1\2junk")[0][1].startswith("neither")
    assert listed("-")[0][1].startswith("empty")


def test_a_list_on_standard_input_is_read_as_it_comes(tree: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", buffering=0) as feeder:
        found = find(["-"], stdin, Path("out"))
        for name in ("a.JPG", "b.png"):
            feeder.write(f"{tree}/{name}\n".encode())
            assert next(found).name == f"{tree}/{name}"


class Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = {
            "/a%20b.png": (200, {}, png(9)),
            "/page": (200, {}, b"<html>"),
            "/to-file": (302, {"Location": "file:///etc/passwd"}, b""),
            "/to-ftp": (302, {"Location": "ftp://127.0.0.1/a.png"}, b""),
            "/to-image": (302, {"Location": "/a%20b.png"}, b""),
            "/short": (200, {"Content-Length": "1000"}, png()[:20]),
            "/huge": (200, {}, b"\xff\xd8\xff" + b"0" * 5000),
        }.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_addresses_are_fetched(web: str) -> None:
    for address in (f"{web}/a%20b.png", f"{web}/a b.png", f"{web}/to-image"):
        (found,) = find([address], io.BytesIO(), Path("out"))
        assert isinstance(found, Found)
        assert found.read()[0, 0, 0] == 9
    assert listed(f"{web}/a%20b.png?size=3#x") == [(f"{web}/a%20b.png?size=3#x", "a b.png")]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "404"),
        ("/page", "a web page"),
        ("/to-file", "not allowed"),
        ("/to-ftp", "redirects to ftp"),
        ("/short", "cut short|IncompleteRead"),
        ("/huge", "more than 4,000 bytes"),
    ],
)
def test_addresses_that_fail(web: str, path: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 4000)
    (found,) = find([web + path], io.BytesIO(), Path("out"))
    assert isinstance(found, Found)
    with pytest.raises(ImageError, match=reason) as error:
        found.read()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/a.jpg", "http://", "http://[::1", "http://ho st/", "http://é/"]
)
def test_addresses_without_a_server(address: str) -> None:
    for found in find([address], io.BytesIO(), Path("out")):
        if isinstance(found, Found):
            with pytest.raises(ImageError, match="cannot be fetched"):
                found.read()


def test_an_image_reads_as_an_array(tree: Path) -> None:
    (found,) = find([str(tree / "b.png")], io.BytesIO(), Path("out"))
    assert isinstance(found, Found)
    np.testing.assert_array_equal(found.read(), np.zeros((3, 4, 3), np.uint8))
