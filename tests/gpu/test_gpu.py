"""On a CUDA device, results are the CPU's up to rounding, and runs fit into its memory. `make gpu` runs these tests."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from condetr import Predictor, evaluate, explain, recipes
from condetr.build import build_loss
from condetr.checkpoint import Weights
from condetr.config import override
from condetr.errors import CondetrError
from condetr.training.progress import Epoch, Planned, Step
from condetr.training.train import train
from condetr.types import Categories, Images, OptimizerStep, Target
from tests.small_run import settings
from tests.tiny import TINY, TINY_DETR, TINY_REFINING, shaken

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
REFINING = {
    "model__scoring__kind": "iou_aware", "model__decoder__kind": "refining", "model__reference": "anchors",
    "model__keys": "fused", "train__denoising": 8, "train__groups": 2, "train__supervision": "one_to_many",
}  # fmt: skip
MODELS = {"detr": TINY_DETR, "conditional": TINY, "refining": TINY_REFINING}


@pytest.fixture(autouse=True)
def exact_convolutions():
    """Without TF32, so that differences from the CPU are those of rounding in fp32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A run with everything that has a state, on the GPU, and its events."""
    events = []
    out = tmp_path_factory.mktemp("run") / "run"
    config = settings(**REFINING, train__ema=0.9, model__dropout=0.1, train__warmup_steps=3)
    return train(dataset, config, out=out, progress=events.append, device="cuda"), config, events


def some_images(sizes=((96, 128), (128, 80), (64, 64))) -> Images:
    torch.manual_seed(3)
    return Images.pad([torch.randn(3, h, w) for h, w in sizes])


def some_targets() -> list[Target]:
    torch.manual_seed(4)
    return [Target(torch.randint(0, 3, (n,)), torch.rand(n, 4) * 0.4 + 0.3) for n in (3, 0, 1)]


@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_are_those_of_the_cpu(name):
    found = {}
    for device in ("cpu", "cuda"):
        config = override(recipes.recipe("nano"), {"model": MODELS[name].model_dump(), "train.denoising": 0})
        detector = shaken(MODELS[name], 3).to(device)
        loss, weights = build_loss(config)
        targets = [target.to(device) for target in some_targets()]
        total = weights.total(loss(detector(some_images().to(device)), targets, OptimizerStep.of(targets)))
        total.backward()
        found[device] = [total.detach().cpu(), *(p.grad.cpu() for p in detector.parameters() if p.grad is not None)]
    for ours, theirs in zip(found["cpu"], found["cuda"], strict=True):
        assert (ours - theirs).norm() <= 2e-3 * ours.norm() + 1e-5


def test_a_run_uses_the_gpu_by_default_and_learns_there(dataset, tmp_path):
    events = []
    config = settings(train__epochs=1)
    train(dataset, config, out=tmp_path / "run", progress=events.append)
    plan = next(event.plan for event in events if isinstance(event, Planned))
    assert plan.device.startswith("cuda")
    assert torch.cuda.max_memory_allocated() > 0


def test_an_interrupted_run_continues_as_if_it_had_not_been(trained, dataset, tmp_path):
    _, config, events = trained
    steps = [event for event in events if isinstance(event, Step)]

    def interrupted(event):
        if isinstance(event, Step) and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataset, config, out=tmp_path / "run", progress=interrupted, device="cuda")
    continued = []
    train(dataset, config, out=tmp_path / "run", resume=True, progress=continued.append, device="cuda")
    again = [event for event in continued if isinstance(event, Step)]
    assert again[-1].step == steps[-1].step
    assert again[-1].loss == pytest.approx(steps[-1].loss, rel=1e-2)


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_half_precision_trains(dataset, tmp_path, name):
    events = []
    config = settings(**REFINING, train__precision=name, train__epochs=2)
    train(dataset, config, out=tmp_path / "run", progress=events.append, device="cuda")
    assert all(np.isfinite(event.loss) for event in events if isinstance(event, Step | Epoch))


def test_a_batch_may_be_divided_into_micro_batches(dataset, tmp_path):
    losses = []
    for micro_batch in (8, 3):
        events = []
        config = settings(train__epochs=1)
        train(dataset, config, out=tmp_path / str(micro_batch), progress=events.append, micro_batch=micro_batch)
        losses.append([event.loss for event in events if isinstance(event, Step)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_features_that_are_computed_once(dataset, tmp_path):
    events = []
    config = settings(
        train__feature_epochs=0.5, train__feature_variants=2,
    )  # fmt: skip
    train(dataset, config, out=tmp_path / "run", progress=events.append, device="cuda")
    assert [event.epoch for event in events if isinstance(event, Epoch)] == [1, 2]


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_those_of_the_cpu_in_every_precision(name):
    categories = Categories(ids=(1, 2, 3), names=("a", "b", "c"))
    config = override(recipes.recipe("nano"), {"model": MODELS[name].model_dump(), "train.denoising": 0})
    weights = {d: Weights(shaken(MODELS[name], 3), config, categories, None) for d in ("cpu", "cuda")}
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((80, 100), (120, 60), (33, 97))]
    expected = Predictor(weights["cpu"], "cpu")(images, threshold=0.0)
    gpu = Predictor(weights["cuda"], "cuda")
    for found in (gpu(images, threshold=0.0), [gpu(image, threshold=0.0) for image in images]):
        for one, other in zip(found, expected):
            assert np.allclose(one.scores, other.scores, atol=2e-4)
            assert np.allclose(one.boxes, other.boxes, atol=0.1)
    rounded = Predictor(weights["cuda"], "cuda", precision="bf16")(images, threshold=0.0)
    for one, other in zip(rounded, expected):
        assert np.allclose(one.scores, other.scores, atol=0.05)


def test_weights_of_a_gpu_are_used_on_a_cpu_and_back(trained, dataset, tmp_path):
    result, *_ = trained
    on_gpu = evaluate(result.weights, dataset.root, device="cuda")
    on_cpu = evaluate(result.weights, dataset.root, device="cpu")
    assert on_gpu.ap == pytest.approx(on_cpu.ap, abs=0.02)


def test_an_explanation_is_that_of_the_cpu(trained, dataset):
    result, *_ = trained
    image = dataset.split("valid").samples[0].path
    on_gpu, on_cpu = (
        explain(Predictor.load(result.weights, device), image, at=(20, 20), threshold=0.0) for device in ("cuda", "cpu")
    )
    assert np.allclose(on_gpu.maps, on_cpu.maps, atol=1e-3)


def test_two_models_are_compared_on_one_gpu(root, tmp_path):
    command = [sys.executable, "-m", "condetr", "compare", str(root), "--models", "detr,conditional_detr"]
    command += ["--epochs", "1", "--seeds", "1", "--jobs", "2", "--out", str(tmp_path / "study")]
    command += ["--set", "data.size=32", "--set", "model.dim=32", "--set", "model.heads=4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cuda" in done.stdout


def test_the_plan_says_how_much_memory_a_run_takes(dataset, tmp_path):
    plans = []
    config = settings(model__dim=128, model__queries=50, data__size=320, train__epochs=1)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    train(
        dataset, config, out=tmp_path / "run", device="cuda",
        progress=lambda event: plans.append(event.plan) if isinstance(event, Planned) else None,
    )  # fmt: skip
    torch.cuda.reset_peak_memory_stats()
    train(dataset, override(config, {"train.epochs": 2}), out=tmp_path / "again", device="cuda")
    assert plans[0].memory - before == pytest.approx(torch.cuda.max_memory_allocated() - before, rel=0.3)


def test_a_batch_that_does_not_fit_is_divided(dataset, tmp_path):
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    events = []
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 400 * 2**20) / total)
    try:
        config = settings(data__size=800, train__batch=16, train__epochs=1)
        train(dataset, config, out=tmp_path / "run", progress=events.append, device="cuda", micro_batch=16)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    plan = next(event.plan for event in events if isinstance(event, Planned))
    assert plan.parts[0] < 16


def test_out_of_memory_is_one_line(dataset, tmp_path):
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 40 * 2**20) / total)
    try:
        with pytest.raises(CondetrError, match="cuda: out of memory with a single image"):
            train(dataset, settings(data__size=1600), out=tmp_path / "run", device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
