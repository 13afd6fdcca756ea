"""Names of published weights → ours: the official code's, and transformers' of version 4 (what the hub holds) and 5.

Each row of the tables is one tensor (or one prefix) in the four dialects. `in_proj|1` is the second third of the rows
of a fused projection.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Dialect = Literal["official", "transformers4", "transformers5"]
DIALECTS: tuple[Dialect, ...] = ("official", "transformers4", "transformers5")

# ours, official, transformers 4, transformers 5; the rest of the name follows unchanged
PREFIXES = (
    ("backbone.", "backbone.0.body.", "model.backbone.conv_encoder.model.", "model.backbone.model."),
    ("project.", "input_proj.", "model.input_projection.", "model.input_projection."),
    ("queries.", "query_embed.", "model.query_position_embeddings.", "model.query_position_embeddings."),
    ("decoder.norm.", "transformer.decoder.norm.", "model.decoder.layernorm.", "model.decoder.layernorm."),
    *(
        (f"reference.point.{ours}.", *(f"{at}decoder.ref_point_head.layers.{theirs}." for at in
         ("transformer.", "model.", "model.")))
        for ours, theirs in ((0, 0), (2, 1))
    ),
    *(
        (f"decoder.spatial_query.transform.{ours}.", *(f"{at}decoder.query_scale.layers.{theirs}." for at in
         ("transformer.", "model.", "model.")))
        for ours, theirs in ((0, 0), (2, 1))
    ),
    ("heads.classes.", "class_embed.", "class_labels_classifier.", "class_labels_classifier."),
    *(
        (f"heads.box.{ours}.", f"bbox_embed.layers.{theirs}.", f"bbox_predictor.layers.{theirs}.",
         f"bbox_predictor.layers.{theirs}.")
        for ours, theirs in ((0, 0), (2, 1), (4, 2))
    ),
)  # fmt: skip

# within encoder.layers.i
ENCODER_LEAVES = (
    ("attention.query", "self_attn.in_proj|0", "self_attn.q_proj", "self_attn.q_proj"),
    ("attention.key", "self_attn.in_proj|1", "self_attn.k_proj", "self_attn.k_proj"),
    ("attention.value", "self_attn.in_proj|2", "self_attn.v_proj", "self_attn.v_proj"),
    ("attention.out", "self_attn.out_proj", "self_attn.out_proj", "self_attn.o_proj"),
    ("feed_forward.0", "linear1", "fc1", "mlp.fc1"),
    ("feed_forward.3", "linear2", "fc2", "mlp.fc2"),
    ("norm1", "norm1", "self_attn_layer_norm", "self_attn_layer_norm"),
    ("norm2", "norm2", "final_layer_norm", "final_layer_norm"),
)

# within decoder.layers.i
DECODER_LEAVES = (
    # DETR
    ("self_attention.query", "self_attn.in_proj|0", "self_attn.q_proj", "self_attn.q_proj"),
    ("self_attention.key", "self_attn.in_proj|1", "self_attn.k_proj", "self_attn.k_proj"),
    ("cross_attention.query", "multihead_attn.in_proj|0", "encoder_attn.q_proj", "encoder_attn.q_proj"),
    ("cross_attention.key", "multihead_attn.in_proj|1", "encoder_attn.k_proj", "encoder_attn.k_proj"),
    # Conditional DETR
    ("self_attention.query_content", "sa_qcontent_proj", "sa_qcontent_proj", "self_attn.q_content_proj"),
    ("self_attention.query_position", "sa_qpos_proj", "sa_qpos_proj", "self_attn.q_pos_proj"),
    ("self_attention.key_content", "sa_kcontent_proj", "sa_kcontent_proj", "self_attn.k_content_proj"),
    ("self_attention.key_position", "sa_kpos_proj", "sa_kpos_proj", "self_attn.k_pos_proj"),
    ("cross_attention.query_content", "ca_qcontent_proj", "ca_qcontent_proj", "encoder_attn.q_content_proj"),
    ("cross_attention.query_spatial", "ca_qpos_sine_proj", "ca_qpos_sine_proj", "encoder_attn.q_pos_sine_proj"),
    ("cross_attention.query_object", "ca_qpos_proj", "ca_qpos_proj", "encoder_attn.q_pos_proj"),
    ("cross_attention.key_content", "ca_kcontent_proj", "ca_kcontent_proj", "encoder_attn.k_content_proj"),
    ("cross_attention.key_spatial", "ca_kpos_proj", "ca_kpos_proj", "encoder_attn.k_pos_proj"),
    # both, under names that differ
    ("self_attention.out", "self_attn.out_proj", "self_attn.out_proj", "self_attn.o_proj"),
    ("feed_forward.0", "linear1", "fc1", "mlp.fc1"),
    ("feed_forward.3", "linear2", "fc2", "mlp.fc2"),
    ("norm1", "norm1", "self_attn_layer_norm", "self_attn_layer_norm"),
    ("norm2", "norm2", "encoder_attn_layer_norm", "encoder_attn_layer_norm"),
    ("norm3", "norm3", "final_layer_norm", "final_layer_norm"),
)
DETR_LEAVES = (
    ("self_attention.value", "self_attn.in_proj|2", "self_attn.v_proj", "self_attn.v_proj"),
    ("cross_attention.value", "multihead_attn.in_proj|2", "encoder_attn.v_proj", "encoder_attn.v_proj"),
    ("cross_attention.out", "multihead_attn.out_proj", "encoder_attn.out_proj", "encoder_attn.o_proj"),
)
CONDITIONAL_LEAVES = (
    ("self_attention.value", "sa_v_proj", "sa_v_proj", "self_attn.v_proj"),
    ("cross_attention.value", "ca_v_proj", "ca_v_proj", "encoder_attn.v_proj"),
    ("cross_attention.out", "cross_attn.out_proj", "encoder_attn.out_proj", "encoder_attn.o_proj"),
)


def conditional(names: Iterable[str]) -> bool:
    """Whether weights of these names (any dialect's, or ours) are Conditional DETR's."""
    return any(re.search(r"ref_point_head|reference\.point|ca_kpos_proj|k_pos_proj|key_spatial", n) for n in names)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a published file keeps one of our tensors: a name, and which third of its rows (None: all)."""

    name: str
    third: int | None


def place(ours: str, dialect: Dialect, is_conditional: bool) -> Place | None:
    """Where `dialect` keeps our tensor; None where the published models have none."""
    column = 1 + DIALECTS.index(dialect)
    layer = re.fullmatch(r"(encoder|decoder)\.layers\.(\d+)\.(.+)\.(weight|bias)", ours)
    if layer is None:
        row = next((row for row in PREFIXES if ours.startswith(row[0])), None)
        return None if row is None else Place(row[column] + ours.removeprefix(row[0]), None)
    side, number, leaf, kind = layer.groups()
    leaves = DECODER_LEAVES + (CONDITIONAL_LEAVES if is_conditional else DETR_LEAVES)
    row = next((row for row in (ENCODER_LEAVES if side == "encoder" else leaves) if row[0] == leaf), None)
    if row is None:
        return None
    stem, _, third = row[column].partition("|")
    at = f"{'transformer' if dialect == 'official' else 'model'}.{side}.layers.{number}.{stem}"
    return Place(f"{at}_{kind}", int(third)) if third else Place(f"{at}.{kind}", None)


def dialect_of(names: Iterable[str]) -> Dialect | None:
    """Whose names these are; None if they are not a published model's."""
    names = set(names)
    if "transformer.decoder.norm.weight" in names:
        return "official"
    if "model.decoder.layernorm.weight" not in names:
        return None
    return "transformers5" if any(".mlp.fc1." in name for name in names) else "transformers4"


@dataclass(frozen=True, slots=True)
class Read:
    """Weights under our names; `missing` are ours that the file lacks, `unexpected` the file's that we do not know."""

    state: dict[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def read(published: Mapping[str, Tensor], dialect: Dialect, ours: Iterable[str]) -> Read:
    """Rename published weights to our names `ours`."""
    is_conditional = conditional(published)
    state, missing, used = {}, [], set()
    for name in ours:
        at = place(name, dialect, is_conditional)
        if at is None or at.name not in published:
            missing.append(name)
            continue
        tensor = published[at.name]
        state[name] = tensor if at.third is None else tensor.chunk(3)[at.third]
        used.add(at.name)
    ignored = {name for name in published if name.endswith("num_batches_tracked")}
    return Read(state, tuple(missing), tuple(sorted(set(published) - used - ignored)))


def write(state: Mapping[str, Tensor], dialect: Dialect) -> dict[str, Tensor]:
    """Our weights under published names. Raises KeyError naming a tensor that the published models do not have."""
    is_conditional = conditional(state)
    whole: dict[str, Tensor] = {}
    thirds: dict[str, dict[int, Tensor]] = {}
    for name, tensor in state.items():
        at = place(name, dialect, is_conditional)
        if at is None:
            raise KeyError(name)
        if at.third is None:
            whole[at.name] = tensor
        else:
            thirds.setdefault(at.name, {})[at.third] = tensor
    return whole | {name: torch.cat([parts[i] for i in range(3)]) for name, parts in thirds.items()}
