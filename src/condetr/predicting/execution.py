"""Trained weights in execution: the runtime that the user chose, and scaled images through it, large ones in tiles."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from shutil import which
from typing import Literal

import torch

from ..arguments import one_of
from ..build import build_prepare
from ..checkpoint import Weights, load
from ..config import Config
from ..decoding import most_of_view
from ..detections import Detections
from ..engine.device import check_device
from ..engine.torch_defaults import torch_defaults
from ..errors import CondetrError
from ..home import with_home
from ..images.decode import Pixels
from ..images.prepare import Prepare
from ..model.detector import Detector
from ..runtime.folded import fold_norms
from ..runtime.runtime import Runtime
from ..runtime.torch_runtime import DetectorRuntime, TorchRuntime
from ..scoring import Scoring
from ..types import Categories
from .batching import Scaled, within_memory
from .exported import LIBRARIES, RUNTIMES, Exported, executes_file, is_exported, load_cached
from .tiling import Tiled, Tiling

Precision = Literal["fp32", "bf16"]
PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Execution:
    """A runtime on a `device`, with what turns images into its input. `queries` is the detector's number of object
    queries."""

    runtime: Runtime
    prepare: Prepare
    categories: Categories
    queries: int
    device: torch.device
    tiling: Tiling | None

    @classmethod
    @torch_defaults()
    def of(
        cls, weights: Weights | Exported, scoring: Scoring, device: torch.device, precision: Precision, fast: bool,
        compile: bool, tiling: Tiling | None,
    ) -> "Execution":  # fmt: skip
        """Raises CondetrError as `runtime_of` does."""
        runtime: Runtime
        if isinstance(weights, Exported):
            runtime = weights.runtime
        else:
            torch_runtime = runtime_of(weights.detector.to(device).eval(), precision, fast, compile)
            runtime = DetectorRuntime(torch_runtime, scoring, device)
        config: Config = weights.config
        return cls(runtime, build_prepare(config.data), weights.categories, config.model.queries, device, tiling)

    def scale(self, image: Pixels) -> Scaled:
        """An image at the detector's input size, with its tiles if it is divided: what `detect` takes."""
        size = (image.shape[1], image.shape[0])
        scaled = self.prepare.scale(image)
        tiles = self.tiling.tiles(size) if self.tiling is not None else ()
        return Tiled(scaled, size, image, tiles) if tiles else Scaled(scaled, size)

    def detect(self, scaled: Sequence[Scaled], limit: int | None, batch: int) -> list[Detections]:
        """The best `limit` detections (None: all), however low their score, of a batch of scaled images. Images with
        tiles: all that their views have, merged; `batch` tiles go through the detector together."""
        whole = [one for one in scaled if not isinstance(one, Tiled)]
        found = iter(self._detect(whole, limit) if whole else [])
        return [self._detect_tiles(one, batch) if isinstance(one, Tiled) else next(found) for one in scaled]

    def _detect(self, scaled: Sequence[Scaled], limit: int | None) -> list[Detections]:
        return self.runtime.detect(
            [one.image for one in scaled], [one.size for one in scaled], self.categories, limit
        )  # fmt: skip

    def _detect_tiles(self, image: Tiled, batch: int) -> Detections:
        """A view has as many objects as the detector has queries. On a CPU, tiles go one by one: batches are no faster
        there, and vector instructions round the scores of a batch differently, by one bit in the last place."""
        limit = self.runtime.most or most_of_view(self.queries)
        views = partial(within_memory, lambda scaled: self._detect(scaled, limit), device=self.device)
        return image.detect(
            lambda pixels: Scaled(self.prepare.scale(pixels), (pixels.shape[1], pixels.shape[0])),
            views, 1 if self.device.type == "cpu" else batch, self.queries,
        )  # fmt: skip


def load_for(
    weights: str | os.PathLike[str], device: str | None, precision: Precision, fast: bool, compile: bool,
    runtime: str | None,
) -> tuple[Weights | Exported, str]:  # fmt: skip
    """What the chosen runtime executes, and the name of its device: the weights, or an exported file of them.

    If onnx or openvino is to execute weights, they are exported on first use. Raises WeightsError for weights that
    cannot be read, CondetrError for a runtime that is not installed or lacks one of the options.
    """
    check_options(weights, device, precision, fast, compile, runtime)
    if executes_file(weights, runtime):
        if is_exported(weights):
            return Exported.load(with_home(os.fsdecode(weights)), runtime, precision), "cpu"
        return load_cached(load(weights), str(runtime), precision), "cpu"
    device = check_device(device)
    loaded = load(weights, device)
    if fast:
        fold_norms(loaded.detector)
    return loaded, device


def check_options(
    weights: str | os.PathLike[str], device: str | None, precision: Precision, fast: bool, compile: bool,
    runtime: str | None,
) -> None:  # fmt: skip
    """Check the options of `load_for` before anything is loaded. Raises CondetrError."""
    one_of(precision, "precision", PRECISIONS)
    if runtime is not None:
        one_of(runtime, "runtime", RUNTIMES)
    if not executes_file(weights, runtime):
        check_device(device)
        return
    if check_device(device or "cpu") != "cpu":
        raise CondetrError(f"device {device}: the runtimes onnx and openvino run on the cpu. Leave it out")
    if compile or not fast:
        option = "compile" if compile else "fast=False"
        raise CondetrError(f"`{option}`: only for weights with the runtime torch. Leave it out")
    if runtime in LIBRARIES:
        LIBRARIES[runtime]()


def runtime_of(detector: Detector, precision: Precision, fast: bool, compile: bool) -> TorchRuntime:
    """What executes the detector. Raises CondetrError without a compiler, or if `fast=False` excludes an option."""
    one_of(precision, "precision", PRECISIONS)
    if not fast:
        if precision == "bf16" or compile:
            raise CondetrError("fast=False: works in fp32 and without compile only. Leave one of them out")
        return TorchRuntime.plain(detector)
    if compile and not any(which(name) for name in (os.environ.get("CXX") or "g++", "clang++", "c++")):
        raise CondetrError("`compile=True`: needs a C++ compiler, and none is installed. Install g++, or leave it out")
    return (TorchRuntime.compiled if compile else TorchRuntime.folded)(detector, PRECISIONS[precision])
