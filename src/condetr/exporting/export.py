"""Export weights to one file that other runtimes execute, and check that its detections are those of the weights."""

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..arguments import check_progress, instance_of, one_of, path_of, whole_number
from ..checkpoint import Weights, load
from ..errors import CondetrError
from ..evaluating.evaluate import weights_name
from ..files import check_writable, write_text
from ..predicting.exported import FORMATS, write
from ..runtime.quantise import MOST
from .int8 import export_int8
from .proof import MAX_DROP, Original, Progress, Proof

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Export:
    """An exported file, the JSON file with its proof, and the proof."""

    file: Path
    proof_file: Path
    proof: Proof


def export(
    weights: str | os.PathLike[str] | Weights,
    *,
    format: str = "onnx",
    precision: str = "fp32",
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    max_drop: float | None = None,
    calibration: int = MOST,
    follow_outside: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Write weights (a folder, a hub id, or `Weights`) as one file that onnxruntime or OpenVINO executes.

    The file takes batches and images of any size, and contains everything from the bytes of an image to the boxes,
    scores and labels of its detections; `docs/export.md` describes its inputs and outputs. Its detections are compared
    with those of the weights: in fp32 all must be equal within 1e-4 of the image side and of the score. In int8, AP
    alone decides.

    Args:
        format: onnx, or openvino: an .xml file and a .bin file beside it.
        precision: fp32; fp16: the weights are stored in half precision, in half the space; int8, only for openvino and
            with `data`: the backbone and the encoder, or the backbone alone, compute in int8.
        data: a labelled data set. AP is then compared on `valid` (`test` where there is none).
        out: the file to write; without it NAME.onnx or NAME.xml in the current folder.
        max_drop: the largest fall of AP, by default 0.001, and 0.005 in int8.
        calibration: the largest number of images of `train` on which int8 is calibrated.
        follow_outside: permits images outside the data set's folder.
        progress: called with the number of images done and of all, during each evaluation.

    Raises CondetrError where the file's detections differ: no file is then left. A file that was there before stays.
    """
    one_of(format, "format", FORMATS)
    one_of(precision, "precision", MAX_DROP)
    check_progress(progress)
    if max_drop is not None:
        instance_of(max_drop, "max_drop", int | float, "a number")
    if precision == "int8":
        calibration = whole_number(calibration, "calibration")
        _check_int8(format, data, calibration)
    name = "model" if isinstance(weights, Weights) else weights_name(os.fspath(path_of(weights, "weights")))
    file = Path(f"{Path(name).name}{FORMATS[format]}") if out is None else path_of(out, "out")
    if file.suffix.lower() != FORMATS[format]:
        raise CondetrError(f"out {file}: the name of this format ends in {FORMATS[format]}")
    data = None if data is None else path_of(data, "data")
    check_writable(file.parent)
    loaded = weights if isinstance(weights, Weights) else load(weights)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.stem}.", dir=file.parent) as folder:
        part = Path(folder) / file.name
        drop = MAX_DROP[precision] if max_drop is None else float(max_drop)
        logger.info("writing %s", file)

        def original() -> Original:
            logger.info("comparing its detections with those of the weights")
            return Original.of(loaded, data, follow_outside, progress)

        try:
            if precision == "int8" and data is not None:
                proof = export_int8(loaded, part, data, calibration, follow_outside, original, drop)
            else:
                write(loaded, part, format, precision)
                proof = original().prove(part, drop)
        except OSError as error:
            raise CondetrError(f"{file}: cannot be written ({error.strerror or error})") from None
        failure = proof.failure()
        if failure is not None:
            raise CondetrError(f"{file}: refused and removed; {failure}")
        for each in sorted(Path(folder).iterdir()):  # the .bin before the .xml that needs it
            os.replace(each, file.with_suffix(each.suffix) if each != part else file)
    proof_file = file.with_suffix(".proof.json")
    write_text(proof_file, proof.text())
    return Export(file, proof_file, proof)


def _check_int8(format: str, data: object, calibration: int) -> None:
    if format != "openvino":
        raise CondetrError("precision int8: only for OpenVINO. Add `format='openvino'`")
    if data is None:
        raise CondetrError(
            "precision int8: needs labelled images, to calibrate on `train` and to compare AP on `valid`. Add "
            "`data='DATA'`"
        )
    if calibration < 1:
        raise CondetrError(f"calibration {calibration}: must be at least 1")
