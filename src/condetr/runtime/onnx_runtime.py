"""Executes an exported ONNX file with onnxruntime, with threads that sleep while they wait."""

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from ..errors import CondetrError, WeightsError, first_line
from ..extras import imported
from ..shapes import Int64, UInt8
from .exported_graph import INPUTS, OUTPUTS
from .file_facts import FileFacts
from .file_runtime import FileRuntime, is_out_of_memory

PLACES = ("Exception from ", "Check '")
FUNCTION = re.compile(r"^/\S+:\d+ .*?\) (?=[A-Z])")  # where in the source of onnxruntime


class OnnxRuntime(FileRuntime):
    def __init__(self, file: Path) -> None:
        """Raises WeightsError for a file that is missing, damaged, or not exported by condetr, CondetrError where
        onnxruntime is missing or too old."""
        self.file, library = file, onnxruntime()
        options = library.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
        options.log_severity_level = 4  # errors are raised
        for pool in ("intra_op", "inter_op"):  # a thread that spins takes its core from other programs
            options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
        try:
            self.session = library.InferenceSession(_source(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no public base class
            raise unreadable(file, error, "onnxruntime", library.__version__) from None
        self.facts = FileFacts.read(self.session.get_modelmeta().custom_metadata_map, str(file))
        names = ([one.name for one in each] for each in (self.session.get_inputs(), self.session.get_outputs()))
        self.check_interface(*names)

    def execute(self, images: UInt8[np.ndarray, "B H W 3"], sizes: Int64[np.ndarray, "B 2"]) -> Sequence[np.ndarray]:
        try:
            return self.session.run(list(OUTPUTS), dict(zip(INPUTS, (images, sizes))))
        except Exception as error:
            raise self.failed(error, "onnxruntime", images) from None


def _source(file: Path) -> str | bytes:
    """The path, or the content of a file whose path is not text, which the library does not take."""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        return file.read_bytes()
    return str(file)


def onnxruntime() -> ModuleType:
    """The library. Raises CondetrError where it is not installed."""
    library = imported("onnxruntime", "onnx")
    library.disable_telemetry_events()  # also where the user's program has imported it before
    return library


def unopened(file: Path) -> WeightsError | None:
    """The error for a file that is missing or that the system does not open, None for one that it opens."""
    try:
        with file.open("rb"):
            return None
    except FileNotFoundError:
        return WeightsError(f"{file}: no such file")
    except OSError as error:
        return WeightsError(f"{file}: cannot be read ({error.strerror or error})")


def unreadable(file: Path, error: Exception, library: str, version: str) -> CondetrError:
    """The error for a file that a library cannot load."""
    denied = unopened(file)
    if denied is not None:
        return denied
    if is_out_of_memory(error):
        return CondetrError(f"{file}: not enough memory to load it. Free some memory")
    text = str(error).rpartition(f"{file} failed:")[2]
    said = [line for line in text.splitlines() if not line.startswith(PLACES)]  # not where in the library's source
    reason = first_line(error, FUNCTION.sub("", "\n".join(said) or text))
    if any(word in text.lower() for word in ("opset", "ir version", "ir_version")):
        return CondetrError(f"{file}: {library} {version} is too old for this file ({reason}). Update {library}")
    return WeightsError(f"{file}: incomplete, or not a model ({reason}). Export or copy it again")
