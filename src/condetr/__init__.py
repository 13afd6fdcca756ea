"""condetr: an object detector built around Conditional DETR. Each public name is imported when it is first used."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bulk_predicting.bulk import BulkRun as BulkRun
    from .bulk_predicting.bulk import bulk as bulk
    from .checkpoint import Weights as Weights
    from .checkpoint import load as load
    from .checkpoint import save as save
    from .comparing.compare import compare as compare
    from .comparing.comparison import Comparison as Comparison
    from .config import Config as Config
    from .converting import convert as convert
    from .detections import Detection as Detection
    from .detections import Detections as Detections
    from .detections import draw as draw
    from .errors import CondetrError as CondetrError
    from .evaluating.evaluate import evaluate as evaluate
    from .evaluating.evaluate import evaluate_detections as evaluate_detections
    from .evaluating.evaluation import Evaluation as Evaluation
    from .examining.diagnosis import Diagnosis as Diagnosis
    from .examining.examine import examine as examine
    from .explaining.explain import explain as explain
    from .explaining.explanation import Explanation as Explanation
    from .explaining.head_roles import attention_shares as attention_shares
    from .explaining.head_roles import object_shares as object_shares
    from .exporting.export import Export as Export
    from .exporting.export import export as export
    from .growing import grow as grow
    from .predicting.predictor import Predictor as Predictor
    from .predicting.tiling import Tiling as Tiling
    from .predicting.video import DetectedFrame as DetectedFrame
    from .recipes import recipe as recipe
    from .sampling.sample import sample as sample
    from .training.run import Run as Run
    from .training.train import train as train
    from .types import Categories as Categories
    from .videos.capture import Frame as Frame
    from .videos.frames import video_frames as video_frames

    __version__: str

_MODULES = {
    "BulkRun": "bulk_predicting.bulk",
    "Categories": "types",
    "Comparison": "comparing.comparison",
    "CondetrError": "errors",
    "Config": "config",
    "DetectedFrame": "predicting.video",
    "Detection": "detections",
    "Detections": "detections",
    "Diagnosis": "examining.diagnosis",
    "Evaluation": "evaluating.evaluation",
    "Export": "exporting.export",
    "Explanation": "explaining.explanation",
    "Frame": "videos.capture",
    "Predictor": "predicting.predictor",
    "Run": "training.run",
    "Tiling": "predicting.tiling",
    "Weights": "checkpoint",
    "attention_shares": "explaining.head_roles",
    "bulk": "bulk_predicting.bulk",
    "compare": "comparing.compare",
    "convert": "converting",
    "draw": "detections",
    "evaluate": "evaluating.evaluate",
    "evaluate_detections": "evaluating.evaluate",
    "examine": "examining.examine",
    "explain": "explaining.explain",
    "export": "exporting.export",
    "grow": "growing",
    "load": "checkpoint",
    "object_shares": "explaining.head_roles",
    "recipe": "recipes",
    "sample": "sampling.sample",
    "save": "checkpoint",
    "train": "training.train",
    "video_frames": "videos.frames",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        try:
            return version("condetr")
        except PackageNotFoundError:  # a source tree that is not installed
            return "unknown"
    if name not in _MODULES:
        raise AttributeError(f"module 'condetr' has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
