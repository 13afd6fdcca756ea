"""Quantises layers of an exported model to int8 with NNCF: their weights, and their inputs within calibrated ranges.

The decoder and the heads stay in floating point: boxes do not survive rounding to 256 values. So do the convolution of
the pixels and the projection to the encoder, which take little time and cost AP.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from inspect import unwrap
from io import StringIO
from pathlib import Path
from types import ModuleType

import numpy as np

from ..errors import CondetrError, first_line
from ..extras import imported
from .exported_graph import INPUTS
from .file_facts import FileFacts
from .openvino_runtime import openvino
from .runtime import Scaled
from .translate import save_openvino

PARTS = {"backbone": ("backbone",), "encoder": ("encoder", "keys")}  # modules of the detector, by part
MOST = 300  # images that NNCF runs the model on


def write_quantised(
    onnx_file: Path, facts: FileFacts, images: Iterable[Scaled], number: int, parts: Sequence[str], file: Path
) -> None:
    """Write an ONNX file in OpenVINO's format, `file` (.xml) and a .bin beside it, with `parts` (see PARTS) in int8.

    NNCF runs the model on `number` images to find the range of every layer's inputs; it reads them several
    times. A layer belongs to the module that it was exported from; all others stay in float32.

    Raises CondetrError where an extra is missing, and where NNCF fails.
    """
    library, quantiser = openvino(), nncf()
    model = library.Core().read_model(str(onnx_file))
    modules = tuple(f"/{module}/" for part in parts for module in PARTS[part])
    operations = model.get_ordered_ops()
    first = next((one.get_friendly_name() for one in operations if one.get_type_name() == "Convolution"), "")
    names = [operation.get_friendly_name() for operation in operations]
    smoothing = quantiser.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)  # would rewrite the decoder as well
    rest = quantiser.IgnoredScope(
        names=[name for name in names if name == first or not name.startswith(modules)], validate=False
    )
    try:
        with redirect_stdout(StringIO()):  # of progress bars
            quantised = unwrap(quantiser.quantize)(
                model, quantiser.Dataset(images, _inputs), subset_size=number, ignored_scope=rest,
                model_type=quantiser.ModelType.TRANSFORMER,
                advanced_parameters=quantiser.AdvancedQuantizationParameters(smooth_quant_alphas=smoothing),
            )  # fmt: skip
    except CondetrError:
        raise
    except Exception as error:  # its errors have no public base class
        raise CondetrError(f"export: nncf {quantiser.__version__} failed ({first_line(error)})") from None
    save_openvino(quantised, facts, file)


def nncf() -> ModuleType:
    """The library. Raises CondetrError where it is not installed.

    Its functions, unless unwrapped, report every call to its maker where its telemetry library could be imported.
    """
    logger_class = logging.getLoggerClass()
    library = imported("nncf", "int8")
    logging.setLoggerClass(logger_class)  # which it replaces for the whole process
    library.set_log_level(logging.ERROR)
    return library


def _inputs(image: Scaled) -> dict[str, np.ndarray]:
    """One image as the model takes it."""
    return dict(zip(INPUTS, (image[None], np.array([[image.shape[1], image.shape[0]]]))))
