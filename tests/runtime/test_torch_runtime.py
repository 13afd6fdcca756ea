"""The faster paths answer as the plain ones do."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from condetr import config
from condetr.cpu.dropout import Dropout, ReLUDropout, attend_dropping, drop
from condetr.cpu.kernels import Linear
from condetr.model.attention import attend
from condetr.model.backbone import FrozenBatchNorm, convolution
from condetr.runtime.folded import Convolution, fold_norms, folded
from condetr.runtime.torch_runtime import TorchRuntime
from condetr.types import Images, Predictions
from tests.tiny import FORMS, TINY, TINY_DETR, shaken


def variant(**changes) -> config.Model:
    return config.Model(**(TINY.model_dump() | changes))


def backbone(**changes) -> dict:
    return {"backbone": TINY.backbone.model_dump() | changes}


VARIANTS = {
    "detr": TINY_DETR,
    **{form: variant(decoder={"kind": "conditional", "spatial_query": form}) for form in FORMS},
    **{f"{kind} reference": variant(reference=kind) for kind in ("centre", "learned")},
    "softmax": variant(scoring={"kind": "softmax"}),
    "bottlenecks": variant(**backbone(name="resnet50", last_stage=4, stride=32)),
    "DC5": variant(**backbone(name="resnet50", last_stage=4, stride=16)),
    "DC5 of basic blocks": variant(**backbone(last_stage=4, stride=16)),
    "nano": variant(**backbone(name="nano")),
    "channel norm": variant(**backbone(norm="channel")),
    "channel norm, bottlenecks": variant(**backbone(name="resnet50", norm="channel")),
    "published padding": variant(**backbone(padding="published")),
}


def some_images(*sizes: tuple[int, int]) -> Images:
    torch.manual_seed(1)
    return Images.pad([torch.randn(3, h, w) for h, w in sizes])


def assert_same(found: Predictions, expected: Predictions) -> None:
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_folded_copy_predicts_as_the_detector(name: str):
    detector = shaken(VARIANTS[name], classes=5)
    runtime = TorchRuntime.folded(detector, torch.float32)
    for images in (some_images((70, 101)), some_images((70, 101), (96, 40), (33, 90))):
        with torch.inference_mode():
            assert_same(runtime.run(images), detector.predict(images))


def test_a_folded_copy_leaves_the_detector_unchanged():
    detector = shaken(TINY, classes=5).train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    names = [name for name, _ in detector.named_modules()]
    folded(detector, torch.float32)
    folded(detector, torch.bfloat16)
    assert [name for name, _ in detector.named_modules()] == names
    assert all(module.training for module in detector.modules())
    for name, tensor in detector.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_a_folded_copy_shares_the_weights_that_stay_as_they_are():
    detector = shaken(TINY, classes=5)
    own = {tensor.data_ptr() for name, tensor in detector.state_dict().items() if not name.startswith("backbone.")}
    copied = [
        name for name, tensor in folded(detector, torch.float32).state_dict().items()
        if not name.startswith("backbone.") and tensor.data_ptr() not in own
    ]  # fmt: skip
    assert copied == []


@pytest.mark.parametrize("name", ["detr", "diagonal", "bottlenecks", "DC5", "nano", "channel norm"])
def test_after_folding_the_norms_the_predictions_are_the_same_and_convolutions_are_shared(name: str):
    detector, images = shaken(VARIANTS[name], classes=5), some_images((70, 101), (33, 90))
    with torch.inference_mode():
        before = detector.predict(images)
    fold_norms(detector)
    with torch.inference_mode():
        assert_same(detector.predict(images), before)
        assert_same(TorchRuntime.folded(detector, torch.float32).run(images), before)
    own = {tensor.data_ptr() for tensor in detector.state_dict().values()}
    convolutions = [part for part in folded(detector, torch.float32).modules() if isinstance(part, Convolution)]
    assert all(part.weight.data_ptr() in own for part in convolutions)
    assert name in ("channel norm", "nano") or len(convolutions) > 5
    for norm in detector.modules():
        if isinstance(norm, FrozenBatchNorm):
            assert (norm.affine()[0] == 1).all()


def test_the_images_it_was_given_are_as_they_were():
    images = some_images((64, 64), (40, 64))
    before = images.pixels.clone()
    TorchRuntime.folded(shaken(TINY, classes=5), torch.float32).run(images)
    torch.testing.assert_close(images.pixels, before, rtol=0, atol=0)


def test_without_fused_kernels_the_answer_is_the_same(monkeypatch: pytest.MonkeyPatch):
    detector, images = shaken(VARIANTS["DC5"], classes=5), some_images((70, 101), (96, 40))
    monkeypatch.setattr("condetr.cpu.kernels.FUSED", False)
    with torch.inference_mode():
        assert_same(TorchRuntime.folded(detector, torch.float32).run(images), detector.predict(images))


@pytest.mark.parametrize("name", ["diagonal", "detr", "channel norm", "learned reference"])
def test_bfloat16_is_close_to_float32(name: str):
    detector, images = shaken(VARIANTS[name], classes=5), some_images((70, 101), (96, 40))
    runtime = TorchRuntime.folded(detector, torch.bfloat16)
    found, exact = runtime.run(images), TorchRuntime.plain(detector).run(images)
    assert found.logits.dtype == found.boxes.dtype == torch.float32
    assert 0 < (found.boxes - exact.boxes).abs().max() < 0.05
    assert 0 < (found.logits - exact.logits).abs().max() < 0.3


def test_values_filled_up_for_the_fast_kernel_attend_as_narrow_ones():
    """The filled-up values take torch's flash kernel; it and the plain sum agree, forwards and backwards."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, e, requires_grad=True) for n, e in ((5, 64), (11, 64), (11, 32)))
    padding = torch.rand(2, 11) < 0.4
    padding[:, 0] = False
    for visible in (~padding[:, None, None], None):
        plain = F.scaled_dot_product_attention(q, k, v, visible).transpose(1, 2).flatten(2)
        found = attend(q, k, v, visible, 0.0)
        torch.testing.assert_close(found, plain, atol=1e-6, rtol=1e-5)
        weight = torch.randn_like(plain)
        ours = torch.autograd.grad((found * weight).sum(), (q, k, v))
        theirs = torch.autograd.grad((plain * weight).sum(), (q, k, v))
        for a, b in zip(ours, theirs):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_attention_that_drops_nothing_is_attention():
    """With dropout a CPU takes its own kernel; at a rate too small to hit anything it is the fast one's, both ways."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 5, n, e, requires_grad=True) for n, e in ((5, 64), (11, 64), (11, 32)))
    padding = torch.rand(2, 11) < 0.4
    padding[:, 0] = False
    for visible in (~padding[:, None, None], None):
        found, expected = attend(q, k, v, visible, 1e-9), attend(q, k, v, visible, 0.0)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
        assert_same_gradients(found, expected, (q, k, v))


def test_attention_drops_probabilities_and_learns_from_those_that_stay():
    """With identity values the answer is the dropped probabilities themselves, and so is the mask known: the plain
    sum with that mask has the same answer and the same gradients for other values."""
    q, k, v = (torch.randn(2, 5, n, e, requires_grad=True) for n, e in ((40, 8), (30, 8), (30, 6)))
    torch.manual_seed(3)
    dropped = attend_dropping(q, k, torch.eye(30).expand(2, 5, 30, 30), None, 0.3)
    p = (q @ k.mT / 8**0.5).softmax(-1)
    mask = (dropped != 0) / (1 - round(0.3 * 65536) / 65536)
    assert 0.27 < (dropped == 0).float().mean() < 0.33
    torch.testing.assert_close(dropped, p * mask)
    torch.manual_seed(3)
    assert_same_gradients(attend_dropping(q, k, v, None, 0.3), (p * mask) @ v, (q, k, v))


def test_a_relu_and_dropout_in_one_are_both():
    torch.manual_seed(0)
    x = torch.randn(301, 99, requires_grad=True)
    both = ReLUDropout(0.3)
    y = both(x)
    assert torch.equal(y[x <= 0], torch.zeros_like(y[x <= 0]))
    assert 0.27 < (y[x > 0] == 0).float().mean() < 0.33
    factor = (y > 0) / (1 - round(0.3 * 65536) / 65536)
    torch.testing.assert_close(y, x * factor)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, factor)
    assert torch.equal(both.eval()(x), x.relu())


@pytest.mark.parametrize("processor", ["AVX2", "AVX512"])  # each has its own way to the gradient of a weight
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2)])
def test_a_norm_scales_its_convolution_and_the_way_back(
    kernel: int, stride: int, dilation: int, processor: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: processor)
    torch.manual_seed(0)
    conv, norm = convolution(6, 8, kernel, stride, dilation), FrozenBatchNorm(8)
    for name, value in norm.named_buffers():
        value.uniform_(0.5, 2.0) if name != "bias" else value.normal_()
    x = torch.randn(2, 6, 13, 9).contiguous(memory_format=torch.channels_last).requires_grad_()
    plain = F.batch_norm(conv(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-5)
    assert_same_gradients(norm.after(conv, x), plain, (x, conv.weight))


def assert_same_gradients(found: torch.Tensor, expected: torch.Tensor, inputs: tuple[torch.Tensor, ...]) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    weight = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), inputs), torch.autograd.grad((expected * weight).sum(), inputs)
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_products_and_their_gradients_are_torchs():
    torch.manual_seed(0)
    ours = Linear(24, 40)
    theirs = torch.nn.Linear(24, 40)
    theirs.load_state_dict(ours.state_dict())
    for shape in ((7, 24), (2, 7, 24), (3, 2, 7, 24)):
        x = torch.randn(shape).transpose(0, -2).contiguous().transpose(0, -2).requires_grad_()
        weight = torch.randn(*shape[:-1], 40)
        found = torch.autograd.grad((ours(x) * weight).sum(), (x, ours.weight, ours.bias))
        expected = torch.autograd.grad((theirs(x) * weight).sum(), (x, theirs.weight, theirs.bias))
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
        for a, b in zip(found, expected):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_so_many_keeps_the_mean_and_repeats_with_the_seed(rate: float):
    torch.manual_seed(0)
    x = torch.ones(1001, 999, requires_grad=True)
    y = drop(x, rate)
    assert abs((y == 0).float().mean() - rate) < 0.002
    assert abs(y.mean() - 1) < 0.01
    assert y.unique().tolist() == [0, pytest.approx(1 / (1 - rate), rel=1e-3)]
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, y.detach())
    torch.manual_seed(0)
    assert torch.equal(drop(x, rate), y)
    assert not torch.equal(drop(x, rate), y)
    columns = (y == 0).float()
    neighbours = torch.corrcoef(torch.stack([columns[:, :-1].flatten(), columns[:, 1:].flatten()]))[0, 1]
    assert abs(neighbours) < 0.01  # draws share a 64-bit number, yet say nothing of one another


def test_dropout_is_for_training():
    x = torch.ones(10, 10)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


@pytest.mark.slow
def test_the_detector_is_one_graph():
    """torch.compile finds nothing in the forward pass that depends on data or needs Python in between; nor in that of
    the inference form.

    In a process of its own: the compiler cannot look through the shape checks that hold in this one.
    """
    subprocess.run([sys.executable, "-c", COMPILE], check=True, timeout=120, cwd=Path(__file__).parents[2])


COMPILE = """
import torch
from condetr.runtime.folded import folded
from condetr.types import Images
from tests.tiny import TINY, shaken

torch.set_num_threads(1)
detector = shaken(TINY, classes=5)
images = Images.pad([torch.randn(3, 64, 96)] * 2)
for look in (detector, detector.predict, folded(detector, torch.float32).predict):

    @torch.compile(backend="eager", fullgraph=True)
    def forward(pixels, padding):
        predictions = look(Images(pixels, padding, ragged=False))
        return predictions.logits, predictions.boxes

    with torch.no_grad():
        logits, boxes = forward(images.pixels, images.padding)
        expected = look(images)
    torch.testing.assert_close(logits, expected.logits)
    torch.testing.assert_close(boxes, expected.boxes)
"""
