"""Before the routes: whether a request has the token, and the count of requests by route and status."""

import hmac
import time
from collections.abc import Collection, Mapping

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Access:
    """Called before the routes: checks the token before a request is read, except for `open` paths; counts requests."""

    def __init__(self, app: ASGIApp, routes: Starlette, token: str | None, open: Collection[str]) -> None:
        self._app, self._routes, self._open = app, routes, open
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
            if self._token is None or scope["path"] in self._open or self._authorised(scope):
                await self._app(scope, receive, observed)
            else:
                refusal = error_response(
                    401, "a valid token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
                )
                await refusal(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._routes.state.service.metrics.request(route, status, time.monotonic() - started)

    def _authorised(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        assert self._token is not None
        return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


def error_response(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)
