"""Executes an exported file, ONNX or OpenVINO's own format, with OpenVINO on the CPU.

Files are read with `Core.read_model`: unlike OpenVINO's converter, it sends no usage data.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from .onnx_runtime import unopened, unreadable

HINTS = {"fp32": "f32", "bf16": "bf16"}
KEY = "condetr"  # of our entry in a model's runtime information
ONNX = b"\x08"  # how files in ONNX begin: with the number of their first field
BIN_HASH = "bin"  # in that entry: the SHA-256 of the .bin file


class OpenVinoRuntime(FileRuntime):
    def __init__(self, file: Path, precision: str) -> None:
        """`precision` is fp32 or bf16. Raises WeightsError for a file that is missing, damaged, or not exported by
        condetr, CondetrError where OpenVINO is missing or too old."""
        self.file, library = file, openvino()
        _check(file)
        core = library.Core()
        try:
            model = core.read_model(str(file))
            texts = metadata(model)
            self.facts = FileFacts.read(texts, str(file))
            if BIN_HASH in texts and texts[BIN_HASH] != sha256_of(file.with_suffix(".bin")):
                raise WeightsError(f"{file}: {file.stem}.bin is damaged or of another export. Copy both files again")
            self.check_interface(
                *([name for one in each for name in one.names] for each in (model.inputs, model.outputs))
            )
            hints = {
                "INFERENCE_PRECISION_HINT": HINTS[precision],  # by default it computes in bfloat16 where it can
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            }
            # The thread that loads OpenVINO's CPU plugin gets a stack for signals, which is freed with the last model
            # even from another thread: a later Ctrl-C would then end the process with a segmentation fault.
            with ThreadPoolExecutor(1) as loader:
                self.model = loader.submit(core.compile_model, model, "CPU", hints).result()
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


def _check(file: Path) -> None:
    """What OpenVINO does not say in one line: of a file that is no network, it asks the readers of all formats."""
    xml = file.suffix.lower() == ".xml"
    values = file.with_suffix(".bin")
    denied = unopened(file)
    if denied is None and not (b"<net" in _start(file) if xml else _start(file).startswith(ONNX)):
        denied = WeightsError(f"{file}: incomplete, or not a model. Export or copy it again")
    if denied is None and xml:
        denied = unopened(values)
        if not values.exists():
            denied = WeightsError(f"{file}: {values.name} is missing beside it. Copy both files")
    if denied is not None:
        raise denied


def _start(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(1000)


def sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def openvino() -> ModuleType:
    """Raises CondetrError where it is not installed."""
    return imported("openvino", "openvino")


def metadata(model: Any) -> dict[str, str]:
    """Our texts in a model that was read from OpenVINO's format or from ONNX."""
    for path in ([KEY], ["framework"]):
        if model.has_rt_info(path):
            return {str(key): str(value) for key, value in model.get_rt_info(path).value.items()}
    return {}
