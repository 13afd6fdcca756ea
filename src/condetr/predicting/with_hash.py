"""A predictor together with the hash of its weights, by which others recognise them."""

from ..checkpoint import load
from ..engine.device import check_device
from ..runtime.file_runtime import FileRuntime
from ..runtime.folded import fold_norms
from .execution import Precision
from .exported import executes_file, hash_of
from .predictor import Predictor
from .selection import Nms
from .tiling import Tiling


def load_with_hash(
    weights: str,
    device: str | None,
    runtime: str | None,
    precision: Precision = "fp32",
    tiling: Tiling | None = None,
    nms: Nms = None,
) -> tuple[Predictor, str]:
    """As `Predictor.load`, and a SHA-256 over the weights; for an exported file, over the weights that it was made
    from.

    Raises CondetrError.
    """
    if executes_file(weights, runtime):
        predictor = Predictor.load(weights, device, precision, runtime=runtime, tiling=tiling, nms=nms)
        assert isinstance(predictor.runtime, FileRuntime)
        return predictor, predictor.runtime.facts.weights
    device = check_device(device)
    loaded = load(weights, device)
    hash = hash_of(loaded)
    fold_norms(loaded.detector)
    return Predictor(loaded, device, precision, tiling=tiling, nms=nms), hash
