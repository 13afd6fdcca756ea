"""The tensors of the Open Inference Protocol: what a model takes and returns, and responses as JSON or binary data."""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..detections import Detections
from .models import Model

INPUTS = [
    {"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
    {"name": "files", "datatype": "BYTES", "shape": [-1]},
]
OUTPUTS = [
    {"name": "boxes", "datatype": "FP32", "shape": [-1, -1, 4]},
    {"name": "scores", "datatype": "FP32", "shape": [-1, -1]},
    {"name": "category_ids", "datatype": "INT64", "shape": [-1, -1]},
    {"name": "names", "datatype": "BYTES", "shape": [-1, -1]},
    {"name": "counts", "datatype": "INT64", "shape": [-1]},
]
TYPES = {"FP32": "<f4", "INT64": "<i8"}


def version(model: Model) -> str:
    return model.hash[:12]


def metadata(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "versions": [version(model)],
        "platform": "condetr",
        "inputs": INPUTS,
        "outputs": OUTPUTS,
    }


def response(
    id: str | None, wanted: Mapping[str, bool], model: Model, found: Sequence[Detections]
) -> tuple[bytes, dict[str, str]]:
    """Body and headers. `wanted` are names of outputs, and whether each is binary data behind the JSON.

    All images have as many rows as the one with the most detections; `counts` are the rows without padding."""
    rows = max(map(len, found))
    columns: dict[str, list[Any]] = {
        "boxes": [_padded(one.boxes.astype(float).reshape(-1).tolist(), 4 * rows, 0.0) for one in found],
        "scores": [_padded(one.scores.astype(float).tolist(), rows, 0.0) for one in found],
        "category_ids": [_padded(one.category_ids, rows, -1) for one in found],
        "names": [_padded(one.names, rows, "") for one in found],
        "counts": [[len(one)] for one in found],
    }
    shapes = {"boxes": [len(found), rows, 4], "counts": [len(found)]}
    kinds = {str(output["name"]): str(output["datatype"]) for output in OUTPUTS}
    outputs: list[dict[str, Any]] = []
    data = b""
    for name, binary in wanted.items():
        values = [value for image in columns[name] for value in image]
        described = {"name": name, "datatype": kinds[name], "shape": shapes.get(name, [len(found), rows])}
        if binary:
            packed = _packed(values, kinds[name])
            data += packed
            outputs.append({**described, "parameters": {"binary_data_size": len(packed)}})
        else:
            outputs.append({**described, "data": values})
    record = {"model_name": model.name, "model_version": version(model), "outputs": outputs}
    head = json.dumps(record if id is None else {**record, "id": id}).encode()
    if not any(wanted.values()):
        return head, {"Content-Type": "application/json"}
    kind = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return head + data, kind


def _padded(values: list[Any], length: int, filler: Any) -> list[Any]:
    return [*values, *[filler] * (length - len(values))]


def _packed(values: list[Any], kind: str) -> bytes:
    """Little-endian; each element of BYTES after its length."""
    if kind == "BYTES":
        encoded = [value.encode(errors="replace") for value in values]
        return b"".join(struct.pack("<I", len(one)) + one for one in encoded)
    return np.array(values, TYPES[kind]).tobytes()
