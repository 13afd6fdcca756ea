"""uvicorn's HTTP/1.1 connection, with limits on time and number, so that no client keeps one open forever."""

import asyncio
import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_PIECE = 2048  # bytes
HEADER_SECONDS = 10.0  # for the header of a request to arrive
LINGER_SECONDS = 5.0  # for a client to read a response, or to stop sending a body that was refused
STOPPING_SECONDS = 1.0  # for the latter, when the server stops
MOST_CONNECTIONS = 2000


class Connection(H11Protocol):
    """It is closed where a header, or the reading of a response, takes too long. More than `most` at once get 503."""

    def __init__(self, most: int = MOST_CONNECTIONS, **options: Any) -> None:
        super().__init__(**options)
        self.most = most
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._refused = self._stopping = self._excess = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Lingering(transport, self._unread, self._discard))  # type: ignore[arg-type]
        if len(self.connections) > self.most:
            self._refused = True
            transport.write(_response(503, "too many connections; try again later", "Retry-After: 1"))
            transport.close()
        else:
            self._watch_header()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        while data and not self._refused:
            if self.conn.their_state in (h11.MUST_CLOSE, h11.CLOSED):  # nothing may follow the last request: discarded
                self._excess = True
                break
            # h11 limits a header only while it is incomplete: it gets it in pieces
            size = HEADER_PIECE if self.conn.their_state is h11.IDLE else len(data)
            super().data_received(data[:size])
            data = data[size:]
        if self._body_timer is not None and self.conn.their_state is not h11.SEND_BODY:
            self._body_timer.cancel()
            self._body_timer = None
        self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_header_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        unread = self._unread()
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        elif unread:  # the rest of the body is discarded for a moment: closed at once, a client misses the response
            self._body_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        self._watch_header()

    def _unread(self) -> bool:
        """Whether the client is still sending the body of a request, or has sent more than that."""
        return self._excess or self.conn.their_state is h11.SEND_BODY

    def _discard(self) -> None:
        self._refused = True
        self.flow.resume_reading()
        self.loop.call_later(STOPPING_SECONDS if self._stopping else LINGER_SECONDS, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        if self._refused:
            self.transport.abort()
            return
        self._stopping = True
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def send_400_response(self, msg: str) -> None:
        """Called while h11's error is handled, which has the status that fits: 431 for a header that is too large."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if self.cycle is None or self.cycle.response_complete:
            reasons = {431: "the header is too large", 501: "this transfer encoding is not supported"}
            reason = reasons.get(status, "not a valid HTTP request")
            self.transport.write(_response(status, reason))
            self._end()
        else:  # in the body of a request that is being received
            self._refused = True
            self.transport.close()

    def _end(self) -> None:
        """Send no more, and discard what still arrives for a moment: closed at once, a client that is still sending
        sees a reset connection instead of the response."""
        self._refused = True
        self._cancel_header_timer()
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.resume_reading()
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _watch_header(self) -> None:
        """The header of a new connection, and any header that has begun, must be complete in time. Idle connections
        between two requests have uvicorn's own limit."""
        if self.conn.their_state is not h11.IDLE or self.timeout_keep_alive_task is not None:
            self._cancel_header_timer()
        elif self._header_timer is None and not self.transport.is_closing():
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._header_too_slow)

    def _header_too_slow(self) -> None:
        self.transport.write(_response(408, "the header did not arrive in time"))
        self._end()

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


class _Lingering:
    """The transport of a connection. While a client is sending, `close` ends the other direction alone: if nobody
    read, its system would reset the connection, and the client would never see the response."""

    def __init__(self, transport: asyncio.Transport, unread: Callable[[], bool], discard: Callable[[], None]) -> None:
        self._transport, self._unread, self._discard = transport, unread, discard
        self._lingers = False
        self.write, self.write_eof, self.abort = transport.write, transport.write_eof, transport.abort
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading
        self.get_extra_info = transport.get_extra_info

    def is_closing(self) -> bool:
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if not self._unread() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._lingers = True
        self._transport.write_eof()
        self._discard()


def _response(status: int, reason: str, *headers: str) -> bytes:
    body = json.dumps({"error": reason}).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
