"""Before the routes: whether a request may be answered (host, site, token), and the count by route and status."""

import hmac
import ipaddress
import re
import time
from collections.abc import Collection, Mapping

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Refused
from .target import in_origin_form

LOCAL_NAMES = (".localhost", ".local", ".internal")


class Access:
    """Called before the routes: checks a request before it is read, and counts requests. `open` paths need no token.

    `hosts` are the names under which the server may be reached, besides IP addresses and names that nobody can
    register; None: any. Otherwise, a page of another site whose name is made to resolve to this machine (DNS rebinding)
    could read what the server returns to a browser of this machine. What a page of another site posts is refused in any
    case.
    """

    def __init__(
        self, app: ASGIApp, routes: Starlette, token: str | None, open: Collection[str], hosts: Collection[str] | None
    ) -> None:
        self._app, self._routes, self._open, self._hosts = app, routes, open, hosts
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            scope, refusal = self._checked(scope)
            await (self._app if refusal is None else refusal)(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._routes.state.service.metrics.request(route, status, time.monotonic() - started)

    def _checked(self, scope: Scope) -> tuple[Scope, JSONResponse | None]:
        """The request with a path as its target, and the response if it is refused."""
        try:
            scope = in_origin_form(scope)
        except Refused as refused:
            return scope, error_response(refused.status, refused.reason)
        return scope, self._refusal(scope)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        host = next(iter(_values(scope, b"host")), b"").decode("latin-1")
        if self._hosts is not None and not _is_local(host) and _name(host) not in self._hosts:
            name = "".join(c for c in _name(host) if c.isprintable())[:100]
            return error_response(403, f"this server has not been allowed to answer under the name {name}")
        if scope["method"] == "POST" and {*_values(scope, b"sec-fetch-site")} & {b"cross-site", b"same-site"}:
            return error_response(403, "a page of another site sent this request")
        if self._token is None or scope["path"] in self._open or self._authorised(scope):
            return None
        reason = "a valid token is needed: Authorization: Bearer TOKEN"
        return error_response(401, reason, {"WWW-Authenticate": "Bearer"})

    def _authorised(self, scope: Scope) -> bool:
        given = _values(scope, b"authorization")
        kind, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        assert self._token is not None
        return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


def _values(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


def _name(host: str) -> str:
    """The name in a header Host, without the port."""
    return re.sub(r":[0-9]*$", "", host).lower().removesuffix(".")


def _is_local(host: str) -> bool:
    """Whether a header Host is empty, or has an IP address or a name that nobody can register."""
    name = _name(host)
    if not {".", ":"} & {*name} or name.endswith(LOCAL_NAMES):
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def error_response(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)
