"""The JSON of requests and responses in OpenAPI's schemas."""

from typing import Any

from .explain import MOST_DIGITS
from .inference_tensors import OUTPUTS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
TRUTH: Schema = {"type": "boolean"}
FILE: Schema = {"type": "string", "format": "binary"}
THRESHOLD: Schema = {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": "best"}]}
POINT: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?,-?[0-9]+(\.[0-9]+)?$"}
POSITION: Schema = {"type": "integer", "minimum": 0, "maximum": 10**MOST_DIGITS - 1}


def listed(items: Schema, **options: Any) -> Schema:
    return {"type": "array", "items": items, **options}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **options: Any) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}, **options}


def _of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_BOX = listed(NUMBER, minItems=4, maxItems=4, description="x1, y1, x2, y2 in pixels of the upright image.")
_FOUND = {"category_id": WHOLE, "category": TEXT, "score": {"type": "number", "minimum": 0, "maximum": 1}, "box": _BOX}
_SIDE: Schema = {"type": "integer", "minimum": 1}
_MODEL = record({"name": TEXT, "hash": {"type": "string", "description": "SHA-256 over the weights."}})
_SECONDS: Schema = {"type": "number", "description": "Seconds from the request's header to its result."}
_SUPPRESSED: Schema = {"type": "boolean", "description": "Whether non-maximum suppression leaves it out."}
_JUDGED = {"query": WHOLE, "threshold": NUMBER, "detected": TRUTH, "suppressed": _SUPPRESSED}
_COVERS: Schema = {"type": "boolean", "description": "Whether its box contains the point."}

SCHEMAS: dict[str, Schema] = {
    "Error": record({"error": TEXT}),
    "Detection": record(_FOUND),
    "Candidate": record({**_FOUND, **_JUDGED, "covers": _COVERS}),
    "Layer": record(
        {**_FOUND, "reference": listed(NUMBER, description="X, Y in pixels: the point from which the layer started.")}
    ),
}

PREDICTIONS = record(
    {
        "model": _MODEL,
        "time": _SECONDS,
        "images": listed(
            record(
                {
                    "file": {"type": ["string", "null"]},
                    "width": _SIDE,
                    "height": _SIDE,
                    "detections": listed(_of("Detection")),
                }
            )
        ),
    }
)

_ATTENTION = record(
    {
        "parts": listed({"enum": ["spatial", "content", "combined"]}),
        "layers": WHOLE,
        "heads": WHOLE,
        "rows": WHOLE,
        "columns": WHOLE,
        "maps": {
            "type": "string",
            "contentEncoding": "base64",
            "description": "zlib-compressed bytes: layers x parts x heads x rows x columns, each map's maximum is 255.",
        },
        "region": {"type": "array", "description": "The part of the image that the maps cover: x1, y1, x2, y2."},
        "peaks": {"type": "array", "description": "The maxima, as multiples of the attention of a uniform map."},
        "regions": {"type": "array", "description": "Where on the box the highest cell of each map is."},
        "inside": {"type": "array", "description": "The fraction of each map inside the box."},
    }
)
EXPLANATION = record(
    {
        "model": _MODEL,
        "time": _SECONDS,
        "width": _SIDE,
        "height": _SIDE,
        **_FOUND,
        **_JUDGED,
        "predictions": listed(_of("Layer")),
        "nearest": listed(_of("Candidate")),
        "attention": _ATTENTION,
    },
    {"covers": _COVERS},
)

MODELS = record(
    {
        "models": listed(
            record(
                {
                    "name": TEXT,
                    "hash": TEXT,
                    "classes": listed(
                        record({"category_id": WHOLE, "category": TEXT, "threshold": NUMBER, "color": TEXT})
                    ),
                    "thresholds": TRUTH,
                    "attention": TRUTH,
                    "max_detections": WHOLE,
                }
            )
        )
    }
)


def _tensor(name: str, datatype: str, shape: Schema, data: Schema) -> Schema:
    """Its values are in `data`, or behind the JSON."""
    binary = record({"binary_data_size": POSITION})
    described = {"name": {"const": name}, "datatype": {"const": datatype}, "shape": shape}
    return {
        "oneOf": [
            record({**described, "data": data}, additionalProperties=False),
            record({**described, "parameters": binary}, additionalProperties=False),
        ]
    }


def inference_request(most: int) -> Schema:
    """The body of `infer`, with at most `most` images."""
    count: Schema = {"type": "integer", "minimum": 1, "maximum": most}
    files = _tensor(
        "files", "BYTES", listed(count, minItems=1, maxItems=1),
        listed({"type": "string", "contentEncoding": "base64"}, minItems=1, maxItems=most),
    )  # fmt: skip
    sides: Schema = {
        "type": "array", "minItems": 4, "maxItems": 4, "items": _SIDE,
        "prefixItems": [count, _SIDE, _SIDE, {"const": 3}],
    }  # fmt: skip
    value: Schema = {"type": "integer", "minimum": 0, "maximum": 255}
    pixels = listed(
        {"anyOf": [value, {"type": "array"}]}, minItems=1, description="In row-major order, nested or flat."
    )
    flags = record({}, {"binary_data": TRUTH}, additionalProperties=False)
    output = record({"name": {"enum": [one["name"] for one in OUTPUTS]}}, {"parameters": flags})
    parameters = {
        "threshold": THRESHOLD,
        "classes": {"anyOf": [TEXT, listed(TEXT)]},
        "max_detections": {"type": "integer", "minimum": 1},
        "binary_data_output": TRUTH,
        "priority": {},
        "timeout": {},
    }
    inputs = listed({"oneOf": [files, _tensor("images", "UINT8", sides, pixels)]}, minItems=1, maxItems=1)
    return record(
        {"inputs": inputs},
        {"id": TEXT, "parameters": record({}, parameters, additionalProperties=False), "outputs": listed(output)},
    )


INFERENCE = record(
    {
        "model_name": TEXT,
        "model_version": TEXT,
        "outputs": listed(
            record({"name": TEXT, "datatype": TEXT, "shape": listed(WHOLE)}, {"data": {"type": "array"}})
        ),
    },
    {"id": TEXT},
)
METADATA = record(
    {
        "name": TEXT,
        "versions": listed(TEXT),
        "platform": TEXT,
        "inputs": {"type": "array"},
        "outputs": {"type": "array"},
    }
)
