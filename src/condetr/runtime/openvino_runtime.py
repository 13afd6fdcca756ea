"""Executes an exported file, ONNX or OpenVINO's own format, with OpenVINO on the CPU.

Files are read with `Core.read_model`: unlike OpenVINO's converter, it sends no usage data.
"""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ..errors import WeightsError
from ..extras import imported
from ..shapes import Int64, UInt8
from .exported_graph import INPUTS, OUTPUTS
from .file_facts import FileFacts
from .file_runtime import FileRuntime
from .onnx_runtime import unreadable

HINTS = {"fp32": "f32", "bf16": "bf16"}
KEY = "condetr"  # of our entry in a model's runtime information


class OpenVinoRuntime(FileRuntime):
    def __init__(self, file: Path, precision: str) -> None:
        """`precision` is fp32 or bf16. Raises WeightsError for a file that is missing, damaged, or not exported by
        condetr, CondetrError where OpenVINO is missing or too old."""
        self.file, library = file, openvino()
        if file.suffix == ".xml" and file.is_file():
            _check_xml(file)
        core = library.Core()
        try:
            model = core.read_model(str(file))
            self.facts = FileFacts.read(metadata(model), str(file))
            self.check_interface(
                *([name for one in each for name in one.names] for each in (model.inputs, model.outputs))
            )
            self.model = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": HINTS[precision],  # by default it computes in bfloat16 where it can
                    "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                },
            )
        except WeightsError:
            raise
        except Exception as error:  # its errors have no public base class
            raise unreadable(file, error, "openvino", library.__version__) from None
        self.request = self.model.create_infer_request()

    def execute(self, images: UInt8[np.ndarray, "B H W 3"], sizes: Int64[np.ndarray, "B 2"]) -> Sequence[np.ndarray]:
        try:
            found = self.request.infer(dict(zip(INPUTS, (images, sizes))))
        except Exception as error:
            raise self.failed(error, "OpenVINO", images) from None
        return [np.array(found[name]) for name in OUTPUTS]


def _check_xml(file: Path) -> None:
    """What OpenVINO does not say in one line: of a file that is no network, it asks the readers of all formats."""
    try:
        with file.open("rb") as opened:
            known = b"<net" in opened.read(1000)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror or error})") from None
    if not known:
        raise WeightsError(f"{file}: incomplete, or not a model. Export or copy it again")
    if not file.with_suffix(".bin").is_file():
        raise WeightsError(f"{file}: {file.stem}.bin is missing beside it. Copy both files")


def openvino() -> ModuleType:
    """Raises CondetrError where it is not installed."""
    return imported("openvino", "openvino")


def metadata(model: Any) -> dict[str, str]:
    """Our texts in a model that was read from OpenVINO's format or from ONNX."""
    for path in ([KEY], ["framework"]):
        if model.has_rt_info(path):
            return {str(key): str(value) for key, value in model.get_rt_info(path).value.items()}
    return {}
