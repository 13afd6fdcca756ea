"""Variants of a base recipe that change one thing each: the models that the paper compares, and the local start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import Config, override

# what a base recipe may train with, but not every decoder and scoring allows
TRAINING: dict[str, Any] = {"train.denoising": 0, "train.supervision": "one_to_one"}

CONDITIONAL: dict[str, Any] = {
    "model.decoder.kind": "conditional",
    "model.decoder.spatial_query": "diagonal",
    "model.decoder.start": "published",
    "model.scoring.kind": "focal",
    "model.reference": "predicted",
    "model.keys": "encoder",
    "model.nms": None,
    "loss.classes": 2.0,
    **TRAINING,
}
DETR: dict[str, Any] = {
    "model.decoder.kind": "detr",
    "model.scoring.kind": "softmax",
    "model.reference": "centre",
    "model.keys": "encoder",
    "model.nms": None,
    "loss.classes": 1.0,
    **TRAINING,
}


@dataclass(frozen=True, slots=True)
class Variant:
    """The settings that turn a base recipe into this model, and its description."""

    description: str
    settings: Mapping[str, Any]
    few_queries: bool = False  # 300 queries, the published number, become DETR's 100; other numbers stay

    def of(self, base: Config) -> Config:
        """The whole config of this variant of a base."""
        queries = 100 if self.few_queries and base.model.queries == 300 else base.model.queries
        return override(base, {**self.settings, "model.queries": queries})


def _form(name: str, description: str) -> Variant:
    return Variant(description, {**CONDITIONAL, "model.decoder.spatial_query": name})


def _reference(name: str, description: str) -> Variant:
    return Variant(description, {**CONDITIONAL, "model.reference": name})


PAPER: dict[str, Variant] = {
    "detr": Variant("DETR: whole-box regression, softmax with 'no object'", DETR, few_queries=True),
    "detr_offset": Variant(
        "DETR with boxes as offsets from a predicted reference (Table 4, OR)",
        {**DETR, "model.reference": "predicted"},
        few_queries=True,
    ),
    "detr_focal": Variant(
        "DETR with focal loss (Table 4, FL)", {**DETR, "model.scoring.kind": "focal", "loss.classes": 2.0}
    ),
    "detr_offset_focal": Variant(
        "DETR with offsets and focal loss (Table 4, OR + FL)",
        {**DETR, "model.scoring.kind": "focal", "loss.classes": 2.0, "model.reference": "predicted"},
    ),
    "conditional_detr": Variant("Conditional DETR: diagonal T, predicted reference", CONDITIONAL),
    "identity": _form("identity", "T is the identity: p_q = p_s"),
    "scalar": _form("scalar", "T is one number: p_q = λ p_s"),
    "block": _form("block", "T has a block for each head"),
    "full": _form("full", "T is a full matrix"),
    "diagonal": _form("diagonal", "T is diagonal: the same as conditional_detr"),
    "content_only": _form("content_only", "CSQ-C: p_q is the decoder embedding f alone"),
    "transform_only": _form("transform_only", "CSQ-T: p_q is λ alone"),
    "reference_only": _form("identity", "CSQ-P: p_q is p_s alone: the same as identity"),
    "from_content": _form("from_content", "CSQ-I: λ is predicted from the content query c_q"),
    "local": Variant(
        "attention starts at the reference point instead of everywhere (not in the paper)",
        {**CONDITIONAL, "model.decoder.start": "local"},
    ),
    "centre": _reference("centre", "reference points at the centre of the image"),
    "learned": _reference("learned", "a learned reference point for each query"),
    "predicted": _reference(
        "predicted", "reference points predicted from the object queries: the same as conditional_detr"
    ),
}
