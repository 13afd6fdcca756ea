"""Images in, boxes out: the detector with everything it needs to answer for real images."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shutil import which
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from PIL import Image

from ..build import build_scoring
from ..checkpoint import Weights, load
from ..decoding import decode
from ..detections import Detections
from ..engine.device import check_device
from ..errors import CondetrError, ImageError
from ..images.decode import Pixels, Source
from ..images.prepare import Prepare, open_image, pad
from ..model.detector import Detector
from ..runtime.folded import fold_norms
from ..runtime.runtime import Runtime
from ..runtime.torch_runtime import TorchRuntime
from ..shapes import UInt8
from ..types import Images

T = TypeVar("T")

WINDOW = 4  # batches that are looked at together to find images of similar size
WASTE = 1.25  # pixels of a batch over pixels of its images, above which an image waits for a better batch


class Predictor:
    """A detector that answers for images: `Predictor.load("runs/birds")("garden.jpg")`.

    Attributes: `detector` (in evaluation mode), `prepare`, `scoring`, `categories`, `config`, `thresholds`, `device`.
    Predictions come from a folded copy of the detector, made from its present weights: the same in less time.
    `fast=False` asks the detector itself, `compile` has torch's compiler translate it first, which takes minutes.
    `precision` bf16 is faster where the processor computes in it, and moves scores by about a hundredth.
    """

    def __init__(
        self,
        weights: Weights,
        device: torch.device | str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
        *,
        fast: bool = True,
        compile: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self.detector = weights.detector.to(self.device).eval()
        self.runtime = runtime_of(self.detector, precision, fast, compile)
        self.config, self.categories, self.thresholds = weights.config, weights.categories, weights.thresholds
        self.prepare = Prepare.of(weights.config.data)
        self.scoring = build_scoring(weights.config.model.scoring)

    @classmethod
    def load(
        cls,
        source: str | Path,
        device: str | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
        *,
        fast: bool = True,
        compile: bool = False,
    ) -> "Predictor":
        """From a folder of weights or a hub id, on a GPU where there is one unless `device` says otherwise.

        With `fast`, the frozen batch norms of `detector` are folded into its convolutions, which the folded copy
        then shares.
        """
        device = check_device(device)
        weights = load(source, device)
        if fast:
            fold_norms(weights.detector)
        return cls(weights, device, precision, fast=fast, compile=compile)

    def __call__(
        self, images: Source | Sequence[Source], threshold: float | Literal["best"] = 0.5, batch: int = 8
    ) -> list[Detections]:
        """One answer for each image: a path, a PIL image, an RGB uint8 array (H W 3), or a list of those.

        `threshold` is the score from which a detection counts; "best" takes the one for each class that the weights
        carry. Raises ImageError, with the name of the image, for the first that cannot be read.
        """
        one = isinstance(images, str | bytes | Path | np.ndarray | Image.Image) or hasattr(images, "read")
        sources: Sequence[Any] = [images] if one else images  # type: ignore[assignment]
        answers = []
        for number, (source, answer) in enumerate(self.stream(sources, threshold, batch)):
            if isinstance(answer, ImageError):
                named = source if isinstance(source, str | Path) else f"image {number}"
                raise ImageError(f"{named}: {answer}")
            answers.append(answer)
        return answers

    def stream(
        self,
        sources: Iterable[T],
        threshold: float | Literal["best"] = 0.5,
        batch: int = 8,
        read: Callable[[T], Pixels] = open_image,  # type: ignore[assignment]
    ) -> Iterator[tuple[T, Detections | ImageError]]:
        """Answers in the order of the sources, which may never end: a few are read ahead, the others left alone.

        `read` turns a source into an image, in threads beside the model. Images of similar size share a batch, found
        among the next 4 x batch; with batch=1 each is answered before the next is asked for, as for a camera.
        An image that cannot be read is answered with its ImageError, and the others go on.
        """
        bar = self.bar(threshold)
        if batch < 1:
            raise CondetrError(f"batch {batch}: must be at least 1")
        ahead = 1 if batch == 1 else (WINDOW + 1) * batch
        waiting: deque[_Waiting[T]] = deque()
        coming = iter(sources)
        pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1, ahead), thread_name_prefix="condetr-read")
        try:
            while True:
                for source in islice(coming, ahead - len(waiting)):
                    waiting.append(_Waiting(source, pool.submit(self._read, read, source)))
                if not waiting:
                    return
                window = [one for one in islice(waiting, WINDOW * batch) if one.answer is None]
                self._answer([one for one in window if one.is_read()], batch, bar)
                while waiting and waiting[0].answer is not None:
                    done = waiting.popleft()
                    yield done.source, done.answer  # type: ignore[misc]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def bar(self, threshold: float | Literal["best"]) -> float | tuple[float, ...]:
        """The score, or that of each label, from which a detection counts."""
        threshold = threshold_of(threshold)
        if threshold != "best":
            return threshold
        if self.thresholds is None:
            raise CondetrError("threshold best: these weights carry none. Give a number between 0 and 1")
        return self.thresholds

    def detect(self, images: Images, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """All answers, however low their score, for a batch of images whose own (width, height) are `sizes`."""
        predictions = self.runtime.run(images.to(self.device))
        return decode(predictions, self.scoring, sizes, self.categories)

    def _read(self, read: Callable[[T], Pixels], source: T) -> "_Scaled":
        image = read(source)
        return _Scaled(self.prepare.scale(image), (image.shape[1], image.shape[0]))

    def _answer(self, window: list["_Waiting[T]"], size: int, bar: float | tuple[float, ...]) -> None:
        """Answers the oldest of the window, and with it those that share a batch with little padding."""
        if not window:
            return
        chosen = _similar([one.scaled for one in window], size)
        scaled = [window[i].scaled for i in chosen]
        for i, detections in zip(chosen, self._within_memory(scaled)):
            window[i].answer = detections.filter(min_score=bar)

    def _within_memory(self, scaled: list["_Scaled"]) -> list[Detections]:
        """In one batch if the device has the memory for it, else in halves."""
        try:
            return self.detect(pad([one.image for one in scaled]), [one.size for one in scaled])
        except torch.OutOfMemoryError:
            if len(scaled) == 1:
                raise CondetrError(f"{self.device}: no memory for a single image. Free some, or use cpu") from None
        half = len(scaled) // 2
        return self._within_memory(scaled[:half]) + self._within_memory(scaled[half:])


def runtime_of(detector: Detector, precision: Literal["fp32", "bf16"], fast: bool, compile: bool) -> Runtime:
    """What executes the detector. Raises CondetrError without a compiler, or if `fast=False` excludes an option."""
    if not fast:
        if precision == "bf16" or compile:
            raise CondetrError("fast=False: is for fp32, and not to be compiled. Leave it out")
        return TorchRuntime.plain(detector)
    if compile and not any(which(name) for name in (os.environ.get("CXX") or "g++", "clang++", "c++")):
        raise CondetrError("--compile: needs a C++ compiler, and none is here. Install g++, or leave it out")
    types = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return (TorchRuntime.compiled if compile else TorchRuntime.folded)(detector, types[precision])


def threshold_of(word: str | float) -> float | Literal["best"]:
    """A score from 0 to 1, or "best"; raises CondetrError for anything else."""
    if word == "best":
        return "best"
    try:
        score = float(word)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise CondetrError(f"threshold {word}: must be between 0 and 1, or best")
    return score


@dataclass(frozen=True, slots=True)
class _Scaled:
    """An image at the detector's size, and the (width, height) it came with."""

    image: UInt8[np.ndarray, "_ _ 3"]
    size: tuple[int, int]


@dataclass(slots=True)
class _Waiting(Generic[T]):
    """A source on its way to an answer."""

    source: T
    reading: Future[_Scaled]
    answer: Detections | ImageError | None = None

    def is_read(self) -> bool:
        """Waits until it is; what cannot be read is answered with the reason."""
        try:
            self.reading.result()
        except ImageError as error:
            self.answer = error
            return False
        return True

    @property
    def scaled(self) -> _Scaled:
        return self.reading.result()


def _similar(window: list[_Scaled], size: int) -> list[int]:
    """The first of the window and up to size - 1 others, so that a batch of them is padded little."""
    shapes = [one.image.shape[:2] for one in window]
    distance = [sum(abs(np.log(a / b)) for a, b in zip(shape, shapes[0])) for shape in shapes]
    chosen = [0]
    for i in sorted(range(1, len(window)), key=lambda i: distance[i]):
        members = [shapes[j] for j in (*chosen, i)]
        padded = len(members) * max(h for h, _ in members) * max(w for _, w in members)
        if len(chosen) < size and padded <= WASTE * sum(h * w for h, w in members):
            chosen.append(i)
    return chosen
