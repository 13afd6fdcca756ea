"""The OpenAPI 3.1 description of a server, from which clients are made and tests are generated."""

from typing import Any

from .models import NAME
from .options import MOST_DETECTIONS
from .schemas import (
    EXPLANATION,
    FILE,
    INFERENCE,
    METADATA,
    MODELS,
    POINT,
    POSITION,
    PREDICTIONS,
    SCHEMAS,
    TEXT,
    THRESHOLD,
    TRUTH,
    Schema,
    inference_request,
    listed,
    record,
)
from .service import Service

ERRORS = {
    400: "A parameter or the body is invalid.",
    401: "A valid token is missing.",
    403: "Images of this address are not fetched.",
    404: "There is no such model.",
    408: "The request did not arrive in time.",
    413: "Too many bytes, pixels or images.",
    415: "The body has a type that is not accepted.",
    422: "An image cannot be read.",
    429: "The queue is full.",
    502: "An image could not be fetched from its address.",
    503: "The prediction took too long, or memory did not suffice.",
    504: "An image was not fetched from its address in time.",
}
RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
BODY = (400, 404, 408, 413, 415, 422, 429, 503)
IMAGES = (*BODY, 403, 502, 504)


def description(service: Service, version: str, token: bool) -> dict[str, Any]:
    """`token`: whether requests need one."""
    known = (401,) if token else ()
    free: dict[str, Any] = {"security": []} if token else {}
    not_ready = {"503": _json("Not ready.", record({"ready": TRUTH}))}
    not_live = {"503": _json("Has to be restarted.", record({"live": TRUTH}))}
    paths: dict[str, Any] = {
        "/predict": {"post": _predict(service, known)},
        "/explain": {"post": _explain(service, known)},
        "/models": {"get": _get("The models and their classes.", MODELS, known)},
        "/metrics": {"get": _get("Metrics for Prometheus.", None, known)},
        "/openapi.json": {"get": _get("This description.", record({"openapi": TEXT, "paths": {}}), known)},
        "/v2": {
            "get": _get(
                "The server, in the Open Inference Protocol.",
                record({"name": TEXT, "version": TEXT, "extensions": listed(TEXT)}),
                known,
            )
        },
        "/v2/health/live": {
            "get": {**_get("Whether the server works.", record({"live": TRUTH}), (), not_live), **free}
        },
        "/v2/health/ready": {
            "get": {**_get("Whether requests are accepted.", record({"ready": TRUTH}), (), not_ready), **free}
        },
    }
    name = _path("name", {"type": "string", "pattern": f"^{NAME}$"}, "The model.")
    number = _path("version", TEXT, "The version in the model's metadata; there is one.")
    for path, parameters in (("", [name]), ("/versions/{version}", [name, number])):
        paths[f"/v2/models/{{name}}{path}"] = {
            "parameters": parameters,
            "get": _get("Inputs and outputs of a model.", METADATA, (*known, 404)),
        }
        paths[f"/v2/models/{{name}}{path}/ready"] = {
            "parameters": parameters,
            "get": _get("Whether a model is ready.", record({"name": TEXT, "ready": TRUTH}), (*known, 404), not_ready),
        }
        paths[f"/v2/models/{{name}}{path}/infer"] = {"parameters": parameters, "post": _infer(service, known)}
    schemes = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}} if token else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "condetr", "version": version, "description": "Object detection in images."},
        "paths": paths,
        "components": {"schemas": SCHEMAS, **schemes},
        **({"security": [{"bearer": []}]} if token else {}),
    }


def _predict(service: Service, known: tuple[int, ...]) -> dict[str, Any]:
    classes = {name for model in service.models.values() for name in model.predictor.categories.names if name}
    named: Schema = {"type": "string", "enum": sorted(name for name in classes if "," not in name)}
    several = listed(FILE, minItems=1, maxItems=service.limits.images)
    most: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_DETECTIONS}
    return {
        "summary": "Detect objects in one image or several.",
        "parameters": [
            *_model_and_threshold(service),
            {**_query("classes", listed(named, minItems=1), "Only these."), "style": "form", "explode": False},
            _query("max_detections", most, "The most detections of an image."),
            *_addresses(service, service.limits.images),
        ],
        "requestBody": _images(service, {"multipart/form-data": {"schema": record({"image": several})}}),
        "responses": {"200": _json("The detections.", PREDICTIONS), **_refusals(*known, *IMAGES)},
    }


def _explain(service: Service, known: tuple[int, ...]) -> dict[str, Any]:
    return {
        "summary": "Explain one query of an image: what it attends to, and what is near a point.",
        "parameters": [
            *_model_and_threshold(service),
            _query("detection", POSITION, "The number of a detection at this threshold; 0, the default, is the best."),
            _query("at", POINT, "X,Y: a point in pixels of the upright image, instead of a detection."),
            _query("query", POSITION, "The number of an object query, instead of a detection."),
            *_addresses(service, 1),
        ],
        "requestBody": _images(service, {}),
        "responses": {"200": _json("The query.", EXPLANATION), **_refusals(*known, *IMAGES)},
    }


def _infer(service: Service, known: tuple[int, ...]) -> dict[str, Any]:
    found = _json("The detections as tensors.", INFERENCE)
    found["content"]["application/octet-stream"] = {"schema": FILE}  # JSON, and binary data after it
    length = "The length of the JSON, where binary data follow it."
    header = {
        **_query("Inference-Header-Content-Length", {"type": "integer", "minimum": 1}, length),
        "in": "header",
    }
    return {
        "summary": "Detect objects, in the Open Inference Protocol.",
        "parameters": [header],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": inference_request(service.limits.images)},
                "application/octet-stream": {"schema": FILE},
            },
        },
        "responses": {"200": found, **_refusals(*known, *BODY)},
    }


def _images(service: Service, more: dict[str, Any]) -> dict[str, Any]:
    """The body is not required where images may be named by address."""
    kinds = ("image/*", "application/octet-stream")
    return {
        "required": not service.limits.allow_urls_from,
        "content": {**{kind: {"schema": FILE} for kind in kinds}, **more},
    }


def _addresses(service: Service, most: int) -> list[dict[str, Any]]:
    if not service.limits.allow_urls_from:
        return []
    text = f"Addresses of images at {', '.join(service.limits.allow_urls_from)}, instead of a body."
    return [_query("url", listed({"type": "string", "format": "uri"}, minItems=1, maxItems=most), text)]


def _model_and_threshold(service: Service) -> list[dict[str, Any]]:
    return [
        _query("model", {"type": "string", "enum": list(service.models)}, "The model; default: the first."),
        _query("threshold", THRESHOLD, "Confidence threshold, or best: each class's own, saved with the weights."),
    ]


def _get(
    summary: str, schema: Schema | None, refused: tuple[int, ...], others: dict[str, Any] | None = None
) -> dict[str, Any]:
    text = {"description": summary, "content": {"text/plain": {"schema": TEXT}}}
    found = text if schema is None else _json(summary, schema)
    return {"summary": summary, "responses": {"200": found, **_refusals(*refused), **(others or {})}}


def _path(name: str, schema: Schema, text: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": text}


def _query(name: str, schema: Schema, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def _json(text: str, schema: Schema) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _refusals(*statuses: int) -> dict[str, Any]:
    found = {str(status): _json(ERRORS[status], {"$ref": "#/components/schemas/Error"}) for status in sorted(statuses)}
    for status in {"429", "503"} & {*found}:
        found[status]["headers"] = RETRY
    return found
