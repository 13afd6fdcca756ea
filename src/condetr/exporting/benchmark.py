"""Which runtime executes a detector fastest on this machine: latency, throughput, and AP where there are labels."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

from ..arguments import check_progress, path_of, whole_number
from ..datasets.open import check_exists
from ..engine.device import default_device
from ..errors import CondetrError, DataError, ImageError
from ..evaluating.evaluate import evaluate
from ..images.decode import Pixels
from ..predicting.execution import Precision
from ..predicting.exported import FORMATS, RUNTIMES, is_exported
from ..predicting.inputs import inputs
from ..predicting.predictor import Predictor

logger = logging.getLogger(__name__)

CHOICES: tuple[tuple[str, Precision], ...] = (
    ("torch", "fp32"), ("torch", "bf16"), ("onnx", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"),
)  # fmt: skip
MOST = 16  # images
BATCH = 8
Report = Callable[[int, int], None]  # steps done, steps in all


class Choice(NamedTuple):
    """What executes the weights."""

    runtime: str
    precision: Precision
    device: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One runtime with one precision on one device. `latency` is the median time of one image in seconds and `cpu` the
    processor time of all its threads, `throughput` images per second: from decoded pixels to detections. `missing` is
    why it was not measured."""

    runtime: str
    precision: str
    latency: float | None
    cpu: float | None
    throughput: float | None
    ap: float | None
    missing: str
    device: str = "cpu"

    @property
    def name(self) -> str:
        """The runtime, and the device if it is not the CPU."""
        return self.runtime if self.device == "cpu" else f"{self.runtime} on {self.device}"


def benchmark(
    weights: str | os.PathLike[str],
    images: Any,
    *,
    data: str | os.PathLike[str] | None = None,
    rounds: int = 5,
    progress: Report | None = None,
) -> list[Measured]:
    """Measure every runtime that executes weights (a folder, a hub id, an exported file) on this machine: all on the
    CPU, and torch also on a GPU, if there is one.

    The runtimes take turns, so that other load on the machine affects all of them. `images` are what `Predictor` takes;
    the first 16 are used. With labelled `data`, AP is measured too. Raises CondetrError where there is no image.
    """
    rounds = whole_number(rounds, "rounds", 1)
    check_progress(progress)
    labelled = None if data is None else path_of(data, "data", DataError)
    if labelled is not None:
        check_exists(labelled)
    pixels = _read(images)
    choices = [
        Choice(runtime, precision, device)
        for runtime, precision in CHOICES
        for device in (_devices() if runtime == "torch" else ("cpu",))
        if runtime in _runtimes(weights)
    ]
    opened: dict[Choice, Predictor] = {}
    missing: dict[Choice, str] = {}
    ap: dict[Choice, float | None] = {}
    for choice in choices:
        try:
            predictor = Predictor.load(weights, choice.device, choice.precision, runtime=choice.runtime)
        except CondetrError as error:
            missing[choice] = str(error)
            continue
        opened[choice] = predictor
        if labelled is not None:  # first with torch, which exports nothing: data that do not fit end it there
            logger.info("measuring AP with %s in %s", choice.runtime, choice.precision)
        ap[choice] = None if labelled is None else evaluate(predictor, labelled).ap
    if not opened:
        raise CondetrError(next(iter(missing.values())))
    times = _times(opened, pixels, rounds, progress)
    return [
        Measured(choice.runtime, choice.precision, *times[choice], ap[choice], "", choice.device)
        if choice in opened
        else Measured(choice.runtime, choice.precision, None, None, None, None, missing[choice], choice.device)
        for choice in choices
    ]


def _read(images: Any) -> list[Pixels]:
    """The first images, without those that cannot be read. Raises ImageError where none can."""
    pixels: list[Pixels] = []
    failed: list[ImageError] = []
    for one in inputs(images):
        try:
            pixels.append(one.open_named())
        except ImageError as error:
            failed.append(error)
        if len(pixels) == MOST:
            break
    for skipped in failed if pixels else failed[1:]:
        logger.warning("left out: %s", skipped)
    if failed and not pixels:
        raise failed[0]
    if not pixels:
        raise CondetrError("benchmark: no image found. Give images or a folder of images")
    return pixels


def _runtimes(weights: str | os.PathLike[str]) -> tuple[str, ...]:
    """Those that execute the weights: of an exported file, by its format."""
    if not is_exported(weights):
        return RUNTIMES
    return ("onnx", "openvino") if os.fsdecode(weights).lower().endswith(FORMATS["onnx"]) else ("openvino",)


def _devices() -> tuple[str, ...]:
    """The CPU, and the GPU that is used by default, if there is one."""
    return ("cpu",) if default_device() == "cpu" else ("cpu", default_device())


def _times(
    opened: dict[Choice, Predictor], pixels: Sequence[Pixels], rounds: int, progress: Report | None
) -> dict[Choice, tuple[float, float, float]]:
    """Latency, processor time and throughput of each runtime."""
    alone: dict[Choice, list[tuple[float, float]]] = {choice: [] for choice in opened}
    together: dict[Choice, list[float]] = {choice: [] for choice in opened}
    for number in range(rounds + 1):
        for choice, predictor in opened.items():
            each = [_seconds(lambda one=one: predictor(one, threshold=0.0)) for one in pixels]  # type: ignore[misc]  # noqa: B023
            batch, _ = _seconds(lambda: predictor(list(pixels), threshold=0.0, batch=BATCH))  # noqa: B023
            if number:  # the first round only warms up
                alone[choice] += each
                together[choice].append(batch)
        if progress is not None:
            progress(number + 1, rounds + 1)
    latency, cpu = ({choice: median(one[i] for one in alone[choice]) for choice in opened} for i in (0, 1))
    return {choice: (latency[choice], cpu[choice], len(pixels) / median(together[choice])) for choice in opened}


def _seconds(run: Callable[[], object]) -> tuple[float, float]:
    """The time that passes, and the processor time of this process."""
    start, used = perf_counter(), process_time()
    run()
    return perf_counter() - start, process_time() - used
