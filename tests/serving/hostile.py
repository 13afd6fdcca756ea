"""Clients that mean harm or are broken, and the statuses that each may get; None: the connection ends without one."""

import asyncio
import io
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress

from PIL import Image

from tests.serving.served import multipart, picture

BUSY = 429
IMAGE = picture(3, (80, 120))


def bomb(side: int = 50_000) -> bytes:
    """A PNG of a few bytes that declares billions of pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def uniform(mode: str) -> bytes:
    """24 million pixels in 100 KiB, which a server decodes."""
    buffer = io.BytesIO()
    Image.new(mode, (4900, 4900)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def head(length: int | str, path: str = "/predict?threshold=0", *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a", "Connection: close", f"Content-Length: {length}", *more]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def post(body: bytes, path: str = "/predict?threshold=0", *more: str) -> bytes:
    return head(len(body), path, *more) + body


def status_of(reply: bytes) -> int | None:
    return int(reply[9:12]) if reply.startswith(b"HTTP/1.1 ") else None


async def exchange(port: int, *parts: bytes, pause: float = 0.0, end: bool = False) -> bytes:
    """What the server sends until it closes or resets the connection; `end` closes the sending side at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    content = bytearray()

    async def receive() -> None:
        with suppress(OSError):
            while part := await reader.read(1 << 16):
                content.extend(part)

    received = asyncio.create_task(receive())
    try:
        with suppress(OSError):
            for part in parts:
                if received.done() or (content and pause):
                    break
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            if end:
                writer.write_eof()
        await received
        return bytes(content)
    finally:
        writer.close()


async def leaves(port: int, content: bytes, reset: bool) -> bytes:
    """Sends, and closes without waiting; with `reset` in the hardest way."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(content)
    await writer.drain()
    if reset:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    writer.close()
    return b""


async def reads_nothing(port: int) -> bytes:
    """Asks many times and never reads, with a small window."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(200 * b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(8)
    writer.transport.abort()
    return b""


def sends(*parts: bytes, pause: float = 0.0, end: bool = False) -> Callable[[int], Awaitable[bytes]]:
    return lambda port: exchange(port, *parts, pause=pause, end=end)


def form(name: str, content: bytes = IMAGE) -> bytes:
    body, kind = multipart((name, content))
    return post(body, "/predict?threshold=0", f"Content-Type: {kind}")


def infer(body: bytes, *more: str) -> bytes:
    return post(body, "/v2/models/birds/infer", *more)


CHUNKED = b"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = 1 << 20
PIXELS = json.dumps({"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [[[[1, 2]]]]}]})
TEXTS = json.dumps({"inputs": [], "parameters": {f"a{i}": i for i in range(100_000)}}).encode()

# for a server with --max-megabytes 8
HOSTILE: tuple[tuple[str, Callable[[int], Awaitable[bytes]], tuple[int | None, ...]], ...] = (
    ("bomb that declares billions of pixels", sends(post(bomb())), (422, BUSY)),
    ("bomb within the limit, cut short", sends(post(bomb(4900))), (422, BUSY)),
    ("24 million pixels", sends(post(uniform("RGB"))), (200, BUSY)),
    ("24 million pixels with transparency", sends(post(uniform("RGBA"))), (200, BUSY)),
    ("cut file", sends(post(IMAGE[: len(IMAGE) // 2])), (422, BUSY)),
    ("no image", sends(post(b"\0" * 1000)), (422, BUSY)),
    ("slow header", sends(*[bytes([byte]) for byte in head(10)], pause=0.5), (408,)),
    ("slow body", sends(head(1000), *[b"a"] * 100, pause=0.5), (408, BUSY)),
    ("JSON as an image", sends(post(b"{}", "/predict", "Content-Type: application/json")), (415,)),
    ("form without boundary", sends(post(IMAGE, "/predict", "Content-Type: multipart/form-data")), (400, BUSY)),
    ("compressed body", sends(post(zlib.compress(IMAGE), "/predict", "Content-Encoding: deflate")), (415, BUSY)),
    ("large header", sends(head(1, "/predict", "X: " + 300_000 * "a")), (431,)),
    ("many headers", sends(head(1, "/predict", *[f"X{i}: a" for i in range(40_000)])), (431,)),
    ("long path", sends(head(1, "/" + 300_000 * "a")), (400, 431)),
    ("less than announced", sends(head(len(IMAGE) + 9) + IMAGE, end=True), (None, 400, 408, BUSY)),
    ("more than announced", sends(head(10) + IMAGE), (422, BUSY)),
    ("negative length", sends(head(-1)), (400,)),
    ("two lengths", sends(head(1, "/predict", "Content-Length: 2") + b"ab"), (400,)),
    ("huge length", sends(head(10**30)), (400, 413)),
    ("length and chunks", sends(post(b"0\r\n\r\n", "/predict", "Transfer-Encoding: chunked")), (400, BUSY)),
    ("body over the limit", sends(head(9 * MEBIBYTE), *[bytes(MEBIBYTE)] * 9), (413, BUSY)),
    (
        "chunks over the limit",
        sends(CHUNKED, *[b"100000\r\n" + bytes(MEBIBYTE) + b"\r\n"] * 9),
        (413, BUSY),
    ),
    ("7 MiB that are no image", sends(post(bytes(7 * MEBIBYTE))), (422, BUSY)),
    ("a form of 7 MiB that are no image", sends(form("a.png", bytes(7 * MEBIBYTE))), (422, BUSY)),
    ("broken chunk", sends(CHUNKED + b"3\r\nabc\r\nnonsense\r\n"), (None, 400, BUSY)),
    ("leaves in the middle", lambda port: leaves(port, head(len(IMAGE)) + IMAGE[:500], False), (None,)),
    ("leaves before the response", lambda port: leaves(port, post(IMAGE), True), (None,)),
    ("reads nothing", reads_nothing, (None,)),
    ("deep JSON", sends(infer(b"[" * 400_000)), (400, BUSY)),
    ("deep JSON in data", sends(infer(b'{"inputs":' + b"[" * 300_000 + b"]" * 300_000 + b"}")), (400, BUSY)),
    ("too many lists", sends(infer(b"[[]" + b",[]" * 1_000_000 + b"]")), (413, BUSY)),
    ("too many entries", sends(infer(TEXTS)), (413, BUSY)),
    ("pixels of another shape", sends(infer(PIXELS.encode())), (400, BUSY)),
    ("length of JSON that is wrong", sends(infer(b"{}", "Inference-Header-Content-Length: 99")), (400, BUSY)),
    ("null byte in a file name", sends(form("a\0b.png", b"x")), (422, BUSY)),
    ("null byte in the path", sends(b"GET /v2/models/a%00b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), (404,)),
    ("null byte in the query", sends(post(IMAGE, "/predict?classes=%00&threshold=%00")), (400,)),
    ("null byte in a header", sends(head(1, "/predict", "X: \0")), (400,)),
    ("TLS", sends(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)), (400, 408)),
    ("another protocol", sends(b"SSH-2.0-OpenSSH_9\r\n\r\n"), (400,)),
    ("an address", sends(head(0, "/predict?url=http://127.0.0.1/")), (403,)),
    ("a path", sends(post(b"../../etc/passwd")), (422, BUSY)),
)  # fmt: skip
