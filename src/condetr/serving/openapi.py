"""The OpenAPI 3.1 description of a server, from which clients are made and tests are generated."""

from typing import Any

from . import schemas
from .explain import MOST_DIGITS
from .options import MOST_DETECTIONS
from .schemas import json_object
from .service import Service

ERRORS = {
    400: "A parameter or the body is invalid.",
    404: "There is no such model.",
    408: "The request did not arrive in time.",
    413: "Too many bytes, pixels or images.",
    415: "The body has a type that is not accepted.",
    422: "An image cannot be read.",
    429: "The queue is full.",
    503: "The prediction took too long, or memory did not suffice.",
}


def description(service: Service, version: str, token: bool) -> dict[str, Any]:
    """`token`: whether requests need one."""
    secured: dict[str, Any] = {"security": [{"bearer": []}]} if token else {}
    open_: dict[str, Any] = {"security": []} if token else {}
    error = {"401": _refusal("A valid token is missing.")} if token else {}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": "The model."}
    return {
        "openapi": "3.1.0",
        "info": {"title": "condetr", "version": version, "description": "Object detection in images."},
        "paths": {
            "/predict": {"post": _predict(service, error)},
            "/explain": {"post": _explain(service, error)},
            "/models": {"get": _get("The models and their classes.", json_object("models"), error)},
            "/metrics": {"get": _get("Metrics for Prometheus.", None, error)},
            "/openapi.json": {"get": _get("This description.", json_object("openapi", "paths"), error)},
            "/v2": {"get": _get("The server, in the Open Inference Protocol.", json_object("name", "version"), error)},
            "/v2/health/live": {"get": {**_get("Whether the process runs.", json_object("live"), {}), **open_}},
            "/v2/health/ready": {
                "get": {
                    **_get(
                        "Whether requests are accepted.",
                        json_object("ready"),
                        {"503": _json("Not ready.", json_object("ready"))},
                    ),
                    **open_,
                }
            },
            "/v2/models/{name}": {
                "parameters": [name],
                "get": _get(
                    "Inputs and outputs of a model.",
                    json_object("name", "inputs", "outputs"),
                    {**error, **_refusals(404)},
                ),
            },
            "/v2/models/{name}/ready": {
                "parameters": [name],
                "get": _get(
                    "Whether a model is ready.",
                    json_object("name", "ready"),
                    {**error, **_refusals(404), "503": _json("Not ready.", json_object("ready"))},
                ),
            },
            "/v2/models/{name}/infer": {"parameters": [name], "post": _infer(service, error)},
        },
        "components": {
            "schemas": {
                "Error": schemas.error(),
                "Detection": schemas.detection(),
                "Candidate": schemas.candidate(),
            },
            **({"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}} if token else {}),
        },
        **secured,
    }


BINARY = {"schema": {"type": "string", "format": "binary"}}


def _predict(service: Service, error: dict[str, Any]) -> dict[str, Any]:
    several = {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": service.limits.images}
    form = {"type": "object", "required": ["image"], "properties": {"image": several}}
    return {
        "summary": "Detect objects in one image or several.",
        "parameters": [
            *_model_and_threshold(service),
            {
                **_query("classes", {"type": "array", "items": {"type": "string"}}, "Only these classes."),
                "style": "form",
                "explode": False,
            },
            _query(
                "max_detections",
                {"type": "integer", "minimum": 1, "maximum": MOST_DETECTIONS},
                "The most detections of an image.",
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": BINARY,
                "application/octet-stream": BINARY,
                "multipart/form-data": {"schema": form},
            },
        },
        "responses": {
            "200": _json("The detections.", schemas.predictions()),
            **error,
            **_refusals(400, 404, 408, 413, 415, 422, 429, 503),
        },
    }


def _explain(service: Service, error: dict[str, Any]) -> dict[str, Any]:
    whole = {"type": "integer", "minimum": 0, "maximum": 10**MOST_DIGITS - 1}
    return {
        "summary": "Explain one query of an image: what it attends to, and what is near a point.",
        "parameters": [
            *_model_and_threshold(service),
            _query("detection", whole, "The number of a detection at this threshold; 0, the default, is the best."),
            _query("at", {"type": "string"}, "X,Y: a point in pixels of the upright image, instead of a detection."),
            _query("query", whole, "The number of an object query, instead of a detection."),
        ],
        "requestBody": {"required": True, "content": {"image/*": BINARY, "application/octet-stream": BINARY}},
        "responses": {
            "200": _json("The query.", schemas.explanation()),
            **error,
            **_refusals(400, 404, 408, 413, 415, 422, 429, 503),
        },
    }


def _infer(service: Service, error: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": "Detect objects, in the Open Inference Protocol.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas.inference_request()}}},
        "responses": {
            "200": _json("The detections as tensors.", json_object("model_name", "outputs")),
            **error,
            **_refusals(400, 404, 408, 413, 415, 422, 429, 503),
        },
    }


def _get(summary: str, schema: dict[str, Any] | None, others: dict[str, Any]) -> dict[str, Any]:
    text = {"description": summary, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"summary": summary, "responses": {"200": text if schema is None else _json(summary, schema), **others}}


def _model_and_threshold(service: Service) -> list[dict[str, Any]]:
    return [
        _query("model", {"type": "string", "enum": list(service.models)}, "The model; default: the first."),
        _query(
            "threshold",
            {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": "best"}]},
            "Confidence threshold, or best: each class's own, saved with the weights.",
        ),
    ]


def _query(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def _json(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _refusal(text: str) -> dict[str, Any]:
    return _json(text, {"$ref": "#/components/schemas/Error"})


def _refusals(*statuses: int) -> dict[str, Any]:
    found = {str(status): _refusal(ERRORS[status]) for status in statuses}
    for status in ("429", "503"):
        if status in found:
            found[status]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
            }
    return found
