"""Requests of the Open Inference Protocol (KServe V2) over HTTP, with the binary tensor data extension.

https://github.com/kserve/open-inference-protocol: images are a tensor of pixels, or encoded files.
"""

import base64
import binascii
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..plural import counted
from ..text import whole_number_in
from . import options
from .incoming import Incoming
from .inference_tensors import OUTPUTS
from .limits import Limits, Refused

# in JSON: Python holds 64 bytes for each list, 8 to 40 for each number, more for each text and each entry of an object
MOST_LISTS, MOST_VALUES, MOST_TEXTS = 500_000, 2_000_000, 10_000
PARAMETERS = (*options.NAMES, "binary_data_output")
IGNORED = ("priority", "timeout")  # of Triton's clients: wishes of the client, which do not change a response


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """`outputs` are the requested outputs in the client's order, and whether each is binary."""

    id: str | None
    images: list[Incoming]
    parameters: Mapping[str, Any]
    outputs: Mapping[str, bool]


def parse(content: bytes, header_length: str | None, limits: Limits) -> InferenceRequest:
    """`header_length` is the header Inference-Header-Content-Length: the JSON's length where binary data follow it.

    Raises Refused.
    """
    length = len(content)
    if header_length is not None:
        declared = whole_number_in(header_length)
        if not declared or declared > length:
            raise Refused(400, "Inference-Header-Content-Length: must be the length of the JSON in the body")
        length = declared
    record = _json(content[:length])
    inputs = record.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Refused(400, "inputs: give a list of one input, images (UINT8) or files (BYTES)")
    id, parameters = record.get("id"), record.get("parameters", {})
    if id is not None and not isinstance(id, str):
        raise Refused(400, "id: must be text")
    if not isinstance(parameters, dict):
        raise Refused(400, "parameters: must be an object")
    if not {*parameters} <= {*PARAMETERS, *IGNORED}:
        raise Refused(400, f"parameters: one is unknown; known are {', '.join(PARAMETERS)}")
    return InferenceRequest(id, _images(inputs[0], content[length:], limits), parameters, _outputs(record, parameters))


def _json(content: bytes) -> dict[str, Any]:
    texts = max(content.count(b'"') // 2, content.count(b":"))
    lists = content.count(b"[") + content.count(b"{")
    if lists > MOST_LISTS or content.count(b",") > MOST_VALUES or texts > MOST_TEXTS:
        raise Refused(413, "too many values in JSON; send images as files (base64) or as binary data")
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(record, dict):
        raise Refused(400, "the body must be a JSON object")
    return record


def _outputs(record: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, bool]:
    known = tuple(str(output["name"]) for output in OUTPUTS)
    usual = _flag("parameters: binary_data_output", parameters.get("binary_data_output", False))
    wanted = record.get("outputs")
    if wanted is None or wanted == []:
        return dict.fromkeys(known, usual)
    if not isinstance(wanted, list) or not all(isinstance(one, dict) and one.get("name") in known for one in wanted):
        raise Refused(400, f"outputs: the names are {', '.join(known)}")
    given = {one["name"]: _parameters("outputs", one, "binary_data") for one in wanted}
    return {name: _flag("outputs: binary_data", of.get("binary_data", usual)) for name, of in given.items()}


def _parameters(where: str, tensor: Mapping[str, Any], known: str) -> Mapping[str, Any]:
    """The parameters of an input or output. Classification and shared memory are other extensions of the protocol."""
    given = tensor.get("parameters", {})
    if not isinstance(given, dict) or not {*given} <= {known}:
        raise Refused(400, f"{where}: the only parameter is {known}")
    return given


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(400, f"{name}: must be true or false")
    return value


def _images(given: Mapping[str, Any], binary: bytes, limits: Limits) -> list[Incoming]:
    name, kind, shape = (given.get(key) for key in ("name", "datatype", "shape"))
    if (name, kind) not in (("images", "UINT8"), ("files", "BYTES")):
        raise Refused(400, "inputs: must be images (UINT8) or files (BYTES)")
    if not isinstance(shape, list) or not all(type(side) is int and 0 < side < 1 << 31 for side in shape):
        raise Refused(400, f"{name}: shape must be a list of positive whole numbers")
    if len(shape) != (4 if kind == "UINT8" else 1) or (kind == "UINT8" and shape[3] != 3):
        raise Refused(400, f"{name}: shape must be {'[images, height, width, 3]' if kind == 'UINT8' else '[images]'}")
    if shape[0] > limits.images:
        raise Refused(413, f"more than {counted(limits.images, 'image')} in one request")
    size = _parameters("inputs", given, "binary_data_size").get("binary_data_size")
    if size is not None and (type(size) is not int or size != len(binary)):
        raise Refused(400, f"{name}: binary_data_size must be the number of bytes after the JSON, {len(binary)}")
    if kind == "UINT8":
        pixels = _pixels(given.get("data"), shape) if size is None else binary
        if len(pixels) != math.prod(shape):
            raise Refused(400, f"images: {counted(len(pixels), 'value')}, but shape has {math.prod(shape)}")
        return [Incoming(image) for image in np.frombuffer(pixels, np.uint8).reshape(shape)]
    files = _decoded(given.get("data")) if size is None else _split(binary, shape[0] + 1)
    if len(files) != shape[0]:
        number = counted(len(files), "file") if len(files) <= shape[0] or size is None else "more files"
        raise Refused(400, f"files: {number}, but shape has {shape[0]}")
    return [Incoming(file) for file in files]


def _pixels(data: Any, shape: list[int]) -> bytes:
    """Values in row-major order, nested or flat."""
    flat = data if isinstance(data, list) else None
    for _ in range(3):
        if flat and all(isinstance(part, list) for part in flat):
            flat = [value for part in flat for value in part]
    if flat is None or not all(type(value) is int and 0 <= value <= 255 for value in flat):
        raise Refused(400, "images: data must be whole numbers from 0 to 255")
    return bytes(flat)


def _decoded(data: Any) -> list[bytes]:
    if not isinstance(data, list) or not all(isinstance(text, str) for text in data):
        raise Refused(400, "files: data must be a list of texts, each an image file in base64")
    try:
        return [base64.b64decode(text, validate=True) for text in data]
    except (binascii.Error, ValueError):
        raise Refused(400, "files: data must be base64") from None


def _split(binary: bytes, most: int) -> list[bytes]:
    """The first `most` elements of BYTES in the binary extension: each after its length, 4 bytes, little-endian."""
    found: list[bytes] = []
    at = 0
    while at < len(binary) and len(found) < most:
        (length,) = struct.unpack_from("<I", binary, at) if at + 4 <= len(binary) else (len(binary),)
        if at + 4 + length > len(binary):
            raise Refused(400, "files: the binary data are cut short")
        found.append(binary[at + 4 : at + 4 + length])
        at += 4 + length
    return found
