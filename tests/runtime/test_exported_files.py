"""An exported file returns the detections of its weights, for batches and images of any size."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from condetr.detections import Detections
from condetr.predicting.exported import original_of
from condetr.runtime.agreement import EXACT, ROUNDED, difference
from condetr.runtime.file_runtime import FileRuntime
from condetr.runtime.onnx_runtime import OnnxRuntime
from condetr.runtime.openvino_runtime import OpenVinoRuntime
from tests.runtime.exported import CATEGORIES, MODELS, REFINING, exported, weights
from tests.tiny import FORMS

ODD = [(64, 64), (33, 97), (97, 33), (16, 16), (5, 40), (40, 7), (1, 1), (65, 64), (101, 71), (17, 128)]
SWEEP = [*(name for name in MODELS if name not in ("tiny", "timm", *REFINING)), *FORMS]


def some_images(*shapes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(len(shapes))
    return [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def random_batches(number: int) -> list[list[np.ndarray]]:
    """Batches of 1 to 4 images, each with its own height and width."""
    random = np.random.default_rng(7)
    return [
        some_images(*((int(h), int(w)) for h, w in random.integers(8, 130, (random.integers(1, 5), 2))))
        for _ in range(number)
    ]


def assert_same(found: list[Detections], expected: list[Detections]) -> None:
    for number, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert len(a) == len(b)
        one = difference(f"image {number}", a, b, EXACT)
        assert one.within(EXACT), one


def detect(name: str, images: list[np.ndarray]) -> list[Detections]:
    """The detections of the detector as it was trained, image by image."""
    original = original_of(weights(name))
    return [original.detect([image], [(200, 100)], CATEGORIES, 100)[0] for image in images]


@cache
def assert_images_differ(name: str) -> None:
    """That detections depend on the image, far more than they may differ between runtimes."""
    one, other = detect(name, some_images((101, 71), (101, 71)))
    between = difference("one and another image", one, other, EXACT)
    assert max(between.box / EXACT.box, between.score / EXACT.score) > 10, (name, between)


def check(runtime: FileRuntime, name: str, batches: list[list[np.ndarray]]) -> None:
    assert_images_differ(name)
    for images in batches:
        sizes, expected = [(200, 100)] * len(images), detect(name, images)
        assert_same(runtime.detect(images, sizes, CATEGORIES, 100), expected)
        assert_same(runtime.detect_padded(images, sizes, CATEGORIES), expected)


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
def test_batches_of_random_shapes_and_odd_sizes(library: str) -> None:
    file = exported("tiny")
    runtime = OnnxRuntime(file) if library == "onnxruntime" else OpenVinoRuntime(file, "fp32")
    batches = random_batches(20)
    if library == "openvino":  # which prepares anew for each new size
        batches = batches[:5]
    check(runtime, "tiny", [*batches, some_images(*ODD)])


def test_attention_has_no_guard_that_keeps_runtimes_from_fusing_it() -> None:
    operations = {node.op_type for node in onnx.load(exported("tiny")).graph.node}
    assert "Softmax" in operations
    assert "IsNaN" not in operations


@pytest.mark.parametrize("name", REFINING)
def test_refining_decoders(name: str) -> None:
    file = exported(name)
    check(OnnxRuntime(file), name, [*random_batches(3), some_images(*ODD)])
    check(OpenVinoRuntime(file, "fp32"), name, random_batches(1))


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize("name", REFINING)
def test_weights_in_half_precision(name: str, format: str) -> None:
    file = exported(name, format, "fp16")
    runtime = OnnxRuntime(file) if format == "onnx" else OpenVinoRuntime(file, "fp32")
    images = some_images(*ODD)
    sizes = [(200, 100)] * len(images)
    for a, b in zip(runtime.detect_padded(images, sizes, CATEGORIES), detect(name, images), strict=True):
        assert difference("image", a, b, ROUNDED).within(ROUNDED)


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEP)
def test_every_kind_of_model(name: str) -> None:
    file = exported(name)
    batches = [*random_batches(3), some_images(*ODD)]
    check(OnnxRuntime(file), name, batches)
    check(OpenVinoRuntime(file, "fp32"), name, batches[:2])


@pytest.mark.slow
def test_a_file_of_a_timm_network_in_openvino_whatever_image_is_the_first() -> None:
    assert_images_differ("timm")
    for first in ((1, 1), (32, 32), (20, 300)):
        images = some_images(first, (114, 117), (64, 64), (1, 1), (101, 71))
        runtime = OpenVinoRuntime(exported("timm"), "fp32")
        assert_same(runtime.detect(images, [(200, 100)] * len(images), CATEGORIES, 100), detect("timm", images))


@pytest.mark.slow
def test_a_file_of_a_timm_network_takes_batches_of_one_size_and_says_so() -> None:
    images = some_images(*ODD[:5], (101, 71))
    runtime = OnnxRuntime(exported("timm"))
    assert_same(runtime.detect(images, [(200, 100)] * len(images), CATEGORIES, 100), detect("timm", images))
    assert not runtime.facts.ragged
    assert all(np.isnan(one.scores).all() for one in runtime.detect_padded(images[:2], [(9, 9)] * 2, CATEGORIES))


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from condetr.errors import CondetrError
from condetr.runtime.onnx_runtime import OnnxRuntime
from condetr.runtime.openvino_runtime import OpenVinoRuntime
file = Path(sys.argv[1])
runtimes = OnnxRuntime(file), OpenVinoRuntime(file, "fp32")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, -1))
image = np.broadcast_to(np.uint8(0), (60000, 50000, 3))
for runtime in runtimes:
    try:
        runtime.detect([image], [(64, 64)], runtime.facts.categories, 100)
    except CondetrError as error:
        print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited as Linux does it")
def test_an_image_that_is_too_large_for_the_memory_is_one_line() -> None:
    file = exported("tiny")
    done = subprocess.run([sys.executable, "-c", LIMITED, file], capture_output=True, text=True)
    line = f"{file}: an image of 50000 x 60000 pixels: not enough memory for this size"
    assert (done.stdout.splitlines(), done.stderr) == ([line, line], "")


SIGNALLED = """
import gc, os, signal, sys
from pathlib import Path
from condetr.runtime.openvino_runtime import OpenVinoRuntime

signal.signal(signal.SIGTERM, lambda *_: print("received"))
first, second = (OpenVinoRuntime(Path(sys.argv[1]), "fp32") for _ in range(2))
for name in ("first", "second"):
    del globals()[name]
    gc.collect()
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_reaches_a_program_that_has_used_openvino() -> None:
    """It was a segmentation fault: OpenVINO had freed the stack that it had given the main thread for signals."""
    command = [sys.executable, "-c", SIGNALLED, str(exported("tiny"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "received\n" * 2, "")
