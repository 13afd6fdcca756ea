"""condetr: Conditional DETR, trained on your images, exact to the published weights, and open to see.

The public names, nothing else; each is imported when it is first used, so that this import costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoint import Weights as Weights
    from .config import Config as Config
    from .detections import Detections as Detections
    from .errors import CondetrError as CondetrError
    from .examining.diagnosis import Diagnosis as Diagnosis
    from .examining.examine import examine as examine
    from .explaining.explain import explain as explain
    from .explaining.explanation import Explanation as Explanation
    from .explaining.head_roles import attention_shares as attention_shares
    from .explaining.head_roles import object_shares as object_shares
    from .predicting.predictor import Predictor as Predictor
    from .recipes import recipe as recipe
    from .types import Categories as Categories

_HOME = {
    "Categories": "types",
    "CondetrError": "errors",
    "Config": "config",
    "Detections": "detections",
    "Diagnosis": "examining.diagnosis",
    "Explanation": "explaining.explanation",
    "Predictor": "predicting.predictor",
    "Weights": "checkpoint",
    "attention_shares": "explaining.head_roles",
    "examine": "examining.examine",
    "explain": "explaining.explain",
    "object_shares": "explaining.head_roles",
    "recipe": "recipes",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'condetr' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
