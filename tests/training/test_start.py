"""What a training starts from: tensors that fit are loaded, and the others are reported."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

from condetr import checkpoint, config
from condetr.checkpoint import Weights
from condetr.config import Config
from condetr.datasets.dataset import Split
from condetr.errors import ConfigError, WeightsError
from condetr.examining.examine import examine
from condetr.interchange.hub import NoProgressBar
from condetr.training.data import box_sizes
from condetr.training.settings import resolve
from condetr.training.start import check_random_start, start
from condetr.types import Categories
from tests import generated
from tests.tiny import TINY, TINY_DETR, TINY_REFINING, shaken

PETS = Categories((1, 5, 9), ("cat", None, "dog"))
FARM = Categories((0, 1, 2), ("Dog", "cow", "cat"))


def from_(init: str, model=TINY, **changes) -> Config:
    named = {path.replace("__", "."): value for path, value in changes.items()}
    return config.override(Config(model=model), {"train.init": str(init), **named})


def saved(folder, model=TINY, categories=PETS):
    detector = shaken(model, len(categories))
    checkpoint.save(folder, Weights(detector, Config(recipe="tiny", model=model), categories, None), "card")
    return detector.state_dict()


def backbone(model=TINY, **more) -> dict[str, torch.Tensor]:
    """As torchvision and timm write them: with a later stage, a classifier and the counters of batch norms."""
    state = dict(shaken(model, 1).backbone.state_dict())
    counters = {name.replace("running_var", "num_batches_tracked"): torch.tensor(3) for name in state if "_var" in name}
    return {**state, **counters, "layer4.0.conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(1000, 512), **more}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.0.body."])
def test_a_backbones_file_fills_the_backbone(tmp_path, suffix, prefix):
    state = {f"{prefix}{name}": tensor for name, tensor in backbone().items()}
    file = tmp_path / f"resnet{suffix}"
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    detector = start(from_(file), PETS).detector
    for name, tensor in detector.backbone.state_dict().items():
        assert torch.equal(tensor, state[prefix + name])
    fresh = start(from_("none"), PETS).detector
    assert torch.equal(detector.queries.weight, fresh.queries.weight)


def test_the_tensor_of_a_backbone_that_does_not_fit_is_named(tmp_path):
    file, whole = tmp_path / "resnet.safetensors", backbone()

    def refused(state, match):
        save_file(state, file)
        with pytest.raises(WeightsError, match=match) as caught:
            start(from_(file), PETS)
        assert "`init=FILE`" in str(caught.value)
        assert "\n" not in str(caught.value)

    refused({k: v for k, v in whole.items() if k != "layer2.0.conv1.weight"}, "layer2.0.conv1.weight is missing")
    refused({**whole, "layer1.0.conv1.weight": torch.zeros(2, 2)}, r"has shape \(2, 2\), not \(64, 64, 3, 3\)")
    refused({**whole, "layer1.0.conv3.weight": torch.zeros(2)}, "layer1.0.conv3.weight is not part of")
    refused({"something": torch.zeros(1)}, "not the weights of a ResNet")
    file.write_bytes(b"not weights")
    with pytest.raises(WeightsError):
        start(from_(file), PETS)


@pytest.mark.parametrize("prefix", ["encoder.", "model.backbone.body.", "module.encoder_q.", "0."])
@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_names_of_a_backbones_tensors_have_any_prefix(tmp_path, prefix, wrapper):
    state = {f"{prefix}{name}": tensor.half() for name, tensor in backbone().items()} | {"head.weight": torch.zeros(2)}
    torch.save({wrapper: state, "epoch": 3}, tmp_path / "resnet.ckpt")
    detector = start(from_(tmp_path / "resnet.ckpt"), PETS).detector
    for name, tensor in detector.backbone.state_dict().items():
        assert torch.equal(tensor, state[prefix + name].float())


@pytest.mark.parametrize("name", ["resnet", "resnet.pth", "resnet.SAFETENSORS"])
def test_safetensors_are_recognised_by_their_content(tmp_path, name):
    save_file(backbone(), tmp_path / name)
    assert start(from_(tmp_path / name), PETS).notes == (f"backbone initialised from {tmp_path / name}",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda weight: weight.mul(100).to(torch.int8), "bn1.running_var is torch.int8, not floating point numbers"),
        (lambda weight: weight.to(torch.complex64), "bn1.running_var is torch.complex64, not floating point numbers"),
        (lambda weight: weight.index_fill(0, torch.tensor([3]), torch.nan), "bn1.running_var contains NaN or infinity"),
        (lambda weight: weight * 1e39, "bn1.running_var contains NaN or infinity"),
        (lambda weight: -weight, "bn1.running_var has negative variances"),
        (lambda weight: weight.to_sparse(), "bn1.running_var is sparse, not floating point numbers"),
    ],
)
def test_weights_that_would_become_others_are_refused(tmp_path, change, reason):
    state = backbone()
    torch.save({**state, "bn1.running_var": change(state["bn1.running_var"])}, tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match=reason):
        start(from_(tmp_path / "resnet.pth"), PETS)


def test_a_file_with_two_backbones_is_refused(tmp_path):
    state = backbone()
    two = {f"{one}.{name}": tensor for one in ("student", "teacher") for name, tensor in state.items()}
    torch.save({0: torch.zeros(1), **two}, tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match=r"those of several \(student.conv1.weight and teacher.conv1.weight\)"):
        start(from_(tmp_path / "resnet.pth"), PETS)


def test_what_is_no_file_of_weights_is_named_plainly(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "empty.pth").touch()
    for name, reason in (
        ("config.json", r"config.json: not a file of weights \(.pth\): .* Use `init=FILE`"),
        ("empty.pth", "empty.pth: an empty file"),
        ("missing", "missing: no such file or folder, and not a hub repository"),
    ):
        with pytest.raises(WeightsError, match=reason):
            start(from_(tmp_path / name), PETS)


@pytest.mark.parametrize("args", [{"lr": 1.0}, argparse.Namespace(lr=1.0)])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_of_the_official_code_gets_the_way_to_convert_it(tmp_path, args, prefix):
    file = tmp_path / "detr.pth"
    torch.save({"model": {f"{prefix}transformer.decoder.norm.weight": torch.zeros(4)}, "args": args}, file)
    with pytest.raises(WeightsError, match=rf"condetr convert {file} DIR"):
        start(from_(file), PETS)


def test_without_a_network_one_line_names_the_alternatives(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        WeightsError, match=r"timm/resnet18.tv_in1k: the ImageNet weights could not be downloaded.*`recipe='nano'`"
    ) as e:
        start(from_("imagenet"), PETS)
    assert "\n" not in str(e.value)
    nano = config.override(Config(model=TINY), {"model.backbone.name": "nano"})
    with pytest.raises(ConfigError, match="no ImageNet weights for the backbone nano"):
        start(nano, PETS)


def test_classes_are_loaded_by_name_and_other_tensors_by_shape(tmp_path):
    theirs = saved(tmp_path / "pets")
    begun = start(from_(tmp_path / "pets"), FARM)
    ours = begun.detector.state_dict()
    fresh = start(from_("none"), FARM).detector.state_dict()
    for name in ("heads.classes.weight", "heads.classes.bias"):
        assert torch.equal(ours[name][0], theirs[name][2])  # Dog, whatever its case
        assert torch.equal(ours[name][1], fresh[name][1])  # cow is new
        assert torch.equal(ours[name][2], theirs[name][0])
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if not name.startswith("heads.classes"))
    assert "2 of 3 classes loaded by name" in begun.notes
    assert "classes randomly initialised: cow" in begun.notes


def test_softmax_keeps_its_no_object_row(tmp_path):
    theirs = saved(tmp_path / "pets", TINY_DETR)
    ours = start(from_(tmp_path / "pets", TINY_DETR), Categories((0,), ("cow",))).detector.state_dict()
    assert torch.equal(ours["heads.classes.weight"][-1], theirs["heads.classes.weight"][-1])


@pytest.mark.parametrize("queries", [4, 12])
def test_another_number_of_queries_loads_as_many_as_both_have(tmp_path, queries):
    theirs = saved(tmp_path / "pets")
    begun = start(from_(tmp_path / "pets", model__queries=queries), PETS)
    kept = min(queries, TINY.queries)
    found = begun.detector.queries.weight
    assert found.shape[0] == queries
    assert torch.equal(found[:kept], theirs["queries.weight"][:kept])
    line = f"queries.weight: {kept} of {TINY.queries} queries loaded, {queries - kept} randomly initialised"
    assert line in begun.notes


def test_tensors_that_do_not_fit_are_listed(tmp_path):
    saved(tmp_path / "pets")
    begun = start(from_(tmp_path / "pets", model__decoder_layers=2, model__hidden=64), PETS)
    assert "in the weights but not in the model: decoder.layers.2 (34 tensors)" in begun.notes
    assert "randomly initialised (another shape in the weights): encoder.layers.0 (3 tensors)" in begun.notes
    other = start(from_(tmp_path / "pets", TINY_DETR), PETS)
    assert "randomly initialised: all classes (the weights have another scoring or width)" in other.notes


def test_arguments_and_settings_are_resolved_in_one_order():
    arguments = {"epochs": 7, "lr": None, "size": 320, "init": "none"}
    found = resolve("small", arguments, {"train.lr": 5e-4}, None)
    assert (found.train.epochs, found.data.size, found.train.init, found.train.lr) == (7, 320, "none", 5e-4)
    assert resolve(None, {}, {}, None) == Config()
    assert resolve(None, {"seed": 3}, {}, found).train.seed == 3
    assert resolve(None, {}, {}, found) == found
    with pytest.raises(ConfigError, match="given twice"):
        resolve(None, {"epochs": 3}, {"train.epochs": 4}, None)


def test_training_from_scratch_with_frozen_parts_is_refused():
    with pytest.raises(ConfigError, match=r"train\.init=none: parts of the backbone are frozen") as caught:
        check_random_start(from_("none"))
    assert "`settings={'model.backbone.norm': 'channel', 'model.backbone.trains_from': 'stem'}`" in str(caught.value)
    scratch = {"model__backbone__norm": "channel", "model__backbone__trains_from": "stem"}
    check_random_start(from_("none", **scratch))
    check_random_start(from_("imagenet"))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("last_stage", [3, 4])
def test_a_whole_classifier_of_imagenet_initialises_the_backbone(tmp_path, name, last_stage):
    """All four stages, `fc` and `num_batches_tracked`, in random weights named as timm and torchvision name them."""
    torch.manual_seed(0)
    whole = torchvision_layout(name)
    save_file(whole, tmp_path / "model.safetensors")
    settings = {"model.backbone.name": name, "model.backbone.last_stage": last_stage,
                "model.backbone.stride": {3: 16, 4: 32}[last_stage]}  # fmt: skip
    model = config.override(Config(), settings).model
    loaded = start(from_(tmp_path / "model.safetensors", model), PETS).detector.backbone.state_dict()
    assert sum(name.startswith("layer4.") for name in loaded) == (last_stage == 4) * len(
        [key for key in whole if key.startswith("layer4.") and "tracked" not in key]
    )
    for key, tensor in loaded.items():
        assert torch.equal(tensor, whole[key]), key


def torchvision_layout(name: str) -> dict[str, torch.Tensor]:
    """The names and shapes of torchvision's ResNets, written out from its source."""
    blocks, expansion = {"resnet18": ((2, 2, 2, 2), 1), "resnet50": ((3, 4, 6, 3), 4)}[name]
    state: dict[str, torch.Tensor] = {}

    def convolution(key: str, norm: str, channels_in: int, channels: int, kernel: int) -> None:
        state[f"{key}.weight"] = torch.randn(channels, channels_in, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = torch.rand(channels)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    convolution("conv1", "bn1", 3, 64, 7)
    channels_in = 64
    for stage, count in enumerate(blocks, start=1):
        width = 32 * 2**stage
        for block in range(count):
            at = f"layer{stage}.{block}"
            kernels = (1, 3, 1) if expansion == 4 else (3, 3)
            widths = [channels_in, *[width] * (len(kernels) - 1), width * expansion]
            for i, kernel in enumerate(kernels):
                convolution(f"{at}.conv{i + 1}", f"{at}.bn{i + 1}", widths[i], widths[i + 1], kernel)
            if block == 0 and (stage > 1 or expansion == 4):
                convolution(f"{at}.downsample.0", f"{at}.downsample.1", channels_in, width * expansion, 1)
            channels_in = width * expansion
    state["fc.weight"], state["fc.bias"] = torch.randn(1000, channels_in), torch.randn(1000)
    return state


def test_a_revision_of_the_imagenet_weights_is_passed_to_the_hub(monkeypatch, tmp_path, caplog):
    requested = []

    def download(repository, **options):
        requested.append((repository, options["revision"]))
        assert issubclass(options["tqdm_class"], NoProgressBar)
        save_file(backbone(), tmp_path / "model.safetensors")
        return str(tmp_path)

    monkeypatch.setattr("condetr.interchange.hub.snapshot_download", download)
    monkeypatch.setattr("condetr.interchange.hub.try_to_load_from_cache", lambda _, file, revision: cached)
    caplog.set_level("INFO", "condetr")
    cached = None
    begun = start(from_("imagenet@v1"), PETS)
    assert begun.notes == ("backbone initialised from timm/resnet18.tv_in1k@v1",)
    cached = str(tmp_path / "model.safetensors")
    start(from_("imagenet"), PETS)
    assert caplog.messages == ["downloading timm/resnet18.tv_in1k@v1 from the hub"]
    assert requested == [("timm/resnet18.tv_in1k", "v1"), ("timm/resnet18.tv_in1k", None)]


def test_a_refining_detector_takes_all_but_the_queries_of_a_conditional_one(tmp_path):
    theirs = saved(tmp_path / "pets")
    begun = start(from_(tmp_path / "pets", TINY_REFINING), PETS)
    ours = begun.detector.state_dict()
    new = ("queries", "reference", "keys", "decoder.object_query", "decoder.box_biases", "heads.classes")
    old = [name for name in ours if not name.startswith(new)]
    assert len(old) > 100
    assert all(torch.equal(ours[name], theirs[name]) for name in old)
    assert ours["queries.weight"].abs().max() == 0
    for name in ("decoder.object_query", "decoder.box_biases.0", "reference.box", "queries.weight"):
        assert any(f"(not in the weights): {name}" in note for note in begun.notes), name
    theirs = saved(tmp_path / "refining", TINY_REFINING)
    begun = start(from_(tmp_path / "refining", TINY_REFINING, model__queries=9), PETS)
    assert torch.equal(begun.detector.reference.box[:7], theirs["reference.box"])
    assert torch.equal(begun.detector.queries.weight[:7], theirs["queries.weight"])


def test_anchors_start_with_the_sizes_of_the_training_boxes(tmp_path):
    dataset = examine(generated.write(tmp_path / "shapes", {"train": 6, "valid": 1}, empty_every=3)).trainable()
    split = dataset.split("train")
    sizes = box_sizes(split)
    objects = [(sample, box) for sample in split for box in sample.truth.boxes]
    assert len(sizes) == len(objects) > 3
    (width, height), box = objects[-1][0].truth.size, objects[-1][1]
    assert sizes[-1].tolist() == pytest.approx([(box[2] - box[0]) / width, (box[3] - box[1]) / height])
    settings = from_("none", TINY_REFINING)
    plain, fitted = (start(settings, PETS, sizes=given).detector.state_dict() for given in (None, sizes))
    assert [name for name in plain if not torch.equal(plain[name], fitted[name])] == ["reference.box"]
    anchors = fitted["reference.box"][:, 2:].sigmoid()
    assert torch.cdist(anchors, sizes).amin(1).max() < 1e-5
    assert box_sizes(Split("train", ())).shape == (0, 2)
