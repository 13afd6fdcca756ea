"""All settings of a run, as frozen data: the one place where a default is written. Imports no torch."""

from .backbone import RESNETS, Backbone
from .data import Data
from .experiment import Config, override, parse
from .model import Conditional, Detr, Focal, IouAware, Matchability, Model, Refining, Scoring, Softmax, SpatialQuery
from .strict import Strict
from .training import Loss, Train

__all__ = [
    "RESNETS",
    "Backbone",
    "Conditional",
    "Config",
    "Data",
    "Detr",
    "Focal",
    "IouAware",
    "Loss",
    "Matchability",
    "Model",
    "Refining",
    "Scoring",
    "Softmax",
    "SpatialQuery",
    "Strict",
    "Train",
    "override",
    "parse",
]
