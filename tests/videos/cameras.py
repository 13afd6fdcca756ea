"""A camera on the network for tests: MJPEG over HTTP, which drops its connections."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

from tests.videos.clips import picture


class Camera:
    """`connections` are the numbers of frames after which each connection is dropped; later ones are refused."""

    def __init__(self, connections: list[int], pause: float = 0.02) -> None:
        self.connections, self.pause, self.sent = list(connections), pause, 0


@contextmanager
def camera(*connections: int, pause: float = 0.02) -> Iterator[str]:
    """The address of a camera, as host:port."""
    state = Camera(list(connections), pause)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if not state.connections:
                self.send_error(503)
                return
            if "probe" not in self.headers.get("User-Agent", "") and "Lavf" in self.headers.get("User-Agent", ""):
                frames = state.connections.pop(0)
            else:
                frames = 0  # only looks at the content type
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for _ in range(frames):
                content = cv2.imencode(".jpg", picture(state.sent)[..., ::-1])[1].tobytes()
                state.sent += 1
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(content)
                try:
                    self.wfile.write(head + content + b"\r\n")
                except OSError:
                    return
                time.sleep(state.pause)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
