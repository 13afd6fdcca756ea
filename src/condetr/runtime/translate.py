"""Writes a trained detector as a file that other runtimes execute: ONNX, or OpenVINO's own format.

torch has two exporters to ONNX. This one records the operations of a single run, in seconds; the newer one computes
with a formula for the size of every tensor, and takes ten times as long. What is recorded could hold for the sizes of
that run only, so every file is executed on images of other sizes before it is used (see `agreement`).
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..cpu.available import without_private_operators
from ..errors import CondetrError, first_line
from ..extras import imported
from .exported_graph import INPUTS, OUTPUTS, ExportedGraph
from .file_facts import FileFacts
from .openvino_runtime import BIN_HASH, KEY, openvino, sha256_of

OPSET = 17  # the first with layer norm; runtimes since 2022 have it
SMALL = 1024  # numbers of a tensor, below which it stays in float32
LARGEST_HALF = 65504.0
UNKNOWN = 64 * "?"  # in place of a hash, until the file is written
INSTEAD = "Use the weights without exporting them: `runtime='torch'`"


def write_onnx(graph: ExportedGraph, facts: FileFacts, file: Path) -> None:
    """Write one ONNX file for batches and images of any size. With `facts.precision` fp16 its weights are stored in
    half precision, in half the space; runtimes still compute in float32.

    Raises CondetrError where the extra `onnx` is not installed, and for a model with an operation that the format does
    not have.
    """
    onnx = imported("onnx", "onnx")
    example = torch.zeros(2, 96, 160, 3, dtype=torch.uint8), torch.tensor([[160, 96]] * 2)
    if graph.ragged:
        example[1][1] = torch.tensor([100, 64])
    with warnings.catch_warnings(), without_private_operators(), torch.no_grad():
        warnings.simplefilter("ignore")  # that this exporter is old, and that Python numbers are recorded as constants
        try:
            torch.onnx.export(
                graph, example, str(file), input_names=list(INPUTS), output_names=list(OUTPUTS), dynamo=False,
                opset_version=OPSET, dynamic_axes=_axes(),
            )  # fmt: skip
        except RuntimeError as error:
            reason = first_line(error).partition(". ")[0]
            raise CondetrError(f"export: the model cannot be written as ONNX ({reason}). {INSTEAD}") from None
    model = onnx.load(str(file))
    if facts.precision == "fp16":
        _store_in_half(onnx, model.graph)
    model.producer_name, model.producer_version = "condetr", facts.version
    onnx.helper.set_model_props(model, facts.metadata())
    onnx.save(model, str(file))


def write_openvino(onnx_file: Path, facts: FileFacts, file: Path) -> None:
    """Convert an ONNX file to OpenVINO's format: `file`, which ends in .xml, and a .bin beside it.

    Raises CondetrError where the extra `openvino` is not installed, and for a model that OpenVINO cannot read.
    """
    library = openvino()
    try:
        model = library.Core().read_model(str(onnx_file))
    except Exception as error:  # its errors have no public base class
        raise CondetrError(f"export: OpenVINO cannot read the model ({first_line(error)}). {INSTEAD}") from None
    save_openvino(model, facts, file)


def save_openvino(model: Any, facts: FileFacts, file: Path) -> None:
    """Save a model of OpenVINO with its metadata: `file`, which ends in .xml, and a .bin beside it. The .xml has a hash
    of the .bin, by which a file of another export is recognised. Raises OSError where they cannot be written."""
    model.set_rt_info(facts.metadata() | {BIN_HASH: UNKNOWN}, [KEY])
    try:
        openvino().save_model(model, str(file), compress_to_fp16=facts.precision == "fp16")
    except RuntimeError as error:  # of the system, without its reason: another attempt to write as much has one
        size = sum(one.get_byte_size() for one in model.get_ops() if one.get_type_name() == "Constant")
        file.with_suffix(".bin").write_bytes(bytes(size))
        raise OSError(first_line(error)) from None
    text = file.read_bytes()
    file.write_bytes(text.replace(UNKNOWN.encode(), sha256_of(file.with_suffix(".bin")).encode(), 1))


def _axes() -> dict[str, dict[int, str]]:
    axes = {"images": {0: "batch", 1: "height", 2: "width"}, "sizes": {0: "batch"}}
    return axes | {name: {0: "batch"} for name in OUTPUTS}


def _store_in_half(onnx: Any, graph: Any) -> None:
    """Replace each large float32 tensor by one in float16 and a cast, which runtimes compute once, when they load."""
    casts = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor) if tensor.data_type == onnx.TensorProto.FLOAT else np.empty(0)
        if values.size < SMALL or np.abs(values).max() > LARGEST_HALF:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
