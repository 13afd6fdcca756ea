"""The routes of a server. Every error is one line of JSON: `{"error": "..."}`."""

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..explaining.thresholds import by_label
from ..reports.colors import color_of
from . import inference_protocol, inference_tensors, options
from .access import Access, error_response
from .explain import explain
from .limits import ClientGone, Refused
from .metrics import CONTENT_TYPE
from .models import Model
from .openapi import description
from .page import page_routes
from .service import Service, service_of

OPEN = ("/v2/health/live", "/v2/health/ready")  # no token: probes of an orchestrator have none
GONE = 499  # in the metrics only: nobody receives it


def application(
    start: Callable[[], Service],
    version: str,
    token: str | None,
    page: bool = True,
    hosts: Collection[str] | None = None,
) -> ASGIApp:
    """`start` is called in the event loop when the server starts. With a token, requests need it as bearer token, but
    for probes and the files of the page. `page`: whether there is one, at `/`. `hosts`: see `Access`."""

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
            Route("/predict", predict, methods=["POST"]),  # first: each route before it is compared with every address
            Route("/explain", explain, methods=["POST"]),
            Route("/models", models),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
            Route("/v2", server),
            Route("/v2/health/live", live),
            Route("/v2/health/ready", ready),
            *_model_routes("/v2/models/{name}"),
            *_model_routes("/v2/models/{name}/versions/{version}"),
            *files,
        ],
        lifespan=lifespan,
        exception_handlers={
            Refused: _refused, ClientGone: _client_gone, HTTPException: _http_error, Exception: _unexpected,
        },
    )  # fmt: skip
    app.router.redirect_slashes = False  # a redirect would name http and the header Host, also behind a proxy with TLS
    return Access(app, app, token, {*OPEN, *(route.path for route in files)}, hosts)


def _model_routes(path: str) -> list[Route]:
    return [
        Route(path, model_metadata),
        Route(f"{path}/ready", model_ready),
        Route(f"{path}/infer", infer, methods=["POST"]),
    ]


async def predict(request: Request) -> Response:
    started = time.monotonic()
    service = service_of(request)
    query = options.of_query(request.query_params, "model", "url", *options.NAMES)
    model = service.model(query.get("model"))
    selection = options.selection(model, query)
    async with service.receiver.images(request, query.get("url", ()), service.limits.images) as images:
        found = await service.detect(request, model, images, selection)
    named = [{**one.to_dict(), "file": image.name} for one, image in zip(found, images, strict=True)]
    return JSONResponse(
        {"model": {"name": model.name, "hash": model.hash}, "time": time.monotonic() - started, "images": named}
    )


async def infer(request: Request) -> Response:
    service = service_of(request)
    model = _named_model(request)
    header_length = request.headers.get("inference-header-content-length")
    async with service.receiver.body(request) as body:
        given = inference_protocol.parse, body.take(), header_length, service.limits
        asked = await service.receiver.parsed(*given)
        del given
        found = await service.detect(request, model, asked.images, options.selection(model, asked.parameters))
    content, headers = inference_tensors.response(asked.id, asked.outputs, model, found)
    return Response(content, headers=headers)


async def models(request: Request) -> Response:
    return JSONResponse({"models": [_described(model) for model in service_of(request).models.values()]})


async def metrics(request: Request) -> Response:
    return PlainTextResponse(service_of(request).metrics.text(), media_type=CONTENT_TYPE)


async def live(request: Request) -> Response:
    is_live = service_of(request).live
    return JSONResponse({"live": is_live}, 200 if is_live else 503)


async def ready(request: Request) -> Response:
    is_ready = service_of(request).ready
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


async def model_metadata(request: Request) -> Response:
    return JSONResponse(inference_tensors.metadata(_named_model(request)))


async def model_ready(request: Request) -> Response:
    service, model = service_of(request), _named_model(request)
    return JSONResponse({"name": model.name, "ready": service.ready}, 200 if service.ready else 503)


def _named_model(request: Request) -> Model:
    """The model of the path. Raises Refused for one that does not exist, also in the version of the path."""
    model, wanted = service_of(request).model(request.path_params["name"]), request.path_params.get("version")
    if wanted not in (None, inference_tensors.version(model)):
        raise Refused(404, f"no such version; the version is {inference_tensors.version(model)}")
    return model


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


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_response(error.status, error.reason, error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reasons = {
        404: "no such address; GET /openapi.json describes what there is",
        405: "this address has no such method",
    }
    return error_response(error.status_code, reasons.get(error.status_code, "not possible"), dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    return error_response(500, "internal error; the server's log has the details")
