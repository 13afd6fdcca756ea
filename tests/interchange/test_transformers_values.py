"""Unusual values of the settings in transformers' files, and unusual files: read as transformers does, or refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import ConditionalDetrConfig, DetrConfig

from condetr import checkpoint, interchange
from condetr.errors import CondetrError
from condetr.interchange import transformers_classes, transformers_config, transformers_images
from condetr.types import Images

KINDS = {
    "conditional_detr": (ConditionalDetrConfig, transformers.ConditionalDetrForObjectDetection),
    "detr": (DetrConfig, transformers.DetrForObjectDetection),
}
TIMM = {"model_type": "timm_backbone", "backbone": "resnet18", "out_indices": [1, 2]}
SMALL = {
    "d_model": 32, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48, "encoder_layers": 2, "decoder_layers": 3, "num_queries": 7,
}  # fmt: skip
NAMES = {"id2label": {"0": "a", "1": "b", "2": "c"}}
UNUSUAL = [None, 0, 1, True, False, 2.0, -1, 0.5, "x", "3", "false", "", [], {}, [1], {"a": 1}]
NUMBERS = [32.0, "32", 33, 4.0, 5, 48.0, 49, 3.0, 8]


pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module", params=KINDS)
def base(request, tmp_path_factory) -> Path:
    """A small model with the first two stages of ResNet-18, as transformers saves it."""
    folder = tmp_path_factory.mktemp(request.param)
    theirs, model = KINDS[request.param]
    torch.manual_seed(0)
    model(theirs(backbone_config=TIMM, **SMALL, **NAMES)).save_pretrained(folder)
    transformers.DetrImageProcessor(size={"shortest_edge": 96, "longest_edge": 160}).save_pretrained(folder)
    return folder


def one_line(error: CondetrError, name: str) -> None:
    assert "\n" not in str(error)
    assert name in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_unusual_values_are_read_as_transformers_reads_them_or_refused_by_name(kind):
    theirs = KINDS[kind][0]
    usual = {"model_type": kind, "backbone_config": TIMM} | SMALL | NAMES
    names = transformers_config.READ | set(transformers_config.FIXED)  # the others have no effect, whatever their value
    compared = 0
    for name in sorted(names - {"id2label", "num_labels", "condetr_category_ids", "architectures"}):
        for value in UNUSUAL + NUMBERS:
            settings = json.loads(json.dumps(usual | {name: value}))
            try:
                ours = transformers_config.model_of(settings, Path("config.json"))
            except CondetrError as error:
                one_line(error, name.removeprefix("_"))
                continue
            try:
                expected = theirs.from_dict(settings)
            except Exception:  # its own checks, of many classes: what it refuses has no meaning to compare with
                continue
            compared += 1
            backbone = expected.backbone_config
            assert ours.dim == expected.d_model, (name, value)
            assert ours.heads == expected.encoder_attention_heads == expected.decoder_attention_heads, (name, value)
            assert ours.hidden == expected.encoder_ffn_dim == expected.decoder_ffn_dim, (name, value)
            assert ours.encoder_layers == expected.encoder_layers, (name, value)
            assert ours.decoder_layers == expected.decoder_layers, (name, value)
            assert ours.queries == expected.num_queries, (name, value)
            own = "resnet50" if backbone.model_type == "resnet" else backbone.backbone
            assert ours.backbone.name == own, (name, value)
            assert ours.backbone.last_stage == backbone.out_indices[-1], (name, value)
            assert not expected.auxiliary_loss, (name, value)
            fixed = expected.activation_function, expected.position_embedding_type, expected.num_channels
            assert fixed == ("relu", "sine", 3), (name, value)
    assert compared > 50


def test_unusual_values_of_an_image_processor_are_one_line(base, tmp_path):
    usual = json.loads((base / "preprocessor_config.json").read_text())
    file = tmp_path / "preprocessor_config.json"
    for name in sorted(transformers_images.READ | set(transformers_images.FIXED) | {"offset", "do_mirror"}):
        for value in UNUSUAL:
            file.write_text(json.dumps(usual | {name: value}))
            try:
                found = transformers_images.image_size(tmp_path)
            except CondetrError as error:
                one_line(error, f"{file}: {name}=")
            else:
                assert name == "max_size" or value is None or (name, value) in FITTING, (name, value)
                assert found in ({}, {"size": 96, "longest": 160 / 96})


FITTING = [  # 1 is True, and 2.0 is 2
    *((name, value) for name in ("do_resize", "do_rescale", "do_normalize") for value in (1, True)),
    ("resample", 2), *(("do_center_crop", value) for value in (0, False)), ("size_divisibility", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    "size",
    [
        {"shortest_edge": 16, "longest_edge": 32},
        {"shortest_edge": 5000, "longest_edge": 9000},
        {"shortest_edge": 96.5, "longest_edge": 160},
        {"shortest_edge": 100, "longest_edge": 7000},
        {"max_height": 99.5, "max_width": 99.5},
    ],
)
def test_sizes_beyond_ours_are_refused_in_their_file(tmp_path, size):
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps({"size": size}))
    with pytest.raises(CondetrError) as error:
        transformers_images.image_size(tmp_path)
    one_line(error.value, f"{file}: size=")


def test_a_processor_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "processor_config.json").write_text('{"image_processor": "DetrImageProcessor"}')
    with pytest.raises(CondetrError) as error:
        transformers_images.image_size(tmp_path)
    one_line(error.value, "processor_config.json: image_processor=")


def written(base: Path, to: Path, changes: dict) -> Path:
    to.mkdir(exist_ok=True)
    content = json.loads((base / "config.json").read_text()) | changes
    (to / "config.json").write_text(json.dumps(content))
    shutil.copy(base / "preprocessor_config.json", to)
    (to / "model.safetensors").unlink(missing_ok=True)
    (to / "model.safetensors").symlink_to(base / "model.safetensors")
    return to


CONTRADICTIONS = {
    "num_queries": 8, "d_model": 36, "encoder_layers": 3, "decoder_layers": 2, "num_labels": 4,
    "id2label": {"0": "a", "1": "b"}, "condetr_category_ids": [5, 5, 7],
}  # fmt: skip


def test_sizes_that_are_not_those_of_the_weights_are_refused_by_name(base, tmp_path):
    cases = [{name: value} for name, value in CONTRADICTIONS.items()]
    cases += [{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}, {"condetr_category_ids": ["5", 6, 7]}]
    cases += [{"id2label": dict.fromkeys("012", "N/A")}, {"id2label": None, "num_labels": 2}, {"num_labels": "3"}]
    for case in cases:
        with pytest.raises(CondetrError) as error:
            checkpoint.load(written(base, tmp_path / "x", case))
        shown = "num_labels" if "num_labels" in case else next(iter(case))
        one_line(error.value, f"config.json: {shown}=")
    other = {"backbone_config": TIMM | {"backbone": "resnet50"}}
    with pytest.raises(CondetrError, match=r"layer1\.0\.conv1\.weight has shape .* \(resnet50\)"):
        checkpoint.load(written(base, tmp_path / "x", other))


@pytest.mark.parametrize("value", [0, False, "", [], "resnet18"])
@pytest.mark.parametrize("name", ["backbone_config", "backbone_kwargs"])
def test_a_backbone_that_is_no_object_is_refused(name, value):
    with pytest.raises(CondetrError) as error:
        transformers_config.model_of({"model_type": "detr", name: value}, Path("config.json"))
    one_line(error.value, f"config.json: {name}=")


def test_ids_of_the_weights_that_were_fine_tuned_are_left_out(base, tmp_path):
    loaded = checkpoint.load(written(base, tmp_path / "x", {"condetr_category_ids": [7, 9], "num_labels": 3}))
    assert loaded.categories.ids == (0, 1, 2)


def test_91_classes_are_cocos_only_if_they_have_its_names(base):
    slots = interchange.coco_categories()
    unnamed = {str(i): f"LABEL_{i}" for i in range(91)}
    read = transformers_classes.categories_of
    assert read({"num_labels": 91}, base, 91).names == tuple(unnamed.values())
    assert read({"id2label": unnamed | {"17": "cat"}}, base, 91) == slots
    assert read({"id2label": {str(i): name or "N/A" for i, name in enumerate(slots.names)}}, base, 91) == slots
    assert read({"id2label": unnamed | {"17": "dog"}}, base, 91).names[17] == "dog"
    ids = list(range(100, 191))
    assert read({"id2label": unnamed | {"17": "cat"}, "condetr_category_ids": ids}, base, 91).ids == tuple(ids)


@torch.no_grad()
def test_weights_of_half_precision_are_read_as_they_are(base, tmp_path):
    """transformers computes in the precision of the file; condetr computes in float32 from the same numbers."""
    folder = written(base, tmp_path / "x", {})
    state = {
        name: t.half() if t.is_floating_point() else t for name, t in load_file(base / "model.safetensors").items()
    }
    (folder / "model.safetensors").unlink()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    theirs = transformers.AutoModelForObjectDetection.from_pretrained(folder).float().eval()(pixel_values=pixels)
    ours = checkpoint.load(folder).detector(Images.pad([pixels[0]]))
    torch.testing.assert_close(ours.logits[-1], theirs.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.boxes[-1], theirs.pred_boxes, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.safetensors.index.json", "{}", "model.safetensors.index.json: the weights are in several files"),
        ("pytorch_model.bin", "", "pytorch_model.bin: such files can run code"),
        ("model.fp16.safetensors", "", "model.fp16.safetensors: condetr reads model.safetensors"),
        ("adapter_config.json", "{}", "adapter_config.json: condetr does not read adapters"),
    ],
)
def test_other_files_in_the_place_of_the_weights_are_named(base, tmp_path, name, content, reason):
    folder = written(base, tmp_path / "x", {})
    (folder / name).write_text(content)
    if name != "adapter_config.json":
        (folder / "model.safetensors").unlink()
    with pytest.raises(CondetrError) as error:
        checkpoint.load(folder)
    one_line(error.value, reason)


def test_a_mask_head_is_named(base, tmp_path):
    folder = written(base, tmp_path / "x", {"architectures": None})
    state = {f"detr.{name}": tensor for name, tensor in load_file(base / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    save_file(state | {"mask_head.output_conv.weight": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(CondetrError) as error:
        checkpoint.load(folder)
    one_line(error.value, "mask_head.output_conv.weight: a mask head")
