"""The routes of a server. Every error is one line of JSON: `{"error": "..."}`."""

import hmac
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..explaining.thresholds import by_label
from ..reports.colors import color_of
from . import inference_protocol, options
from .explain import explain
from .incoming import accepted, images_of
from .limits import ClientGone, Refused
from .metrics import CONTENT_TYPE
from .models import Model
from .openapi import description
from .page import page_routes
from .service import Service, service_of

OPEN = ("/v2/health/live", "/v2/health/ready")  # no token: probes of an orchestrator have none
GONE = 499  # in the metrics only: nobody receives it


def application(start: Callable[[], Service], version: str, token: str | None, page: bool = True) -> ASGIApp:
    """`start` is called in the event loop when the server starts. With a token, requests need it as bearer token, but
    for probes and the files of the page. `page`: whether there is one, at `/`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.service = start()
        try:
            yield
        finally:
            app.state.service.close()

    async def openapi(request: Request) -> Response:
        return JSONResponse(description(service_of(request), version, token is not None))

    async def server(request: Request) -> Response:
        return JSONResponse({"name": "condetr", "version": version, "extensions": ["binary_tensor_data"]})

    files = page_routes() if page else []
    app = Starlette(
        routes=[
            *files,
            Route("/predict", predict, methods=["POST"]),
            Route("/explain", explain, methods=["POST"]),
            Route("/models", models),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
            Route("/v2", server),
            Route("/v2/health/live", live),
            Route("/v2/health/ready", ready),
            Route("/v2/models/{name}", model_metadata),
            Route("/v2/models/{name}/ready", model_ready),
            Route("/v2/models/{name}/infer", infer, methods=["POST"]),
        ],
        lifespan=lifespan,
        exception_handlers={
            Refused: _refused, ClientGone: _client_gone, HTTPException: _http_error, Exception: _unexpected,
        },
    )  # fmt: skip
    return Access(app, app, token, {*OPEN, *(route.path for route in files)})


async def predict(request: Request) -> Response:
    started = time.monotonic()
    service = service_of(request)
    query = options.of_query(request.query_params, "model", *options.NAMES)
    model = service.model(query.get("model"))
    selection = options.selection(model, query)
    content_type = accepted(request.headers.get("content-type", ""))
    async with service.body(request) as content:
        images = await service.in_thread(images_of, content, content_type, service.limits.images)
        found = await service.detect(request, model, images, selection)
    named = [{**one.to_dict(), "file": image.name} for one, image in zip(found, images, strict=True)]
    return JSONResponse(
        {"model": {"name": model.name, "hash": model.hash}, "time": time.monotonic() - started, "images": named}
    )


async def infer(request: Request) -> Response:
    service = service_of(request)
    model = service.model(request.path_params["name"])
    header_length = request.headers.get("inference-header-content-length")
    async with service.body(request) as content:
        asked = await service.in_thread(inference_protocol.parse, content, header_length, service.limits)
        found = await service.detect(request, model, asked.images, options.selection(model, asked.parameters))
    return JSONResponse(inference_protocol.response(asked, model, found))


async def models(request: Request) -> Response:
    return JSONResponse({"models": [_described(model) for model in service_of(request).models.values()]})


async def metrics(request: Request) -> Response:
    return PlainTextResponse(service_of(request).metrics.text(), media_type=CONTENT_TYPE)


async def live(request: Request) -> Response:
    return JSONResponse({"live": True})


async def ready(request: Request) -> Response:
    is_ready = service_of(request).ready
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


async def model_metadata(request: Request) -> Response:
    return JSONResponse(inference_protocol.metadata(service_of(request).model(request.path_params["name"])))


async def model_ready(request: Request) -> Response:
    service = service_of(request)
    model = service.model(request.path_params["name"])
    return JSONResponse({"name": model.name, "ready": service.ready}, 200 if service.ready else 503)


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
                refusal = _error(
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


def _described(model: Model) -> dict[str, Any]:
    categories, least = model.predictor.categories, by_label(None, model.predictor)
    return {
        "name": model.name,
        "hash": model.hash,
        "classes": [
            {
                "category_id": categories.ids[label],
                "category": categories.name(label),
                "threshold": least[label],
                "color": "#{:02x}{:02x}{:02x}".format(*color_of(label)),
            }
            for label in categories.real
        ],
        "thresholds": model.predictor.thresholds is not None,
        "attention": model.attention,
        "max_detections": options.most_detections(model),
    }


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _error(error.status, error.reason, error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reasons = {
        404: "no such address; GET /openapi.json describes what there is",
        405: "this address has no such method",
    }
    return _error(error.status_code, reasons.get(error.status_code, "not possible"), dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    return _error(500, "internal error; the server's log has the details")
