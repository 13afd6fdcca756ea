"""The fields of transformers' JSON files: those without effect on predictions, and the errors about all others."""

import json
from pathlib import Path
from typing import Any

from ..errors import WeightsError

Fixed = dict[str, tuple[tuple[Any, ...], str]]  # a field's possible values, and why there are no others

# set only during training, or in the losses: dropout is off in evaluation
TRAINING = {
    "attention_dropout", "activation_dropout", "classifier_dropout", "encoder_layerdrop", "decoder_layerdrop",
    "init_std", "init_xavier_std", "initializer_range", "class_cost", "bbox_cost", "giou_cost",
    "mask_loss_coefficient", "dice_loss_coefficient", "cls_loss_coefficient", "bbox_loss_coefficient",
    "giou_loss_coefficient", "eos_coefficient", "focal_alpha", "use_pretrained_backbone", "gradient_checkpointing",
    "problem_type", "finetuning_task", "ignore_mismatched_sizes",
}  # fmt: skip

# the form of transformers' outputs, and how it computes them
EXECUTION = {
    "output_hidden_states", "output_attentions", "output_scores", "return_dict", "use_return_dict", "use_cache",
    "chunk_size_feed_forward", "attn_implementation", "_attn_implementation", "_attn_implementation_autoset",
    "_attn_implementation_internal", "_experts_implementation", "_experts_implementation_internal", "torchscript",
    "use_bfloat16", "dtype", "torch_dtype", "tie_last_hidden_states",
}  # fmt: skip

# what describes the file, and what every config of transformers 4 has for its language models
METADATA = {
    "transformers_version", "_name_or_path", "name_or_path", "_commit_hash", "label2id", "_num_labels", "license",
    "is_encoder_decoder", "is_decoder", "add_cross_attention", "cross_attention_hidden_size", "tie_encoder_decoder",
    "tie_word_embeddings", "tf_legacy_loss", "max_position_embeddings", "scale_embedding", "vocab_size", "prefix",
    "tokenizer_class", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id",
    "task_specific_params", "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "temperature",
    "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "return_dict_in_generate",
    "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty",
    "suppress_tokens", "begin_suppress_tokens", "num_beam_groups", "diversity_penalty",
}  # fmt: skip

FIXED_EVERYWHERE: Fixed = {
    "pruned_heads": ((None, {}), "condetr's layers have all their heads"),
    "quantization_config": ((None,), "condetr reads weights that are not quantised"),
    "per_layer_config": ((None, {}), "condetr's layers are all alike"),
}

NO_EFFECT = TRAINING | EXECUTION | METADATA


def check_fields(
    values: dict[str, Any],
    read: set[str],
    fixed: Fixed,
    no_effect: set[str],
    file: Path,
    group: str,
) -> None:
    """Raises WeightsError for a field with a value that we do not compute, and for a field that is in no table."""
    for name, value in values.items():
        if name in fixed:
            fitting, reason = fixed[name]
            if value not in fitting:
                raise refused(file, group + name, value, reason)
        elif name not in read and name not in no_effect:
            reason = "an unknown setting, which may change the predictions. If it does not, remove it in a copy"
            raise refused(file, group + name, value, reason)


def refused(file: Path, name: str, value: Any, reason: str) -> WeightsError:
    """The error about one field: its place, its value and the reason."""
    shown = json.dumps(value, default=str)
    return WeightsError(f"{file}: {name}={shown if len(shown) <= 60 else shown[:59] + '…'}: {reason}")
