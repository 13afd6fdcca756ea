"""Official .pth files, and the table of names against the lists of the published checkpoints."""

import argparse
import json
import os
from pathlib import Path

import pytest
import torch

from condetr import config, interchange
from condetr.build import build_detector
from condetr.checkpoint import load
from condetr.converting import convert
from condetr.errors import CondetrError, WeightsError
from condetr.interchange import published
from condetr.recipes import recipe
from condetr.types import Categories, Images
from tests.tiny import TINY, shaken


def official(path: Path, name: str, **args: object) -> torch.nn.Module:
    """A checkpoint laid out as the official code saves one."""
    detector = shaken(recipe(name).model, 91)
    content = {"model": published.write(detector.state_dict(), "official"), "epoch": 49, "lr_scheduler": {"a": 1}}
    if args:
        content["args"] = argparse.Namespace(**args)
    torch.save(content, path)
    return detector


@pytest.mark.parametrize(
    ("name", "file", "args"),
    [
        ("conditional_detr_r50", "ConditionalDETR_r50_epoch50.pth", {"dilation": False, "num_queries": 300}),
        ("conditional_detr_dc5_r50", "a.pth", {"dilation": True, "num_queries": 300}),
        ("detr_r101", "detr-r101-2c7b67e5.pth", {}),
        ("detr_dc5_r50", "detr-r50-dc5-f0fb7ef5.pth", {}),
    ],
)
def test_an_official_file_becomes_a_folder(tmp_path, name, file, args):
    detector = official(tmp_path / file, name, **args)
    convert(str(tmp_path / file), tmp_path / "out")
    weights = load(tmp_path / "out")
    assert weights.config == recipe(name)
    assert weights.categories.name(17) == "cat"
    assert len(weights.categories.real) == 80
    images = Images.pad([torch.randn(3, 64, 64)])
    with torch.no_grad():
        torch.testing.assert_close(weights.detector(images).boxes, detector(images).boxes, atol=0, rtol=0)


SMALL = {"dim": 32, "heads": 4, "hidden": 48, "encoder_layers": 1, "decoder_layers": 2, "queries": 5}


def small(name: str) -> config.Model:
    """A published model with ResNet-18 and few weights."""
    values = recipe(name).model.model_dump() | SMALL | {"backbone": {"name": "resnet18"}}
    return config.parse({"model": values}, None).model


@pytest.mark.parametrize("name", ["conditional_detr_r50", "detr_r50"])
@pytest.mark.parametrize("kind", [dict, argparse.Namespace])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_heads_layers_and_widths_are_read(tmp_path, name, kind, wrapper):
    detector = shaken(small(name), 3)
    state = {wrapper + key: tensor for key, tensor in published.write(detector.state_dict(), "official").items()}
    args = kind(nheads=4, dilation=False, dropout=0.2, pre_norm=False, position_embedding="sine", masks=False, lr=1e-4)
    torch.save({"model": state, "args": args}, tmp_path / "x.pth")
    weights = convert(tmp_path / "x.pth", tmp_path / "out")
    assert weights.config.model == small(name).model_copy(update={"dropout": 0.2})
    assert weights.config.loss == recipe(name).loss
    assert weights.config.train.epochs == recipe(name).train.epochs
    images = Images.pad([torch.randn(3, 64, 64)])
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "out").detector(images).boxes, detector(images).boxes)


@pytest.mark.parametrize(
    "args",
    [
        {"pre_norm": True}, {"position_embedding": "learned"}, {"masks": True}, {"nheads": 5}, {"nheads": "8"},
        {"dilation": "False"}, {"activation": "gelu"},
    ],
)  # fmt: skip
def test_another_model_of_the_official_code_is_refused_by_name(tmp_path, args):
    torch.save(broken(lambda state: None) | {"args": args}, tmp_path / "x.pth")
    for recipe_named in (None, "detr_r50"):
        with pytest.raises(WeightsError, match=rf"x\.pth: args\.{next(iter(args))}="):
            convert(tmp_path / "x.pth", tmp_path / "out", recipe=recipe_named)


@pytest.mark.parametrize("name", ["conditional_detr_r50", "detr_r50"])
def test_a_recipe_tells_what_neither_tensors_nor_args_do(tmp_path, name):
    """The number of heads and DC5; layers and widths are those of the tensors."""
    backbone = {"name": "resnet50", "stride": 16}
    model = config.parse({"model": small(name).model_dump() | {"backbone": backbone, "heads": 8}}, None).model
    state = zeros(model)
    file, dc5 = tmp_path / "x.pth", name.replace("r50", "dc5_r50")
    torch.save(state, file)
    with pytest.raises(WeightsError, match=rf"args\.nheads is missing.*: `recipe='{name}'`\."):
        interchange.read_official(file, recipe=None)
    assert interchange.read_official(file, recipe=dc5)[1].model == model
    assert interchange.read_official(file, recipe=name)[1].model.backbone.stride == 32
    torch.save({"model": state, "args": {"nheads": 4}}, file)
    read = interchange.read_official(file, recipe=dc5)[1].model
    assert (read.heads, read.backbone.stride) == (4, 16)
    torch.save({"model": state, "args": {"nheads": 8, "dilation": False}}, file)
    with pytest.raises(WeightsError, match=rf"args\.dilation=false: recipe={dc5}"):
        interchange.read_official(file, recipe=dc5)
    for other in ("small", "detr_r50" if name != "detr_r50" else "conditional_detr_r50"):
        with pytest.raises(WeightsError, match=rf"recipe={other}: the file has another decoder"):
            interchange.read_official(file, recipe=other)


def test_a_dilated_network_of_basic_blocks_is_refused(tmp_path):
    state = zeros(small("detr_r50"))
    torch.save({"model": state, "args": {"nheads": 4, "dilation": True}}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x\.pth: a dilated resnet18 \(DC5\).*args\.dilation"):
        convert(tmp_path / "x.pth", tmp_path / "out")


@pytest.mark.parametrize("prefix", ["", "detr."])
def test_a_checkpoint_with_a_mask_head_is_refused_by_name(tmp_path, prefix):
    state = {prefix + name: tensor for name, tensor in broken(lambda state: None)["model"].items()}
    torch.save({"model": state | {"mask_head.lay1.weight": torch.zeros(1)}}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x\.pth: .*a mask head \(segmentation\)"):
        convert(tmp_path / "x.pth", tmp_path / "out")


def test_what_a_training_saves_beside_the_model_is_left_out(tmp_path):
    """The official code evaluates `model`; numbers of half precision are computed in float32."""
    detector = shaken(small("detr_r50"), 3).half().float()
    state = {name: t.half() for name, t in published.write(detector.state_dict(), "official").items()}
    beside = {
        "ema": {name: t * 0 for name, t in state.items()},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 3,
    }
    torch.save({"model": state, "args": {"nheads": 4}} | beside, tmp_path / "x.pth")
    read = convert(tmp_path / "x.pth", tmp_path / "out").detector
    for name, tensor in detector.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], tensor, atol=0, rtol=0)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"model": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(WeightsError, match="would run code when read") as error:
        convert(str(tmp_path / "bomb.pth"), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [{"model": torch.zeros(2)}, {"model": 3}, [1], torch.zeros(1)])
def test_tensors_that_are_no_checkpoint_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x\.pth: not a checkpoint"):
        convert(str(tmp_path / "x.pth"), tmp_path / "out")


def broken(change) -> dict:
    """A complete official checkpoint, of zeros that take no space, after a change."""
    state = zeros(recipe("detr_r50").model)
    change(state)
    return {"model": state}


def zeros(model: config.Model) -> dict[str, torch.Tensor]:
    """Zeros under the official names, which take no space."""
    with torch.device("meta"):
        names = published.write(build_detector(model, 2).state_dict(), "official")
    return {name: torch.zeros(()).expand(tensor.shape) for name, tensor in names.items()}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.pop("class_embed.weight"), "class_embed.weight is missing"),
        (lambda s: s.update({"class_embed.weight": torch.zeros(3)}), "class_embed.weight is missing or not a matrix"),
        (lambda s: s.update({"class_embed.weight": torch.zeros(0, 256)}), "class_embed.weight is missing or not a"),
        (lambda s: s.update({"class_embed.weight": torch.zeros(1, 256)}), "has 1 row"),
        (lambda s: s.update({"class_embed.weight": [1, 2]}), "class_embed.weight is missing"),
        (lambda s: s.pop("query_embed.weight"), "query_embed.weight is missing"),
        (lambda s: s.update({"query_embed.weight": torch.tensor(1.0)}), "query_embed.weight is missing or not a"),
        (lambda s: s.pop("bbox_embed.layers.0.bias"), "is missing"),
        (lambda s: s.update({"input_proj.weight": torch.zeros(2, 2)}), "has shape"),
        (lambda s: s.update({"class_embed.weight": torch.zeros(3, 256, dtype=torch.int64)}), "floating point"),
        (lambda s: s.pop("backbone.0.body.layer1.0.conv1.weight"), "is not ResNet"),
        (lambda s: s.update({"transformer.decoder.norm.weight": None}), "not a checkpoint"),
    ],
)
def test_an_incomplete_checkpoint_is_one_line(tmp_path, change, reason):
    torch.save(broken(change), tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=reason) as error:
        convert(str(tmp_path / "x.pth"), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [{}, [], {"model": {}}, {"model": []}, {"model": {"a": 1}}, {1: 2}, 3, None])
def test_a_pth_without_weights_is_one_line(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x\.pth: not a checkpoint"):
        convert(tmp_path / "x.pth", tmp_path / "out")


@pytest.mark.parametrize(
    "settings",
    [
        {"backbone_config": "x"},
        {"backbone_kwargs": [1]},
        {"backbone_config": {"depths": 3}, "num_labels": 2},
        {"model_type": []},
    ],
)
def test_a_strange_transformers_config_is_refused_in_one_line(tmp_path, settings):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "detr"} | settings))
    with pytest.raises(WeightsError) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense" * 100])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"x\.pth"):
        convert(str(tmp_path / "x.pth"), tmp_path / "out")


@pytest.mark.parametrize("name", ["x.pth", "model.safetensors"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
    ],
)
def test_what_lies_in_the_place_of_a_file_of_weights_is_named(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "config.json").write_text('{"model_type": "detr"}')
    with pytest.raises(WeightsError, match=f"{name}: {reason}") as error:
        convert(tmp_path / name if name == "x.pth" else tmp_path, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_full_folder_is_not_overwritten(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(CondetrError, match="not empty"):
        convert("anything", tmp_path)


def test_what_transformers_does_not_know_is_not_written(tmp_path):
    c = config.Config(model=TINY)
    with pytest.raises(WeightsError, match="transformers has no such model"):
        interchange.write_transformers(tmp_path, shaken(TINY, 91), c, interchange.coco_categories(), "")
    dilated = config.override(config.Config(model=small("detr_r50")), {"model.backbone.stride": 16})
    with pytest.raises(WeightsError, match="50 and 101 can be dilated"):
        interchange.write_transformers(tmp_path, shaken(dilated.model, 2), dilated, Categories((1, 2), ("a", "b")), "")


@pytest.mark.parametrize(
    "changes",
    [
        {"model.keys": "fused"},
        {"model.decoder.kind": "refining", "model.reference": "anchors"},
        {"model.reference": "learned"},
        {"model.scoring.kind": "softmax"},
        {"model.backbone.name": "timm:convnext_tiny"},
        {"model.backbone.last_stage": 3, "model.backbone.stride": 16},
        {"model.decoder.kind": "detr"},
    ],
)
def test_other_models_are_not_written_for_transformers(tmp_path, changes):
    c = config.override(config.Config(model=small("conditional_detr_r50")), changes)
    with pytest.raises(WeightsError, match="transformers has no such model"):
        interchange.write_transformers(tmp_path, shaken(TINY, 2), c, Categories((1, 2), ("a", "b")), "")
    assert not any(tmp_path.iterdir())


def test_how_training_started_is_no_part_of_what_is_written(tmp_path):
    """`start=local` names the first weights of a training; what it ends with is transformers' model all the same."""
    model = config.override(recipe("conditional_detr_r18"), {"model.decoder.start": "local"}).model
    small = model.model_dump() | {"dim": 32, "heads": 2, "hidden": 16, "encoder_layers": 1, "decoder_layers": 1}
    c = config.parse({"model": small}, "here")
    interchange.write_transformers(tmp_path, shaken(c.model, 2), c, Categories((1, 2), ("a", "b")), "")
    assert interchange.read_transformers(tmp_path)[1].model.decoder == config.Conditional()
    block = config.parse({"model": small | {"decoder": {"kind": "conditional", "spatial_query": "block"}}}, "here")
    with pytest.raises(WeightsError, match="transformers has no such model"):
        interchange.write_transformers(tmp_path, shaken(block.model, 2), block, Categories((1, 2), ("a", "b")), "")


def test_cocos_slots():
    coco = interchange.coco_categories()
    assert (len(coco), len(coco.real)) == (91, 80)
    assert [i for i, name in enumerate(coco.names) if name is None] == [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert (coco.name(1), coco.name(44), coco.name(90)) == ("person", "bottle", "toothbrush")


@pytest.mark.parametrize("name", ["conditional_detr_r50", "detr_r50"])
def test_every_published_name_is_known(name):
    """Against the lists of the published checkpoints, where they are at hand: all names, all shapes, all dialects."""
    lists = Path(os.environ.get("CONDETR_REAL_DATA", "/nowhere")).parent / "keymaps" / f"{name}.tsv"
    if not lists.exists():
        pytest.skip("the lists of published names lie beside the real data, which CONDETR_REAL_DATA names")
    rows = [line.split("\t") for line in lists.read_text().splitlines()[1:]]
    with torch.device("meta"):
        state = build_detector(recipe(name).model, 91).state_dict()
    for column, dialect in ((0, "official"), (3, "transformers4"), (4, "transformers5")):
        written = published.write(state, dialect)
        theirs = {row[column].split("[")[0] for row in rows if len(row) > column and row[column]}
        assert {n for n in theirs if "num_batches" not in n} == set(written), dialect
