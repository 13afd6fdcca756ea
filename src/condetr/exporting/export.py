"""Export weights to one file that other runtimes execute, and check that its detections are those of the weights."""

import hashlib
import json
import logging
import os
from copy import deepcopy
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from ..arguments import check_flags, check_progress, instance_of, one_of, path_of, whole_number
from ..checkpoint import Weights, load
from ..engine.torch_defaults import torch_defaults
from ..errors import CondetrError, DataError, WeightsError
from ..evaluating.evaluate import weights_name
from ..files import check_replaceable, flush, unwritable, working_folder, write_text
from ..predicting.exported import FORMATS, LIBRARIES, hash_of, is_exported, write
from ..runtime.file_facts import package_version
from ..runtime.quantise import MOST, nncf
from .int8 import export_int8
from .proof import MAX_DROP, Original, Progress, Proof, split_to_compare

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Export:
    """An exported file, the JSON file with its proof, and the proof."""

    file: Path
    proof_file: Path
    proof: Proof


@torch_defaults()
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
    check_flags(follow_outside=follow_outside)
    calibration = whole_number(calibration, "calibration", 1)
    drop = _drop(max_drop, precision, data)
    if precision == "int8":
        _check_int8(format, data)
        nncf()
    else:
        LIBRARIES[format]()  # which will run the file beside its weights
    data = None if data is None else path_of(data, "data", DataError)
    file = _file(weights, format, out)
    proof_file = file.with_name(f"{file.name}.proof.json")
    for one in (file, proof_file, *([file.with_suffix(".bin")] if format == "openvino" else [])):
        check_replaceable(one)
    split = None if data is None else split_to_compare(data, precision, follow_outside)
    loaded = _copied(weights) if isinstance(weights, Weights) else load(weights)
    file.parent.mkdir(parents=True, exist_ok=True)
    with working_folder(file.parent, "export") as folder:
        part = folder / f"model{FORMATS[format]}"
        logger.info("writing %s", file)

        def original() -> Original:
            logger.info("comparing its detections with those of the weights")
            return Original.of(loaded, data, split, follow_outside, progress)

        try:
            if precision == "int8" and data is not None:
                proof = export_int8(loaded, part, data, calibration, follow_outside, original, drop)
            else:
                write(loaded, part, format, precision)
                proof = original().prove(part, drop)
        except OSError as error:
            raise unwritable(file, error) from None
        failure = proof.failure()
        if failure is not None:
            raise CondetrError(f"{file}: refused and removed; {failure}")
        record = json.dumps(_described(file, part, loaded, precision) | proof.to_dict(), indent=1) + "\n"
        try:
            written = sorted(folder.iterdir())  # the .bin before the .xml that needs it
            for each in written:
                flush(each)
            for each in written:
                os.replace(each, file.with_suffix(each.suffix) if each != part else file)
        except OSError as error:
            raise unwritable(file, error) from None
    write_text(proof_file, record)
    return Export(file, proof_file, proof)


def _drop(max_drop: Any, precision: str, data: object) -> float:
    """The largest fall of AP that is accepted. Raises CondetrError for one that AP, from 0 to 1, cannot have."""
    if max_drop is None:
        return MAX_DROP[precision]
    instance_of(max_drop, "max_drop", Real, "a number")
    if data is None:
        raise CondetrError("`max_drop`: AP is measured on labelled images only. Add `data='DATA'`")
    if not -1 <= max_drop <= 1:
        raise CondetrError(
            f"`max_drop` {str(max_drop)[:20]}: expected a number of AP, which is from 0 to 1, such as 0.005"
        )
    return float(max_drop)


def _file(weights: str | os.PathLike[str] | Weights, format: str, out: Any) -> Path:
    """The file to write. Raises CondetrError for weights that are an exported file, or a name that does not fit."""
    source = None if isinstance(weights, Weights) else path_of(weights, "weights", WeightsError)
    if source is not None and is_exported(source):
        raise CondetrError(f"{source}: already exported. Give the folder of weights that it was exported from")
    name = "model" if source is None else Path(weights_name(os.fspath(source))).name
    file = Path(f"{name}{FORMATS[format]}") if out is None else path_of(out, "out")
    if file.suffix.lower() != FORMATS[format]:
        other = next((name for name, suffix in FORMATS.items() if suffix == file.suffix.lower()), None)
        hint = "" if other is None else f", or choose `format='{other}'`"
        raise CondetrError(f"`out` {file}: the name of this format ends in {FORMATS[format]}{hint}")
    return file


def _copied(weights: Weights) -> Weights:
    """Weights with a copy of the detector as files hold it: on the CPU, in float32, in evaluation mode."""
    return replace(weights, detector=deepcopy(weights.detector).to("cpu", torch.float32).eval())


def _described(file: Path, part: Path, weights: Weights, precision: str) -> dict[str, Any]:
    """Which file a proof is about: its name, the hash of what was written, `part`, and that of the weights."""
    written = [one for one in (part, part.with_suffix(".bin")) if one.exists()]
    names = [file if one == part else file.with_suffix(one.suffix) for one in written]
    hashes = {name.name: hashlib.sha256(one.read_bytes()).hexdigest() for name, one in zip(names, written)}
    return {
        "condetr": package_version(),
        "file": file.name,
        "sha256": hashes,
        "weights": hash_of(weights),
        "precision": precision,
    }


def _check_int8(format: str, data: object) -> None:
    if format != "openvino":
        raise CondetrError("precision int8: only for OpenVINO. Add `format='openvino'`")
    if data is None:
        raise CondetrError(
            "precision int8: needs labelled images, to calibrate on `train` and to compare AP on `valid`. Add "
            "`data='DATA'`"
        )
