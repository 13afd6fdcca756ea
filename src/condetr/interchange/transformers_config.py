"""transformers' config.json → our model: every field is read, known to have no effect on predictions, or refused.

The fields are those of transformers 4 and 5. Where the two versions read a file differently, it is refused.
"""

from pathlib import Path
from typing import Any

from .. import config, recipes
from ..errors import ConfigError, WeightsError
from .fields import FIXED_EVERYWHERE, NO_EFFECT, Fixed, check_fields, refused
from .transformers_backbone import backbone_of

KINDS = {"conditional_detr": "ConditionalDetrForObjectDetection", "detr": "DetrForObjectDetection"}

READ = {
    "model_type", "architectures", "d_model", "hidden_size", "encoder_layers", "num_hidden_layers", "decoder_layers",
    "encoder_attention_heads", "num_attention_heads", "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim",
    "num_queries", "dropout", "backbone", "backbone_config", "backbone_kwargs", "use_timm_backbone", "dilation",
    "id2label", "num_labels", "condetr_category_ids",
}  # fmt: skip

# the only values that our models compute, and what another value does in transformers' models
FIXED: Fixed = {
    "auxiliary_loss": (
        (False,),
        "transformers then applies the decoder's norm between its layers too, which condetr's decoders do not. If the "
        "weights were trained without it, set it to false in a copy of the folder",
    ),
    "activation_function": (("relu",), "condetr's feed-forward networks have ReLU"),
    "position_embedding_type": (("sine",), "condetr's image positions are sine embeddings"),
    "num_channels": ((3,), "condetr reads images with 3 channels"),
} | FIXED_EVERYWHERE


NAMES = {  # of our settings in config.json
    "dim": "d_model", "heads": "encoder_attention_heads", "hidden": "encoder_ffn_dim", "queries": "num_queries",
    "encoder_layers": "encoder_layers", "decoder_layers": "decoder_layers", "dropout": "dropout",
}  # fmt: skip


def model_of(theirs: dict[str, Any], file: Path) -> config.Model:
    """The model that a config.json describes. Raises WeightsError naming the field that we cannot follow."""
    kind = theirs.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise WeightsError(f"{file}: model_type is {kind!r}; condetr reads {' and '.join(KINDS)}")
    check_fields(theirs, READ, FIXED, NO_EFFECT, file, "")
    architectures = theirs.get("architectures") or [KINDS[kind]]
    if architectures != [KINDS[kind]]:
        raise refused(file, "architectures", architectures, f"condetr reads {KINDS[kind]}")
    base = recipes.recipe("conditional_detr_r50" if kind == "conditional_detr" else "detr_r50").model
    dim = _of_two_names(theirs, "d_model", "hidden_size", base.dim, file)
    heads = _of_two_names(theirs, "encoder_attention_heads", "num_attention_heads", base.heads, file)
    layers = _of_two_names(theirs, "encoder_layers", "num_hidden_layers", base.encoder_layers, file)
    hidden = theirs.get("encoder_ffn_dim", base.hidden)
    for name, value, default in (
        ("decoder_attention_heads", heads, base.heads),
        ("decoder_ffn_dim", hidden, base.hidden),
    ):
        if theirs.get(name, default) != value:
            reason = f"{name.replace('decoder', 'encoder')} is {value}, and condetr has one number for both"
            raise refused(file, name, theirs.get(name, default), reason)
    values = base.model_dump() | {
        "backbone": base.backbone.model_dump() | backbone_of(theirs, file),
        "dim": dim,
        "heads": heads,
        "hidden": hidden,
        "encoder_layers": layers,
        "decoder_layers": theirs.get("decoder_layers", base.decoder_layers),
        "queries": theirs.get("num_queries", base.queries),
        "dropout": theirs.get("dropout", base.dropout),
    }
    try:
        return config.parse({"model": values}, None).model
    except ConfigError as error:
        theirs_name = NAMES.get((error.setting or "").removeprefix("model."), error.setting)
        raise ConfigError(error.reason, setting=theirs_name, value=error.value, source=str(file)) from None


def _of_two_names(theirs: dict[str, Any], name: str, alias: str, default: int, file: Path) -> Any:
    """A number that transformers also reads under a second name; where they differ, its versions disagree."""
    value = theirs.get(name, theirs.get(alias, default))
    if alias in theirs and theirs[alias] != value:
        raise refused(file, alias, theirs[alias], f"{name} is {value}, and both are names of one number")
    return value
