"""Weights of other projects: transformers' folders, read and written; official `.pth` files and the hub, read."""

from .coco_slots import coco_categories
from .loading import fit, read_json, read_safetensors
from .official import read_official, read_pth
from .transformers import read_transformers, read_transformers_config, refuse_adapter, write_transformers

__all__ = [
    "coco_categories",
    "fit",
    "read_json",
    "read_official",
    "read_pth",
    "read_safetensors",
    "read_transformers",
    "read_transformers_config",
    "refuse_adapter",
    "write_transformers",
]
