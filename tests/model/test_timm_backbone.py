"""Networks of timm as backbones: what they start from, what of them learns, and the same features alone or in a batch.

All weights are random; nothing is downloaded.
"""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from condetr import checkpoint, config
from condetr.build import build_backbone, build_detector
from condetr.errors import ConfigError, WeightsError
from condetr.predicting.predictor import Predictor
from condetr.runtime.torch_runtime import TorchRuntime
from condetr.training.pretrained_backbone import load_backbone
from condetr.training.start import start
from condetr.types import Categories, Images
from tests.tiny import TINY

if not hasattr(torch.ops.torchvision, "nms"):  # torchvision's ordinary wheel stops a CPU torch without these two
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import timm

NETWORKS = ["test_resnet", "test_convnext", "test_efficientnet"]
CATEGORIES = Categories((1, 2, 3), ("a", "b", "c"))


def settings(name: str, **changes: object) -> config.Backbone:
    return config.Backbone(**{"name": f"timm:{name}", "last_stage": 3, "stride": 16, **changes})


def model(backbone: config.Backbone) -> config.Model:
    return config.Model.model_validate(TINY.model_dump() | {"backbone": backbone.model_dump()})


def disturbed(module: nn.Module) -> nn.Module:
    """With batch norms that are no identity, and parameters that start at zero (layer scales, biases) elsewhere."""
    torch.manual_seed(1)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


@pytest.fixture(scope="module")
def images() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(3, h, w) for h, w in ((64, 96), (50, 33), (64, 96), (96, 47))]


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_gets_the_same_features_alone_and_in_a_batch(name, images):
    backbone = disturbed(build_backbone(settings(name)))
    assert backbone.exact
    with torch.no_grad():
        together, padding = backbone.eval()(Images.pad(images))
        assert together.shape == (4, backbone.channels, 6, 6)
        for image, features, outside in zip(images, together, padding):
            alone, none = backbone(Images.pad([image]))
            rows, columns = alone.shape[2:]
            assert (rows, columns) == tuple(-(-side // 16) for side in image.shape[1:])
            assert not none.any()
            assert not outside[:rows, :columns].any()
            assert outside.sum() == 36 - rows * columns
            assert (features[:, :rows, :columns] - alone[0]).abs().max() <= 1e-5 * alone.abs().max().clamp(min=1)
            assert (alone[0].std(dim=(1, 2)) > 0).any()


def test_the_published_padding_leaks_into_the_features(images):
    exact, published = (disturbed(build_backbone(settings("test_resnet", padding=p))) for p in ("exact", "published"))
    published.load_state_dict(exact.state_dict())
    assert not published.exact
    with torch.no_grad():
        alone, _ = exact.eval()(Images.pad(images[:1]))
        batch, _ = published.eval()(Images.pad(images))
        torch.testing.assert_close(published(Images.pad(images[:1]))[0], alone)
    assert (batch[:1, :, :4] - alone).abs().max() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("last_stage", "stride"), [(2, 8), (3, 16), (4, 32)])
def test_features_are_timms_at_the_stride(name, last_stage, stride):
    backbone = disturbed(build_backbone(settings(name, last_stage=last_stage, stride=stride))).eval()
    whole = timm.create_model(name, features_only=True).eval()
    level = whole.feature_info.reduction().index(stride)
    assert (backbone.channels, backbone.stride) == (whole.feature_info.channels()[level], stride)
    whole.load_state_dict({n.removeprefix("network."): t for n, t in backbone.state_dict().items()}, strict=False)
    pixels = torch.randn(2, 3, 64, 96)
    mean, std = (torch.tensor(timm.get_pretrained_cfg(name).to_dict()[part])[:, None, None] for part in ("mean", "std"))
    ours = (torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]))
    raw = pixels * ours[1][:, None, None] + ours[0][:, None, None]
    with torch.no_grad():
        expected = whole((raw - mean) / std)[level]
        torch.testing.assert_close(backbone(Images.pad([*pixels]))[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_finer_features_are_timms_at_half_the_stride(name):
    one, both = (disturbed(build_backbone(settings(name), finer=finer)).eval() for finer in (False, True))
    half = disturbed(build_backbone(settings(name, last_stage=2, stride=8))).eval()
    for other in (one, half):
        other.load_state_dict({name: both.state_dict()[name] for name in other.state_dict()})
    assert (one.finer_channels, both.finer_channels) == (0, half.channels)
    images = Images.pad([torch.randn(3, 50, 33), torch.randn(3, 96, 48)])
    with torch.no_grad():
        features, padding, finer, finer_padding = both(images)
        assert finer.shape[2:] == finer_padding.shape[1:] == (12, 6)
        for found, expected in zip((features, padding), one(images)):
            torch.testing.assert_close(found, expected)
        torch.testing.assert_close(finer[1], half(Images.pad([images.pixels[1]]))[0][0])


def test_dc5_keeps_the_resolution_of_the_last_stage():
    backbone = build_backbone(settings("test_resnet", last_stage=4, stride=16))
    features, _ = backbone(Images.pad([torch.randn(3, 64, 96)]))
    assert features.shape == (1, 96, 4, 6)  # the channels of the last stage


LEARNING = {
    "test_resnet": {
        "stem": {"conv1", "layer1", "layer2", "layer3"},
        "layer1": {"layer1", "layer2", "layer3"},
        "layer2": {"layer2", "layer3"},
        "layer3": {"layer3"},
        "layer4": set(),
        "nothing": set(),
    },
    "test_convnext": {
        "stem": {"stem_0", "stem_1", "stages_0", "stages_1", "stages_2"},
        "layer2": {"stages_1", "stages_2"},
        "layer3": {"stages_2"},
        "nothing": set(),
    },
}


@pytest.mark.parametrize(("name", "first"), [(name, first) for name, each in LEARNING.items() for first in each])
def test_what_comes_before_trains_from_is_frozen(name, first):
    backbone = build_backbone(settings(name, trains_from=first))
    learning = {n.split(".")[1] for n, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert learning == LEARNING[name][first]


def test_batch_norms_are_frozen_or_learn_their_affine_map_and_never_change_their_statistics():
    images = Images.pad([torch.randn(3, 64, 64)] * 2)
    for norm, learns in (("frozen_batch", False), ("learned_batch", True)):
        backbone = build_backbone(settings("test_resnet", norm=norm, trains_from="stem")).train()
        norms = [part for part in backbone.modules() if isinstance(part, nn.BatchNorm2d)]
        assert len(norms) > 5
        assert {part.weight.requires_grad for part in norms} == {learns}
        before = [part.running_mean.clone() for part in norms]
        backbone(images)
        assert all(torch.equal(part.running_mean, mean) for part, mean in zip(norms, before))


def weights_of(backbone: config.Backbone) -> checkpoint.Weights:
    detector = disturbed(build_detector(model(backbone), len(CATEGORIES)))
    return checkpoint.Weights(detector, config.Config(model=model(backbone)), CATEGORIES, None)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_detector_with_a_timm_backbone_is_saved_loaded_folded_and_run(name, tmp_path, images):
    weights = weights_of(settings(name))
    checkpoint.save(tmp_path, weights, "card")
    loaded = checkpoint.load(tmp_path)
    batch = Images.pad(images)
    with torch.no_grad():
        expected = weights.detector.eval().predict(batch)
        torch.testing.assert_close(loaded.detector.predict(batch).logits, expected.logits)  # its memory lies elsewhere
    for precision, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.5)):
        folded = TorchRuntime.folded(loaded.detector, precision).run(batch)
        torch.testing.assert_close(folded.logits, expected.logits, atol=tolerance, rtol=tolerance)
    assert next(loaded.detector.backbone.parameters()).dtype == torch.float32  # the copy alone is in bfloat16
    predictor = Predictor.load(tmp_path)
    assert len(predictor((images[0].permute(1, 2, 0).clamp(0, 1) * 255).byte().numpy(), threshold=0.0)) > 0


def test_weights_of_a_timm_classifier_fill_the_backbone(tmp_path):
    """Under timm's own names, with classifier and later stages, which are left out."""
    for name in NETWORKS:
        classifier = disturbed(timm.create_model(name))
        counters = {n for n in classifier.state_dict() if n.endswith("num_batches_tracked")}  # some files lack them
        kept = {
            n: tensor for n, tensor in classifier.state_dict().items() if n not in counters or name == "test_resnet"
        }
        save_file(kept, tmp_path / f"{name}.safetensors")
        assert counters or name == "test_convnext"
        c = config.Config(model=model(settings(name)), train=config.Train(init=str(tmp_path / f"{name}.safetensors")))
        detector = start(c, CATEGORIES).detector
        theirs = {n.replace(".", "_"): tensor for n, tensor in classifier.state_dict().items()}
        own = {n.removeprefix("network."): tensor for n, tensor in detector.backbone.state_dict().items()}
        assert len(own) > 10
        assert all(torch.equal(tensor, theirs[n.replace(".", "_")]) for n, tensor in own.items())


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "resnet.safetensors")
    c = config.Config(model=model(settings("test_convnext")))
    with pytest.raises(WeightsError, match=r"resnet.safetensors: network\.stem_0\.\S+ is missing") as error:
        load_backbone(build_detector(c.model, 3), tmp_path / "resnet.safetensors", c)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "test_resnett"}, "timm has no such network. Did you mean timm:test_resnet?"),
        ({"name": "swin_tiny_patch4_window7_224"}, "not usable as a backbone for images of any size"),
        ({"name": "test_vit", "last_stage": 4, "stride": 32}, "has features of stride 16, 16, 16, none of"),
        ({"name": "test_mambaout"}, "not B C h w"),
        ({"name": "test_vit"}, "trains_from=layer2: this network has features of stride 16, none of 4"),
        ({"name": "test_convnext", "trains_from": "layer1"}, "stride 4, 8, 16, 32, none of 2"),
    ],
)
def test_a_network_that_cannot_be_a_backbone_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigError) as error:
        build_backbone(settings(**{"name": "test_resnet"} | changes))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_without_timm_the_way_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install 'condetr\[timm\]'"):
        build_backbone(settings("test_resnet"))


def test_imagenet_weights_come_from_the_networks_own_repository(monkeypatch, tmp_path):
    requested = []

    def snapshot(repository, **options):
        requested.append(repository)
        save_file(timm.create_model("test_convnext").state_dict(), tmp_path / "model.safetensors")
        return tmp_path

    monkeypatch.setattr("condetr.interchange.hub.snapshot_download", snapshot)
    start(config.Config(model=model(settings("test_convnext"))), CATEGORIES)
    assert requested == ["timm/test_convnext.r160_in1k"]
