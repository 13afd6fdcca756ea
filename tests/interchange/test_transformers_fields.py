"""Every setting of transformers' files, one by one, against transformers: the same predictions, or refused by name."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers import ConditionalDetrConfig, DetrConfig, ResNetConfig, TimmBackboneConfig

from condetr import checkpoint, config, interchange
from condetr.build import build_prepare
from condetr.errors import CondetrError
from condetr.interchange import fields, transformers_backbone, transformers_config, transformers_images
from condetr.recipes import recipe
from condetr.types import Categories, Images
from tests.tiny import shaken

SMALL = {"dim": 32, "heads": 4, "hidden": 48, "encoder_layers": 2, "decoder_layers": 3, "queries": 7}
CLASSES = {str(i): name for i, name in enumerate(["a", "b", "c"])}
CONFIGS = {"conditional_detr": ConditionalDetrConfig, "detr": DetrConfig}
REMOVE = object()


pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module", params=CONFIGS)
def base(request, tmp_path_factory) -> Path:
    """A small model with ResNet-18 in transformers' layout."""
    of = recipe("conditional_detr_r18" if request.param == "conditional_detr" else "detr_r50")
    model = of.model.model_dump() | SMALL | {"backbone": {"name": "resnet18"}}
    c = config.parse({"model": model}, None)
    folder = tmp_path_factory.mktemp(request.param)
    interchange.write_transformers(folder, shaken(c.model, 3), c, Categories((0, 1, 2), ("a", "b", "c")), "card")
    return folder


def changed(base: Path, to: Path, changes: dict, processor: dict | None = None) -> Path:
    """The folder `to`: that of `base` after changes to its config.json and preprocessor_config.json."""
    to.mkdir(exist_ok=True)
    for file, values in (("config.json", changes), ("preprocessor_config.json", processor or {})):
        content = json.loads((base / file).read_text()) | values
        (to / file).write_text(json.dumps({key: value for key, value in content.items() if value is not REMOVE}))
    (to / "model.safetensors").symlink_to((base / "model.safetensors").resolve())
    return to


@torch.no_grad()
def agree(folder: Path) -> checkpoint.Weights:
    """Compare the predictions of our detector and of transformers' model; returns ours."""
    theirs, report = transformers.AutoModelForObjectDetection.from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    ours = checkpoint.load(folder)
    pixels = torch.randn(1, 3, 75, 101, generator=torch.Generator().manual_seed(0))
    found, expected = ours.detector(Images.pad([pixels[0]])), theirs.eval()(pixel_values=pixels)
    torch.testing.assert_close(found.logits[-1], expected.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.boxes[-1], expected.pred_boxes, atol=1e-4, rtol=0)
    return ours


def refusal(folder: Path) -> str:
    with pytest.raises(CondetrError) as error:
        checkpoint.load(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


TIMM = {"model_type": "timm_backbone", "backbone": "resnet18", "out_indices": [1, 2, 3, 4]}
READ_RIGHT = {
    "unchanged": {},
    "second names": {
        "d_model": REMOVE, "hidden_size": 32, "encoder_attention_heads": REMOVE, "num_attention_heads": 4,
        "encoder_layers": REMOVE, "num_hidden_layers": 2,
    },
    "both names": {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2},
    "options of version 4": {"backbone_kwargs": {"out_indices": [1, 2, 3, 4], "in_chans": 3}},
    "pretrained tag": {"backbone": "resnet18.tv_in1k"},
    "backbone_config of timm": {"backbone": REMOVE, "backbone_config": TIMM | {"use_pretrained_backbone": False}},
    "backbone_config, last": {"backbone_config": TIMM | {"out_indices": [-1], "output_stride": 32}},
    "no dropout": {"dropout": 0.0},
}  # fmt: skip


@pytest.mark.parametrize("changes", READ_RIGHT.values(), ids=READ_RIGHT)
def test_what_is_read_is_read_as_transformers_reads_it(base, tmp_path, changes):
    agree(changed(base, tmp_path / "x", changes))


def other(value: object) -> object:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value * 2 + 1
        case _:
            return "other"


def test_settings_without_effect_have_none(base, tmp_path):
    """All of them are changed at once, where transformers accepts another value."""
    theirs = CONFIGS[json.loads((base / "config.json").read_text())["model_type"]]
    fixed_type = {"dtype", "torch_dtype", "problem_type", "label2id", "attn_implementation", "_attn_implementation"}
    # a tuple instead of an object; without hidden states; a sum over the losses that is not computed
    shape = {"return_dict", "use_return_dict", "_attn_implementation_internal", "torchscript", "is_encoder_decoder"}
    defaults = {field.name: getattr(theirs(), field.name) for field in dataclasses.fields(theirs)}
    names = fields.NO_EFFECT - fixed_type - shape
    changes = {name: other(defaults.get(name, False)) for name in names if not name.startswith("_")}
    agree(changed(base, tmp_path / "x", changes | {"is_encoder_decoder": False}))


REFUSED = {
    "auxiliary_loss": True,
    "activation_function": "gelu",
    "position_embedding_type": "learned",
    "num_channels": 4,
    "pruned_heads": {"0": [1]},
    "quantization_config": {"bits": 4},
    "per_layer_config": {"1": {"d_model": 16}},
    "architectures": ["DetrForSegmentation"],
    "decoder_ffn_dim": 64,
    "decoder_attention_heads": 8,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_feature_levels": 4,
    "two_stage": False,
    "backbone": "resnet18d",
    "backbone_kwargs": {"output_stride": 8},
    "id2label": {"1": "a", "2": "b", "3": "c"},
    "model_type": "deformable_detr",
    "d_model": 30,
    "num_queries": 0,
    "dropout": "much",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_we_do_not_compute_is_refused_by_name(base, tmp_path, name):
    message = refusal(changed(base, tmp_path / "x", {name: REFUSED[name]}))
    assert f"config.json: {name}" in message


BACKBONES = {
    "model_type": {"model_type": "swin"},
    "output_stride": TIMM | {"output_stride": 8},
    "out_indices": TIMM | {"out_indices": [0, 1]},
    "features_only": TIMM | {"features_only": False},
    "num_channels": TIMM | {"num_channels": 1},
    "something": TIMM | {"something": 1},
    "depths": {"model_type": "resnet", "depths": [3, 4, 36, 3]},
    "hidden_act": {"model_type": "resnet", "hidden_act": "gelu"},
    "embedding_size": {"model_type": "resnet", "embedding_size": 32},
    "hidden_sizes": {"model_type": "resnet", "hidden_sizes": [64, 128, 256, 512]},
    "downsample_in_first_stage": {"model_type": "resnet", "downsample_in_first_stage": True},
    "downsample_in_bottleneck": {"model_type": "resnet", "downsample_in_bottleneck": True},
    "out_features": {"model_type": "resnet", "out_features": ["stage1"]},
}


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_that_we_do_not_compute_is_refused_by_name(base, tmp_path, name):
    message = refusal(changed(base, tmp_path / "x", {"backbone": REMOVE, "backbone_config": BACKBONES[name]}))
    assert f"config.json: backbone_config.{name}" in message


def test_contradictory_descriptions_of_a_backbone_are_refused(base, tmp_path):
    assert "backbone=" in refusal(changed(base, tmp_path / "a", {"backbone": "resnet50", "backbone_config": TIMM}))
    assert "dilation=" in refusal(changed(base, tmp_path / "b", {"backbone_config": TIMM, "dilation": True}))
    both = {"backbone_config": TIMM, "backbone_kwargs": {"output_stride": 16}}
    assert "backbone_kwargs=" in refusal(changed(base, tmp_path / "c", both))
    ignored = {"dilation": True, "backbone_kwargs": {"out_indices": [1, 2, 3, 4]}}
    assert "dilation=" in refusal(changed(base, tmp_path / "d", ignored))


BASIC = {"model_type": "resnet", "depths": [2, 2, 2, 2], "layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]}
OTHER_BACKBONES = {
    "transformers' ResNet-18": BASIC | {"out_features": ["stage4"]},
    "transformers' ResNet-18 without its last stage": BASIC | {"out_features": ["stage2", "stage3"]},
    "transformers' ResNet-50": {"model_type": "resnet", "out_indices": [4]},
    "timm's ResNet-18 without its last stages": TIMM | {"out_indices": [1, 2]},
    "timm's ResNet-50, dilated": TIMM | {"backbone": "resnet50", "output_stride": 16},
}


@pytest.mark.parametrize("backbone", OTHER_BACKBONES.values(), ids=OTHER_BACKBONES)
def test_other_backbones_are_read(tmp_path, backbone):
    torch.manual_seed(0)
    described = ConditionalDetrConfig(
        backbone_config=backbone, d_model=32, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
        decoder_ffn_dim=48, encoder_layers=1, decoder_layers=2, num_queries=7, num_labels=3,
    )  # fmt: skip
    transformers.ConditionalDetrForObjectDetection(described).save_pretrained(tmp_path)
    agree(tmp_path)


R50_DC5 = {"name": "resnet50", "last_stage": 4, "stride": 16}
DESCRIPTIONS: tuple[tuple[dict, dict], ...] = (
    ({}, R50_DC5 | {"stride": 32}),
    ({"dilation": None, "backbone": None, "use_timm_backbone": False}, R50_DC5 | {"stride": 32}),
    ({"backbone": "microsoft/resnet-101", "use_timm_backbone": False}, R50_DC5 | {"name": "resnet101", "stride": 32}),
    ({"dilation": True}, R50_DC5),
    ({"dilation": True, "backbone": "resnet50", "backbone_kwargs": {"output_stride": 16, "in_chans": 3}}, R50_DC5),
    ({"dilation": True, "backbone_config": TIMM | {"backbone": "resnet50", "output_stride": 16}}, R50_DC5),
    ({"backbone_kwargs": {"output_stride": 16, "out_indices": [1, 2, 3, 4]}}, R50_DC5),
)


@pytest.mark.parametrize(("theirs", "ours"), DESCRIPTIONS)
def test_versions_4_and_5_describe_a_backbone_in_their_own_ways(theirs, ours):
    assert transformers_backbone.backbone_of(theirs, Path("config.json")) == ours


# as the hub has them: of facebook/detr-resnet-50 and microsoft/conditional-detr-resnet-50, and of the branch no_timm
PUBLISHED = {
    "activation_dropout": 0.0, "activation_function": "relu", "attention_dropout": 0.0, "auxiliary_loss": False,
    "bbox_cost": 5, "bbox_loss_coefficient": 5, "class_cost": 1, "classifier_dropout": 0.0, "d_model": 256,
    "decoder_attention_heads": 8, "decoder_ffn_dim": 2048, "decoder_layerdrop": 0.0, "decoder_layers": 6,
    "dice_loss_coefficient": 1, "dilation": False, "dropout": 0.1, "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048, "encoder_layerdrop": 0.0, "encoder_layers": 6, "giou_cost": 2, "giou_loss_coefficient": 2,
    "init_std": 0.02, "init_xavier_std": 1.0, "is_encoder_decoder": True, "mask_loss_coefficient": 1,
    "max_position_embeddings": 1024, "num_channels": 3, "num_hidden_layers": 6, "position_embedding_type": "sine",
    "scale_embedding": False, "torch_dtype": "float32", "transformers_version": "4.21.0.dev0", "backbone": "resnet50",
}  # fmt: skip
NO_TIMM = {
    "backbone": None, "dilation": None, "use_timm_backbone": False, "use_pretrained_backbone": None,
    "backbone_config": {
        "_name_or_path": "", "architectures": None, "bad_words_ids": None, "chunk_size_feed_forward": 0,
        "depths": [3, 4, 6, 3], "downsample_in_first_stage": False, "embedding_size": 64, "hidden_act": "relu",
        "hidden_sizes": [256, 512, 1024, 2048], "id2label": {"0": "LABEL_0"}, "layer_type": "bottleneck",
        "model_type": "resnet", "num_channels": 3, "out_features": ["stage4"], "pruned_heads": {}, "top_k": 50,
        "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"], "torch_dtype": None, "use_bfloat16": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("inner", [{}, NO_TIMM])
@pytest.mark.parametrize(
    "kind",
    [
        {"model_type": "detr", "num_queries": 100, "eos_coefficient": 0.1, "architectures": ["DetrForObjectDetection"]},
        {"model_type": "conditional_detr", "num_queries": 300, "cls_loss_coefficient": 2, "focal_alpha": 0.25},
    ],
)
def test_published_descriptions_are_read(kind, inner):
    name = "detr_r50" if kind["model_type"] == "detr" else "conditional_detr_r50"
    assert transformers_config.model_of(PUBLISHED | kind | inner, Path("config.json")) == recipe(name).model


def test_a_dilated_network_of_basic_blocks_is_refused(base, tmp_path):
    assert "resnet18 is dilated" in refusal(changed(base, tmp_path / "x", {"dilation": True}))


@pytest.mark.parametrize("theirs", [ConditionalDetrConfig, DetrConfig])
def test_every_setting_of_the_installed_transformers_is_known(theirs):
    known = transformers_config.READ | set(transformers_config.FIXED) | fields.NO_EFFECT
    assert set(theirs().to_dict()) <= known
    assert {field.name for field in dataclasses.fields(theirs)} <= known


@pytest.mark.parametrize("inner", [ResNetConfig(), TimmBackboneConfig(backbone="resnet18")])
def test_every_setting_of_its_backbones_is_known(inner):
    """No message about a setting that transformers writes by itself."""
    transformers_backbone.backbone_of({"backbone_config": json.loads(inner.to_json_string(use_diff=False))}, Path("x"))


@pytest.mark.parametrize("name", ["ConditionalDetrImageProcessor", "DetrImageProcessor"])
def test_every_setting_of_its_image_processors_is_known(name, tmp_path):
    processor = getattr(transformers, name)
    known = transformers_images.READ | set(transformers_images.FIXED) | transformers_images.NO_EFFECT
    assert set(processor.valid_kwargs.__annotations__) <= known
    processor().save_pretrained(tmp_path)
    assert set(json.loads((tmp_path / "preprocessor_config.json").read_text())) <= known
    assert transformers_images.image_size(tmp_path) == {"size": 800, "longest": 1333 / 800}


def sizes(folder: Path, shape: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) to which transformers resizes an image of (width, height) `shape`."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    values = processor(images=Image.fromarray(np.zeros((*shape[::-1], 3), np.uint8)), return_tensors="pt")
    mask = values.get("pixel_mask", torch.ones(values["pixel_values"].shape[2:])[None])[0]
    return int(mask[0].sum()), int(mask[:, 0].sum())


PROCESSORS = {
    "two edges": {"size": {"shortest_edge": 96, "longest_edge": 160}},
    "one number": {"size": 96},
    "one number and a limit": {"size": 96, "max_size": 120},
    "a square": {"size": {"max_height": 128, "max_width": 128}},
    "a padded square": {"size": {"max_height": 128, "max_width": 128}, "pad_size": {"height": 128, "width": 128}},
    "no size": {"size": REMOVE},
    "no padding": {"size": {"shortest_edge": 96, "longest_edge": 160}, "do_pad": False},
    "no kind": {"size": {"shortest_edge": 96, "longest_edge": 160}, "do_convert_annotations": False},
}


@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_images_have_the_sizes_that_transformers_gives_them(base, tmp_path, processor):
    folder = changed(base, tmp_path / "x", {}, processor)
    values = transformers_images.image_size(folder)
    data = config.parse({"data": values}, None).data
    for shape in ((640, 480), (480, 640), (500, 500), (900, 200), (60, 40)):
        ours, theirs = build_prepare(data).fit(shape), sizes(folder, shape)
        # where the long side is limited, transformers rounds it like neither paper's code
        assert max(abs(a - b) for a, b in zip(ours, theirs)) <= 1 + (shape == (900, 200)), shape


REFUSED_PROCESSORS = {
    "size": [
        {"height": 96, "width": 96}, {"shortest_edge": 96}, {"longest_edge": 96}, {"max_height": 96, "max_width": 64},
        [96, 96], {"shortest_edge": 0, "longest_edge": 9}, {"shortest_edge": 96, "longest_edge": 64}, {}, "96", True,
        {"min_pixels": 10, "max_pixels": 100},
    ],
    "image_mean": [[0.5, 0.5, 0.5], [0.485, 0.456], 0.5, "x"],
    "image_std": [[0.5, 0.5, 0.5]],
    "do_normalize": [False],
    "do_rescale": [False],
    "rescale_factor": [1 / 127.5],
    "do_resize": [False],
    "resample": [3, 0],
    "do_center_crop": [True],
    "size_divisor": [32],
    "image_processor_type": ["YolosImageProcessor"],
    "do_flip_channel_order": [True],
}  # fmt: skip


CASES = [(name, value) for name, values in REFUSED_PROCESSORS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_images_that_ours_cannot_follow_are_refused_by_name(base, tmp_path, name, value):
    assert f"preprocessor_config.json: {name}=" in refusal(changed(base, tmp_path / "x", {}, {name: value}))


def test_the_nested_settings_of_an_image_processor_come_first(base, tmp_path):
    folder = changed(base, tmp_path / "x", {})
    nested = {"image_processor": {"size": {"shortest_edge": 96, "longest_edge": 160}}, "processor_class": "X"}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert checkpoint.load(folder).config.data.size == 96


CATEGORIES = {
    "left out": ({"id2label": REMOVE}, ("LABEL_0", "LABEL_1", "LABEL_2")),
    "their number": ({"id2label": REMOVE, "num_labels": 3}, ("LABEL_0", "LABEL_1", "LABEL_2")),
    "null": ({"id2label": None, "num_labels": 3}, ("LABEL_0", "LABEL_1", "LABEL_2")),
    "numbers": ({"id2label": {"0": 7, "1": "b", "2": 1.5}}, ("7", "b", "1.5")),
    "unused": ({"id2label": {"0": "a", "1": "N/A", "2": "c"}}, ("a", None, "c")),
}


@pytest.mark.parametrize(("changes", "names"), CATEGORIES.values(), ids=CATEGORIES)
def test_classes_without_names_are_called_as_in_transformers(base, tmp_path, changes, names):
    assert checkpoint.load(changed(base, tmp_path / "x", changes)).categories.names == names


@pytest.mark.parametrize("value", [{}, [], "a", {"0": ["a"], "1": "b", "2": "c"}, {"0": "a", "1": "b"}])
def test_class_names_that_do_not_fit_are_one_line(base, tmp_path, value):
    assert refusal(changed(base, tmp_path / "x", {"id2label": value}))


def test_a_custom_detr_is_fine_tuned_with_the_losses_of_detr(base, tmp_path):
    c = checkpoint.load(changed(base, tmp_path / "x", {})).config
    kind = c.model.decoder.kind
    assert c.recipe == "custom"
    assert c.loss.classes == (1.0 if kind == "detr" else 2.0)
    assert c.train.epochs == (300 if kind == "detr" else 50)


def test_a_folder_with_only_a_pickle_is_refused_with_the_way_out(base, tmp_path):
    folder = changed(base, tmp_path / "x", {})
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "save_pretrained" in refusal(folder)
