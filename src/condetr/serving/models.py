"""The models of a server, by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..detections import Detections
from ..errors import CondetrError
from ..plural import counted
from ..predicting.batching import Scaled, similar, within_memory
from ..predicting.execution import Precision
from ..predicting.exported import is_exported
from ..predicting.predictor import Predictor
from ..predicting.selection import Nms
from ..predicting.tiling import Tiling
from ..predicting.with_hash import load_with_hash
from ..runtime.file_runtime import FileRuntime

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """`hash` is a SHA-256 over the weights, also of the weights that an exported file was made from."""

    name: str
    hash: str
    predictor: Predictor

    @property
    def attention(self) -> bool:
        """Whether it has attention maps, which exported files do not."""
        return not isinstance(self.predictor.runtime, FileRuntime)

    def detect(self, limit: int | None, scaled: list[Scaled]) -> list[Detections]:
        """As `Predictor.detect`, in smaller batches where the device runs out of memory.

        On a CPU each image is predicted alone, as by `Predictor`: batches are no faster there, and vector
        instructions round the scores of a batch differently, by one bit in the last place.
        """
        size = 1 if self.predictor.device.type == "cpu" else len(scaled)
        found: list[Detections] = []
        for at in range(0, len(scaled), size):
            found += within_memory(
                lambda part: self.predictor.detect(part, limit), scaled[at : at + size], self.predictor.device
            )
        return found

    def choose(self, scaled: list[Scaled], batch: int) -> list[int]:
        """Which images go through the model together: similar ones, whose batch needs little padding."""
        return similar(scaled, self.batch(batch))

    def batch(self, most: int) -> int:
        """1 for a model whose detections depend on the other images of a batch (`padding=published`)."""
        return most if not self.attention or self.predictor.detector.backbone.exact else 1

    def warm_up(self) -> None:
        self.predictor(np.zeros((64, 64, 3), np.uint8))


def load_model(
    name: str,
    weights: str,
    device: str | None,
    runtime: str | None,
    precision: Precision = "fp32",
    tiling: Tiling | None = None,
    nms: Nms = None,
) -> Model:
    """As `Predictor.load`, with the hash of the weights. Raises CondetrError."""
    predictor, hash = load_with_hash(weights, device, runtime, precision, tiling, nms)
    return Model(name, hash, predictor)


def share_threads(parallel: int, models: Sequence[Model]) -> None:
    """Give each of `parallel` images that are predicted at the same time its share of torch's threads, so that none
    waits for another.

    Raises CondetrError for more of them than threads, and for models that are not computed by torch on a CPU: a GPU
    predicts one batch after the other, and so do the runtimes of exported files.
    """
    if parallel == 1:
        return
    for model in models:
        if model.predictor.device.type != "cpu" or not model.attention:
            raise CondetrError(
                f"`parallel={parallel}`: {model.name} is not computed by torch on a CPU. Leave it out, or choose "
                "`runtime='torch', device='cpu'`"
            )
    threads = torch.get_num_threads()
    if parallel > threads:
        raise CondetrError(
            f"`parallel={parallel}`: torch uses {counted(threads, 'thread')} here. Choose at most {threads}"
        )
    torch.set_num_threads(threads // parallel)


def named(weights: Sequence[str]) -> dict[str, str]:
    """Weights by the names under which they are served: NAME of `NAME=WEIGHTS`, or the last part of a path or hub id.

    Raises CondetrError for a name that is used twice.
    """
    found: dict[str, str] = {}
    for word in weights:
        name, equals, source = word.partition("=")
        if not equals or not re.fullmatch(NAME, name) or Path(word).exists():
            source = word
            path = Path(word.partition("@")[0])
            stem = path.stem if is_exported(word) else path.resolve().name if path.exists() else path.name
            name = re.sub(r"[^A-Za-z0-9._-]", "-", stem).lstrip("._-")[:100] or "model"
        if not source:
            raise CondetrError(f"`weights={word!r}`: the weights are missing after =")
        if name in found:
            another = f"OTHER={source}"
            raise CondetrError(f"`weights={word!r}`: another model is named {name}. Name it: `weights={another!r}`")
        found[name] = source
    return found
