"""A trained detector with all it needs to detect objects in real images."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, overload

import torch

from ..arguments import check_flags, instance_of, whole_number, with_article, wrong
from ..build import build_scoring
from ..checkpoint import Weights
from ..decoding import MAX_DETECTIONS
from ..detections import Detections
from ..engine.device import check_device
from ..errors import CondetrError, ImageError
from ..images.decode import Pixels
from ..model.detector import Detector
from ..plural import counted
from ..runtime.runtime import Runtime
from ..videos.frames import Video
from ..videos.live import RETRIES
from ..videos.sources import source_of
from ..videos.times import Position
from .batching import Scaled, predict_in_order, within_memory
from .execution import Execution, Precision, load_for
from .exported import NO_ATTENTION, Exported
from .inputs import InMemory, Input, Name, inputs, is_one_image
from .selection import Nms, Selection, Threshold, min_score, parse_nms, suppression
from .tiling import Tiling
from .video import DetectedFrame, detected_frames

T = TypeVar("T")
Classes = str | Iterable[str] | None

READ_AHEAD = 3  # images with tiles, which may take half a gigabyte each


class Predictor:
    """A detector for images: `Predictor.load("runs/birds")("garden.jpg")`.

    Attributes: `detector` (in evaluation mode), `prepare`, `scoring`, `categories`, `config`, `thresholds`, `device`,
    `runtime`, `tiling`, `nms`.

    A folded copy of the detector, made from its current weights, is executed: its predictions are the same up to
    rounding, in less time. `fast=False` executes the detector itself. `compile=True` compiles the copy with torch's
    compiler, which takes minutes. `precision="bf16"` is faster on processors that compute in it, and changes scores by
    about 0.01.

    With a `tiling`, such as `Tiling(640)`, images that are larger than a tile are also detected in tiles.

    With `nms=0.7`, of two detections of a class whose IoU is higher, the one with the lower score is left out. None
    means what the weights have (`model.nms`), "none" no such suppression. The attribute `nms` is the IoU, or None.

    A predictor of an exported file has no `detector`. For an image, or for each of its tiles, it returns at most as
    many detections as the file: the number of object queries, and at least 100.
    """

    def __init__(
        self,
        weights: Weights | Exported,
        device: torch.device | str = "cpu",
        precision: Precision = "fp32",
        *,
        fast: bool = True,
        compile: bool = False,
        tiling: Tiling | None = None,
        nms: Nms = None,
    ) -> None:
        if not isinstance(weights, Weights | Exported):
            taken = "Predictor.load takes a folder or a hub id"
            raise CondetrError(f"Predictor takes Weights, not {with_article(weights)}. {taken}")
        check_flags(fast=fast, compile=compile)
        if tiling is not None:
            instance_of(tiling, "tiling", Tiling, "a Tiling, such as condetr.Tiling(640)")
        self.nms = suppression(nms, weights.config.model.nms)
        self.tiling = tiling
        self.device = torch.device(check_device(str(device)))
        self._weights = weights
        self.config, self.categories, self.thresholds = weights.config, weights.categories, weights.thresholds
        self.scoring = build_scoring(weights.config.model.scoring)
        self.execution = Execution.of(weights, self.scoring, self.device, precision, fast, compile, tiling)
        self.prepare = self.execution.prepare

    def __repr__(self) -> str:
        classes = counted(len(self.categories.real), "class")
        return f"<Predictor with weights of the recipe {self.config.recipe}: {classes}, device {self.device}>"

    @property
    def runtime(self) -> Runtime:
        """What executes the detector."""
        return self.execution.runtime

    @property
    def detector(self) -> Detector:
        """The detector, in evaluation mode. Raises CondetrError where an exported file is executed."""
        if isinstance(self._weights, Exported):
            raise CondetrError(f"{self._weights.runtime.file}: {NO_ATTENTION}")
        return self._weights.detector

    @classmethod
    def load(
        cls,
        weights: str | os.PathLike[str],
        device: str | None = None,
        precision: Precision = "fp32",
        *,
        fast: bool = True,
        compile: bool = False,
        runtime: str | None = None,
        tiling: Tiling | None = None,
        nms: Nms = None,
    ) -> "Predictor":
        """From a folder of weights, a hub id or an exported file (.onnx, .xml).

        Weights are loaded to a GPU if there is one, or to the `device` that is named. `runtime` is torch, onnx or
        openvino; None: torch for weights, and the one that the suffix names for a file. To execute weights, onnx and
        openvino use an exported copy, which is made and checked on first use and kept in the user's cache. They run on
        the CPU.

        With `fast`, the frozen batch norms of `detector` are folded into its convolutions, which the folded copy
        shares. Raises WeightsError for weights that cannot be read, CondetrError for a runtime that is not installed or
        lacks one of the options.
        """
        if nms is not None:
            parse_nms(nms)  # before the weights are loaded
        loaded, device = load_for(weights, device, precision, fast, compile, runtime)
        return cls(loaded, device, precision, fast=fast, compile=compile, tiling=tiling, nms=nms)

    @overload
    def __call__(
        self, images: Name, threshold: Threshold = ..., batch: int = ..., *, classes: Classes = ...,
        max_detections: int | None = ..., one_class_per_box: bool = ...,
    ) -> Any: ...  # fmt: skip
    @overload
    def __call__(  # type: ignore[overload-overlap]  # an array is iterable too; the first match holds
        self, images: InMemory, threshold: Threshold = ..., batch: int = ..., *, classes: Classes = ...,
        max_detections: int | None = ..., one_class_per_box: bool = ...,
    ) -> Detections: ...  # fmt: skip
    @overload
    def __call__(
        self, images: Iterable[Name | InMemory], threshold: Threshold = ..., batch: int = ..., *,
        classes: Classes = ..., max_detections: int | None = ..., one_class_per_box: bool = ...,
    ) -> list[Detections]: ...  # fmt: skip
    def __call__(
        self, images: Any, threshold: Threshold = None, batch: int = 8, *, classes: Classes = None,
        max_detections: int | None = None, one_class_per_box: bool = False,
    ) -> Any:  # fmt: skip
        """The `Detections` of a single image; for several images, a list of them, one for each image.

        A single image is a path, an http(s) address, the bytes of an image file, an open binary file, a PIL image, a
        uint8 array (H, W, 3), RGB, or a uint8 tensor (3, H, W). Several images are a list or other iterable of these, a
        folder or a glob. A list may contain folders and globs, which are expanded in place.

        `threshold` is the confidence threshold. None: the thresholds saved with the weights, one for each class, or 0.5
        if there are none; "best": the same, but it is an error if there are none. `classes` keeps these classes, by
        name. `max_detections` is the most detections of an image, those with the highest scores: by default 100, as in
        COCO's metrics, and no limit for an image that is detected in tiles. `one_class_per_box` keeps the best class of
        each object query; otherwise, a detector with focal loss can return the same box with several classes. It is
        applied before `classes`. Up to `batch` images of similar size, or tiles of one image, are predicted together.

        Raises ImageError, with the name of the image, for the first image that cannot be read.
        """
        one = is_one_image(images)
        selection = self.selection(threshold, classes, max_detections, one_class_per_box)
        results = []
        for number, (given, result) in enumerate(self._stream_inputs(images, selection, batch)):
            if isinstance(result, ImageError):
                raise ImageError(f"{given.file or f'image {number}'}: {result}")
            results.append(result)
        return results[0] if one else results

    def stream(
        self, sources: Any, threshold: Threshold = None, batch: int = 8, read: Callable[[Any], Pixels] | None = None, *,
        classes: Classes = None, max_detections: int | None = None, one_class_per_box: bool = False,
        ahead: int | None = None,
    ) -> Iterator[tuple[Any, Detections | ImageError]]:  # fmt: skip
        """Pairs of a source and its detections, in the order of the sources, of which there may be infinitely many.

        The sources are what `__call__` takes, and the other parameters mean the same. Images are read in threads while
        the model runs, at most `ahead` before they are needed (by default 5 x batch, or 3 with a tiling, because large
        images stay in memory in full size). With batch=1, each image is predicted before the next one is requested, as
        for a camera. An image that cannot be read is paired with its ImageError, and the others follow. `read` turns a
        source of any other type into an image.
        """
        selection = self.selection(threshold, classes, max_detections, one_class_per_box)
        if read is not None:
            if not callable(read):
                raise wrong(read, "read", "a function")
            return self._stream(sources, read, selection, batch, ahead)
        is_one_image(sources)  # raises at once, not at the first image, for what is neither an image nor several
        pairs = self._stream_inputs(sources, selection, batch, ahead)
        return ((given.source, result) for given, result in pairs)

    def video(
        self, video: str | os.PathLike[str] | int, threshold: Threshold = None, batch: int = 4, *, every: int = 1,
        start: Position = None, end: Position = None, retry: int = RETRIES, classes: Classes = None,
        max_detections: int | None = None, one_class_per_box: bool = False,
    ) -> Iterator[DetectedFrame]:  # fmt: skip
        """The frames of a video file, camera or stream with their detections, one at a time, in constant memory.

        `video`, `every`, `start`, `end` and `retry` are those of `condetr.video_frames`, the other parameters those of
        `__call__`. Up to `batch` frames of a file are predicted together, which does not change their detections.
        Frames of a camera or stream are predicted one by one. Raises CondetrError at once for a video that cannot be
        opened.
        """
        stream = partial(
            self.stream, threshold=threshold, classes=classes, max_detections=max_detections,
            one_class_per_box=one_class_per_box,
        )  # fmt: skip
        self.selection(threshold, classes, max_detections, one_class_per_box)
        opened = Video(source_of(video), every, start, end, retry)
        return detected_frames(opened, stream, whole_number(batch, "batch", 1))

    def min_score(self, threshold: Threshold = None) -> float | tuple[float, ...]:
        """The lowest score of a detection that is kept, or that of each label, for a confidence threshold."""
        return min_score(threshold, self.thresholds)

    def scale(self, image: Pixels) -> Scaled:
        """An image at the detector's input size, with its tiles if it is divided: what `detect` takes."""
        return self.execution.scale(image)

    def detect(
        self, scaled: Sequence[Scaled], limit: int | None = MAX_DETECTIONS, batch: int = 8
    ) -> list[Detections]:  # fmt: skip
        """The best `limit` detections (None: all), however low their score, of a batch of scaled images. Images with
        tiles: all that their views have, merged; `batch` tiles go through the detector together."""
        return self.execution.detect(scaled, limit, batch)

    def selection(
        self, threshold: Threshold = None, classes: Classes = None, most: int | None = None,
        one_class_per_box: bool = False,
    ) -> Selection:  # fmt: skip
        """Which detections are kept, for the arguments of `__call__`. Raises CondetrError for invalid arguments."""
        limit = self.runtime.most if self.tiling is None else None
        if limit is not None and most is not None and whole_number(most, "max_detections") > limit:
            raise CondetrError(
                f"max_detections {most}: an exported file returns at most {limit}. Give the folder of weights that it "
                "was exported from"
            )
        return Selection.of(
            self.min_score(threshold), self.categories, classes, most, one_class_per_box, self.tiling,
            self.nms,
        )  # fmt: skip

    def _stream_inputs(
        self, images: Any, selection: Selection, batch: int, ahead: int | None = None
    ) -> Iterator[tuple[Input, Detections | ImageError]]:
        """With the file that each image was read from in its detections."""
        pairs = self._stream(inputs(images), Input.open, selection, batch, ahead)
        return (
            (given, replace(result, file=given.file) if isinstance(result, Detections) else result)
            for given, result in pairs
        )

    def _stream(
        self,
        sources: Iterable[T],
        read: Callable[[T], Pixels],
        selection: Selection,
        batch: int,
        ahead: int | None,
    ) -> Iterator[tuple[T, Detections | ImageError]]:
        batch = whole_number(batch, "batch", 1)
        ahead = None if ahead is None else whole_number(ahead, "ahead", 1)

        def detect(scaled: list[Scaled]) -> list[Detections]:
            return [selection(found) for found in self.detect(scaled, selection.limit, batch)]

        in_memory = partial(within_memory, detect, device=self.device)
        together = batch
        if self.tiling is not None:  # one image at a time: it has tiles enough
            together, ahead = 1, 1 if batch == 1 else min(ahead or READ_AHEAD, READ_AHEAD)
        return predict_in_order(sources, lambda source: self.scale(read(source)), in_memory, together, ahead)
