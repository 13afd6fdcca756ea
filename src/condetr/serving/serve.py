"""Serve detectors over HTTP until a signal arrives."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn

from ..engine.interrupt import HANGUP
from ..errors import CondetrError
from .app import application
from .connection import MOST_CONNECTIONS, Connection
from .limits import Limits
from .models import Model
from .service import Service

HEADER_BYTES = 16 * 1024
LOCAL = ("127.0.0.1", "::1", "localhost")


class Server(uvicorn.Server):
    """Calls `started` once connections are accepted, `finishing` if Ctrl-C arrives while requests wait, with their
    number, and `forced` at a second Ctrl-C, which should end the process at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        started: Callable[[], None],
        finishing: Callable[[int], None],
        forced: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_start, self._finishing, self._forced = started, finishing, forced

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        stops = self.should_exit
        super().handle_exit(sig, frame)
        if sig == signal.SIGINT and stops:
            self._forced()
        elif sig == signal.SIGINT and self.server_state.tasks:
            self._finishing(len(self.server_state.tasks))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A closed terminal stops the server as SIGTERM does, unless `nohup` has it ignored."""
        before = signal.getsignal(HANGUP) if HANGUP else signal.SIG_IGN
        with super().capture_signals():
            if before == signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
                yield
                return
            signal.signal(HANGUP, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(HANGUP, signal.SIG_DFL if before is None else before)


def bound(host: str, port: int) -> socket.socket:
    """A socket that nobody can connect to yet. Raises CondetrError where the address cannot be used."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CondetrError(f"`host={host!r}`: {error.strerror or 'no such address'}") from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or "invalid"
        raise CondetrError(
            f"`host={host!r}, port={port}`: {reason}. Choose another one, or 0 for any free port"
        ) from None
    return opened


def server(
    models: Sequence[Model],
    limits: Limits,
    *,
    version: str,
    max_batch: int,
    max_wait: float,
    parallel: int = 1,
    token: str | None = None,
    page: bool = True,
    hosts: Collection[str] | None = None,
    started: Callable[[], None] = lambda: None,
    finishing: Callable[[int], None] = lambda requests: None,
    forced: Callable[[], None] = lambda: None,
) -> Server:
    """`run(sockets=[...])` serves until SIGTERM or Ctrl-C; what was accepted by then is finished first. The callbacks
    are those of `Server`.

    `max_wait` is in seconds, `parallel` batches are predicted at the same time, `page` says whether `/` is a page for
    people, and `hosts` are the public names under which the server may be reached (None: any; see `Access`). The models
    should be warmed up, so that the first request does not wait.
    """
    most = min(MOST_CONNECTIONS, _most_files() - 64)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # no line for each malformed form
    config = uvicorn.Config(
        application(lambda: Service(models, limits, max_batch, max_wait, parallel), version, token, page, hosts),
        http=cast(type[asyncio.Protocol], partial(Connection, most)),
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",  # no line for each malformed request
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=round(2 * limits.seconds) + 10,
    )
    return Server(config, started, finishing, forced)


def _most_files() -> int:
    """How many files and connections this process may have open, after raising the limit as far as it may."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST_CONNECTIONS + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted: Any = MOST_CONNECTIONS + 512
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MOST_CONNECTIONS + 64 if soft == resource.RLIM_INFINITY else soft
