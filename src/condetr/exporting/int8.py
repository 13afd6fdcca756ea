"""Exports to int8: as much of the model as AP allows, first the backbone and the encoder, then the backbone alone."""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..build import build_prepare
from ..checkpoint import Weights
from ..errors import CondetrError
from ..plural import counted
from ..predicting.exported import facts_of, graph_of
from ..runtime.quantise import nncf, write_quantised
from ..runtime.translate import write_onnx
from .calibration import CalibrationImages
from .proof import Original, Proof

logger = logging.getLogger(__name__)

ATTEMPTS = (("backbone", "encoder"), ("backbone",))


def export_int8(
    weights: Weights,
    file: Path,
    data: Path,
    number: int,
    follow_outside: bool,
    original: Callable[[], Original],
    max_drop: float,
) -> Proof:
    """Write `file` (.xml) with its proof, calibrated on `number` images of `train` of the data. The last attempt stays,
    whether or not it is accepted.

    Raises CondetrError where an extra is missing, DataError without a train split.
    """
    nncf()
    images = CalibrationImages.of(data, build_prepare(weights.config.data), number, follow_outside)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        plain, graph = Path(folder) / "model.onnx", graph_of(weights)
        facts = facts_of(weights, graph.ragged, "int8")
        write_onnx(graph, replace(facts, precision="fp32"), plain)
        compared = original()
        _check_ap(compared, max_drop)
        proof: Proof | None = None
        for parts in ATTEMPTS:
            logger.info("calibrating int8 for %s on %s", " and ".join(parts), counted(len(images.paths), "image"))
            write_quantised(plain, replace(facts, quantised=parts), images, number, parts, file)
            before = () if proof is None else proof.attempts
            proof = compared.prove(file, max_drop, parts)
            proof = replace(proof, attempts=before + proof.attempts)
            if proof.failure() is None:
                break
    assert proof is not None
    return proof


def _check_ap(original: Original, max_drop: float) -> None:
    """Raises CondetrError where AP, which alone decides, cannot fall by more than `max_drop` whatever the file returns.
    With `max_drop=1`, any AP is accepted on purpose."""
    ap = original.evaluation.ap if original.evaluation is not None else 0.0
    if ap <= max_drop < 1:
        raise CondetrError(
            f"precision int8: AP of the weights is {ap:.4f}, so a fall by more than {max_drop:g} cannot be seen. Train "
            "longer, or accept any AP with `max_drop=1`"
        )
