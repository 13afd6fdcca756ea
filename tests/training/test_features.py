"""Features computed once are the backbone's, and a run on them gives the same weights however it is interrupted, split
or short of memory."""

import pytest
import torch

from condetr.build import build_augmentation, build_backbone
from condetr.checkpoint import Weights
from condetr.config import Backbone, Data, parse
from condetr.images.cache import FileReader
from condetr.images.loader import Loader
from condetr.predicting.predictor import Predictor
from condetr.recipes import recipe
from condetr.training import features as module
from condetr.training.features import FeatureCache, FeatureLoader, assemble, features_of
from condetr.training.progress import Planned, Step
from condetr.training.run_folder import RunFolder
from condetr.training.train import train
from condetr.training.valid_features import FeaturePredictor, same_weights
from tests import generated
from tests.small_run import settings
from tests.tiny import shaken
from tests.training.test_train import Halt, journal, killed_after, launched, same_bits, weights

PHASE = {
    "train__epochs": 4, "train__feature_epochs": 0.75, "train__feature_variants": 2, "train__ema": 0.9,
    "train__evaluate_every": 2, "model__dropout": 0.1, "train__groups": 2, "train__weight_decay": 0.1,
    "data__color": 0.5, "data__mosaic_chance": 0.5, "data__close_at": 0.5,
}  # fmt: skip
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return generated.write(tmp_path_factory.mktemp("data") / "shapes", {"train": 12, "valid": 2}, empty_every=3)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr("condetr.training.run_folder.draw_curves", lambda *_: None)


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """An uninterrupted run: its folder, its plan's line about features, and its weights before each step."""
    out, plans, before = tmp_path_factory.mktemp("whole") / "run", [], []

    def progress(event):
        if isinstance(event, Planned):
            plans.append(dict(event.plan.lines())["features"])
        if isinstance(event, Step) and (out / "last").exists():
            before.append(weights(out))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "due", lambda self, epoch_over: True)
        train(dataset, settings(**PHASE), out=out, progress=progress)
    return out, plans[0], before


def loader(dataset, read=None, epochs=6, variants=2, batch=4, samples=12, **more) -> Loader:
    data: Data = parse({"data": {"size": 48, "crop_chance": 0.3, **more.pop("data", {})}}, "test").data
    return Loader(
        dataset.split("train").samples[:samples], build_augmentation(data), 1, batch, epochs=epochs,
        read=read or FileReader(), workers=0, variants=variants, variant_epochs=epochs, **more,
    )  # fmt: skip


class Counting(FileReader):
    reads = 0

    def __call__(self, path):
        self.reads += 1
        return super().__call__(path)


@pytest.mark.parametrize("model", [
    recipe("nano").model.backbone, recipe("small").model.backbone, Backbone(name="resnet18", padding="published"),
])  # fmt: skip
def test_features_are_the_backbones(dataset, model):
    torch.manual_seed(0)
    backbone = build_backbone(model).eval()
    plain = loader(dataset, samples=5)
    found = FeatureLoader(plain, backbone, CPU, FeatureCache(10**9)).epoch(1)
    with torch.no_grad():
        for batch, features in zip(plain.epoch(1), found, strict=True):
            assert [t.boxes.tolist() for t in batch.targets] == [t.boxes.tolist() for t in features.targets]
            assert (batch.step, batch.object_counts, batch.last) == (
                features.step,
                features.object_counts,
                features.last,
            )
            content, padding = features.images.features
            images = batch.images
            assert features.images.ragged == images.ragged
            assert torch.equal(features.images.padding, images.padding)
            expected, expected_padding = backbone(images)
            assert content.shape == expected.shape
            if backbone.exact:
                assert torch.equal(padding, expected_padding)
                assert not content.movedim(1, -1)[padding].any()
            for i in range(len(batch)):  # each image alone: what the padding of a batch changes is not in it
                alone, _ = backbone(batch.alone(i).images)
                h, w = alone.shape[2:]
                torch.testing.assert_close(content[i : i + 1, :, :h, :w], alone, atol=2e-3, rtol=2e-3)
                if backbone.exact:
                    torch.testing.assert_close(
                        content[i : i + 1, :, :h, :w], expected[i : i + 1, :, :h, :w], atol=2e-3, rtol=2e-3
                    )


def test_features_beyond_half_precision_stay_finite(dataset):
    class Huge(torch.nn.Module):
        def forward(self, images):
            return torch.full((1, 2, 3, 4), 1e9), torch.zeros(1, 3, 4, dtype=torch.bool)

    batch = next(loader(dataset, batch=1).epoch(0))
    large, mask = features_of(Huge(), batch, CPU)
    assert (large.dtype, large.max().item(), mask.dtype) == (torch.float16, 65504.0, torch.bool)


def test_any_tuple_of_maps_can_be_kept():
    """A backbone may return maps of two strides."""
    parts = [
        (torch.full((1, 3, h, w), 2.0).half(), torch.ones(1, 2, h // 2, w // 2).half(), torch.zeros(1, h, w).bool())
        for h, w in ((4, 6), (6, 4))
    ]
    images = assemble(parts, [(60, 40), (40, 60)])
    fine, coarse, padding = images.features
    assert (fine.shape, coarse.shape, padding.shape) == ((2, 3, 6, 6), (2, 2, 3, 3), (2, 6, 6))
    assert fine.dtype == coarse.dtype == torch.float32
    assert fine.sum() == 2 * 2 * 3 * 24
    assert coarse.sum() == 2 * 2 * 6
    assert padding.sum() == 2 * 36 - 2 * 24
    assert images.ragged
    assert torch.equal(images.padding.sum((1, 2)), torch.tensor([1200, 1200]))


def test_the_first_variants_come_in_order_and_then_in_another_order_for_each_image(dataset):
    own = loader(dataset, epochs=12, variants=4)
    orders = set()
    for sample in own.samples:
        used = [own.variant(n, sample) for n in range(12)]
        assert used[:4] == [0, 1, 2, 3]
        assert sorted(used[4:8]) == sorted(used[8:]) == [0, 1, 2, 3]
        orders |= {tuple(used[4:8]), tuple(used[8:])}
        assert own.image(6, sample).plan == own.image(used[6], sample).plan
        assert [own.variant(n, sample) for n in (12, 13)] == [12, 13], "all epochs differ after the phase"
    assert len(orders) > 6


def test_an_image_is_read_once_for_each_variant(dataset):
    read = Counting()
    own = loader(dataset, read, epochs=8)
    cached = FeatureLoader(own, build_backbone(recipe("nano").model.backbone), CPU, FeatureCache(10**9))
    reads = []
    for epoch in range(5):
        list(cached.epoch(epoch))
        reads.append(read.reads)
    images = len(own.samples)
    assert reads == [images, 2 * images, 2 * images, 2 * images, 2 * images]
    assert len(cached.cache) == 2 * images
    assert cached.cache.used == 2 * sum(f[0].nbytes + f[1].nbytes for f in cached.cache._features.values()) // 2


def test_variants_with_mosaics_are_dropped_when_mosaics_close(dataset):
    read = Counting()
    own = loader(dataset, read, data={"mosaic_chance": 1.0, "close_at": 0.5})
    cached = FeatureLoader(own, build_backbone(recipe("nano").model.backbone), CPU, FeatureCache(10**9))
    for epoch in range(3):
        list(cached.epoch(epoch))
    assert read.reads == 4 * 2 * len(own.samples)
    list(cached.epoch(3))
    assert len(cached.cache) == len(own.samples)
    plain = loader(dataset)
    assert {sample.path: own.image(4, sample).plan for sample in own.samples} == {
        sample.path: plain.image(4, sample).plan for sample in plain.samples
    }


@pytest.mark.parametrize(("world", "micro_batches"), [(2, 1), (1, 2)])
def test_features_depend_neither_on_processes_nor_on_batches(dataset, world, micro_batches):
    backbone = build_backbone(recipe("nano").model.backbone)

    def each(world, micro_batches):
        found = {}
        for rank in range(world):
            own = loader(dataset, rank=rank, world=world, micro_batches=micro_batches)
            for batch in FeatureLoader(own, backbone, CPU, FeatureCache(0)).epoch(2):
                content, padding = batch.images.features
                for i, sample in enumerate(batch.samples):
                    found[sample.path] = content[i].movedim(0, -1)[~padding[i]]
        return found

    expected, found = each(1, 1), each(world, micro_batches)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[path], found[path]) for path in expected)


def test_a_run_killed_where_all_features_are_cached_ends_in_the_same_bits(whole, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(RunFolder, "due", lambda self, epoch_over: True)
    with pytest.raises(Halt):
        train(dataset, settings(**PHASE), out=tmp_path / "run", progress=killed_after(10))
    (last,) = [row for row in journal(tmp_path / "run") if row["kind"] == "epoch"][1:]
    assert last["epoch"] == 2, "killed in the third epoch, the last one on features"
    train(dataset, out=tmp_path / "run", resume=True)
    assert same_bits(tmp_path / "run", whole[0])
    assert journal(tmp_path / "run") == journal(whole[0])


def test_the_memory_for_features_does_not_change_a_bit(whole, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "cache_budget", lambda shares: 60_000)
    events = []
    out = train(dataset, settings(**PHASE), out=tmp_path / "run", progress=events.append).folder
    assert same_bits(out, whole[0])
    (line,) = [dict(event.plan.lines())["features"] for event in events if isinstance(event, Planned)]
    assert "the others are computed in each epoch (`settings={'train.feature_variants': 1}` fits)" in line
    assert whole[1].startswith("2 variants of each image, computed once, for the first 3 epochs: ")


def test_the_backbone_is_frozen_in_the_phase_and_trained_after_it(whole):
    *phase, _, after = whole[2]
    names = [name for name in after if name.startswith("backbone.")]
    assert len(phase) == 5
    assert names
    for name in names:
        assert all(torch.equal(weights[name], phase[0][name]) for weights in phase[1:])
        assert torch.equal(after[name], phase[0][name]) == name.endswith("num_batches_tracked")
    assert not torch.equal(phase[1]["project.weight"], phase[0]["project.weight"])


@pytest.mark.parametrize("nms", [None, 0.5])
def test_valid_is_predicted_from_kept_features_as_by_a_predictor(dataset, nms):
    config = settings(data__size=48, model__nms=nms)
    detector = shaken(config.model, classes=2)
    weights_, cache, read = Weights(detector, config, dataset.categories, None), FeatureCache(10**9), Counting()
    samples = dataset.split("train").samples
    expected = [found for _, found in Predictor(weights_).stream(samples, 0.0, 8, lambda sample: read(sample.path))]
    read.reads = 0
    for _ in range(2):
        predictor = FeaturePredictor(weights_, cache)
        pairs = list(predictor.stream(samples, 0.0, 8, lambda sample: read(sample.path)))
        assert [sample for sample, _ in pairs] == list(samples)
        for (_, found), other in zip(pairs, expected, strict=True):
            assert (found.boxes == other.boxes).all()
            assert (found.labels == other.labels).all()
            assert found.scores == pytest.approx(other.scores, rel=1e-6)  # a batch's last scores are rounded otherwise
            assert len(found) == 12 if nms is None else len(found) < 12
    assert read.reads == len(samples)
    assert same_weights(detector.backbone, detector.backbone)
    assert not same_weights(detector.backbone, shaken(config.model, classes=2, seed=1).backbone)


@pytest.mark.slow
def test_two_processes_on_features_give_the_same_weights(root, dataset, tmp_path):
    done = launched(2, root, tmp_path / "two", "--features")
    assert done.returncode == 0, done.stderr
    changes = {"train__epochs": 3, "train__feature_epochs": 0.67, "train__feature_variants": 1}
    accumulated = train(dataset, settings(**changes), out=tmp_path / "accumulated", micro_batch=4)
    for name, expected in weights(accumulated.folder).items():
        assert torch.equal(weights(tmp_path / "two")[name], expected)
