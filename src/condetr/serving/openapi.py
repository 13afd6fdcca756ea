"""The OpenAPI 3.1 description of a server, from which clients are made and tests are generated."""

from typing import Any

from .explain import MOST_DIGITS
from .inference_protocol import OUTPUTS
from .options import MOST_DETECTIONS
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
            "/models": {"get": _get("The models and their classes.", _object("models"), error)},
            "/metrics": {"get": _get("Metrics for Prometheus.", None, error)},
            "/openapi.json": {"get": _get("This description.", _object("openapi", "paths"), error)},
            "/v2": {"get": _get("The server, in the Open Inference Protocol.", _object("name", "version"), error)},
            "/v2/health/live": {"get": {**_get("Whether the process runs.", _object("live"), {}), **open_}},
            "/v2/health/ready": {
                "get": {
                    **_get(
                        "Whether requests are accepted.",
                        _object("ready"),
                        {"503": _json("Not ready.", _object("ready"))},
                    ),
                    **open_,
                }
            },
            "/v2/models/{name}": {
                "parameters": [name],
                "get": _get(
                    "Inputs and outputs of a model.", _object("name", "inputs", "outputs"), {**error, **_refusals(404)}
                ),
            },
            "/v2/models/{name}/ready": {
                "parameters": [name],
                "get": _get(
                    "Whether a model is ready.",
                    _object("name", "ready"),
                    {**error, **_refusals(404), "503": _json("Not ready.", _object("ready"))},
                ),
            },
            "/v2/models/{name}/infer": {"parameters": [name], "post": _infer(service, error)},
        },
        "components": {
            "schemas": {
                "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
                "Detection": _detection(),
                "Candidate": _candidate(),
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
            "200": _json("The detections.", _predictions()),
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
            "200": _json("The query.", _explanation()),
            **error,
            **_refusals(400, 404, 408, 413, 415, 422, 429, 503),
        },
    }


def _explanation() -> dict[str, Any]:
    attention = _object("parts", "layers", "heads", "rows", "columns", "maps", "peaks", "regions", "inside")
    attention["properties"] = {
        "parts": {"type": "array", "items": {"enum": ["spatial", "content", "combined"]}},
        "maps": {
            "type": "string",
            "contentEncoding": "base64",
            "description": "zlib-compressed bytes: layers x parts x heads x rows x columns, each map's maximum is 255.",
        },
        "peaks": {"type": "array", "description": "The maxima, as multiples of the attention of a uniform map."},
        "regions": {"type": "array", "description": "Where on the box the highest cell of each map is."},
        "inside": {"type": "array", "description": "The fraction of each map inside the box."},
    }
    candidates = {"type": "array", "items": {"$ref": "#/components/schemas/Candidate"}}
    schema = _object("model", "time", "width", "height", "query", "predictions", "nearest", "attention")
    schema["properties"] = {"nearest": candidates, "attention": attention}
    schema["allOf"] = [{"$ref": "#/components/schemas/Detection"}]
    return schema


def _candidate() -> dict[str, Any]:
    candidate = _object("query", "threshold", "detected", "covers")
    candidate["properties"] = {
        "query": {"type": "integer"},
        "threshold": {"type": "number"},
        "detected": {"type": "boolean"},
        "covers": {"type": "boolean", "description": "Whether its box contains the point."},
    }
    candidate["allOf"] = [{"$ref": "#/components/schemas/Detection"}]
    return candidate


def _predictions() -> dict[str, Any]:
    whole = {"type": "integer", "minimum": 1}
    image = _object("file", "width", "height", "detections")
    image["properties"] = {
        "file": {"type": ["string", "null"]},
        "width": whole,
        "height": whole,
        "detections": {"type": "array", "items": {"$ref": "#/components/schemas/Detection"}},
    }
    model = _object("name", "hash")
    model["properties"] = {"name": {"type": "string"}, "hash": {"type": "string"}}
    schema = _object("model", "time", "images")
    seconds = {"type": "number", "description": "Seconds from the request's header to its detections."}
    schema["properties"] = {"model": model, "time": seconds, "images": {"type": "array", "items": image}}
    return schema


def _detection() -> dict[str, Any]:
    box = {
        "type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4,
        "description": "x1, y1, x2, y2 in pixels of the upright image.",
    }  # fmt: skip
    detection = _object("category_id", "category", "score", "box")
    detection["properties"] = {
        "category_id": {"type": "integer"},
        "category": {"type": "string"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "box": box,
    }
    return detection


def _infer(service: Service, error: dict[str, Any]) -> dict[str, Any]:
    tensor = _object("name", "shape", "datatype")
    tensor["properties"] = {
        "name": {"enum": ["images", "files"]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "datatype": {"enum": ["UINT8", "BYTES"]},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    }
    body = _object("inputs")
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": [one["name"] for one in OUTPUTS]}},
    }
    body["properties"] = {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
        "outputs": {"type": "array", "items": wanted},
    }
    return {
        "summary": "Detect objects, in the Open Inference Protocol.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": _json("The detections as tensors.", _object("model_name", "outputs")),
            **error,
            **_refusals(400, 404, 408, 413, 415, 422, 429, 503),
        },
    }


def _get(summary: str, schema: dict[str, Any] | None, others: dict[str, Any]) -> dict[str, Any]:
    text = {"description": summary, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"summary": summary, "responses": {"200": text if schema is None else _json(summary, schema), **others}}


def _object(*required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required)}


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
