"""The JSON schemas of what a server takes and returns, for its OpenAPI description."""

from typing import Any

from .inference_protocol import OUTPUTS

DETECTION = {"$ref": "#/components/schemas/Detection"}


def error() -> dict[str, Any]:
    """The reply to a request that fails."""
    return {**json_object("error"), "properties": {"error": {"type": "string"}}}


def explanation() -> dict[str, Any]:
    """The reply of `/explain`."""
    attention = json_object("parts", "layers", "heads", "rows", "columns", "maps", "peaks", "regions", "inside")
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
    schema = json_object("model", "time", "width", "height", "query", "predictions", "nearest", "attention")
    schema["properties"] = {"nearest": candidates, "attention": attention}
    schema["allOf"] = [DETECTION]
    return schema


def candidate() -> dict[str, Any]:
    """A detection or object query near a point."""
    candidate = json_object("query", "threshold", "detected", "covers")
    candidate["properties"] = {
        "query": {"type": "integer"},
        "threshold": {"type": "number"},
        "detected": {"type": "boolean"},
        "covers": {"type": "boolean", "description": "Whether its box contains the point."},
    }
    candidate["allOf"] = [DETECTION]
    return candidate


def predictions() -> dict[str, Any]:
    """The reply of `/predict`."""
    whole = {"type": "integer", "minimum": 1}
    image = json_object("file", "width", "height", "detections")
    image["properties"] = {
        "file": {"type": ["string", "null"]},
        "width": whole,
        "height": whole,
        "detections": {"type": "array", "items": DETECTION},
    }
    model = json_object("name", "hash")
    model["properties"] = {"name": {"type": "string"}, "hash": {"type": "string"}}
    schema = json_object("model", "time", "images")
    seconds = {"type": "number", "description": "Seconds from the request's header to its detections."}
    schema["properties"] = {"model": model, "time": seconds, "images": {"type": "array", "items": image}}
    return schema


def detection() -> dict[str, Any]:
    """One detection of an image."""
    box = {
        "type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4,
        "description": "x1, y1, x2, y2 in pixels of the upright image.",
    }  # fmt: skip
    detection = json_object("category_id", "category", "score", "box")
    detection["properties"] = {
        "category_id": {"type": "integer"},
        "category": {"type": "string"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "box": box,
    }
    return detection


def inference_request() -> dict[str, Any]:
    """A request in the Open Inference Protocol."""
    tensor = json_object("name", "shape", "datatype")
    tensor["properties"] = {
        "name": {"enum": ["images", "files"]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "datatype": {"enum": ["UINT8", "BYTES"]},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    }
    body = json_object("inputs")
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
    return body


def json_object(*required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required)}
