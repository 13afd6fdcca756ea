"""Exported files beside folders of weights: writing one, loading one to predict with it, and a cache of them."""

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock

from ..build import build_prepare, build_scoring
from ..checkpoint import Weights
from ..config import Config
from ..decoding import most_of_view
from ..errors import CondetrError, WeightsError
from ..files import replacing
from ..home import cache_folder, with_home
from ..runtime.agreement import EXACT, difference_from_whole, example_images, worst
from ..runtime.exported_graph import ExportedGraph
from ..runtime.file_facts import FORMAT, FileFacts, package_version
from ..runtime.file_runtime import FileRuntime
from ..runtime.onnx_runtime import OnnxRuntime, onnxruntime
from ..runtime.openvino_runtime import OpenVinoRuntime, openvino
from ..runtime.runtime import Runtime
from ..runtime.torch_runtime import DetectorRuntime, TorchRuntime
from ..runtime.translate import INSTEAD, write_onnx, write_openvino
from ..types import Categories
from .local_files import is_folder

logger = logging.getLogger(__name__)

FORMATS = {"onnx": ".onnx", "openvino": ".xml"}
NO_ATTENTION = (
    "an exported file returns detections only, no attention maps. Give the folder of weights that it was exported from"
)
RUNTIMES = ("torch", "onnx", "openvino")
LIBRARIES = {"onnx": onnxruntime, "openvino": openvino}  # by the name of the runtime, and of the format that it checks
FP32_ONLY = "onnxruntime computes in fp32 here. Choose fp32, or the runtime openvino"


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported file that is ready to run, with what is needed to interpret its detections."""

    runtime: FileRuntime
    config: Config
    categories: Categories
    thresholds: tuple[float, ...] | None

    @classmethod
    def load(cls, file: Path, runtime: str | None = None, precision: str = "fp32") -> "Exported":
        """`runtime` is onnx or openvino; None: the one that the file's suffix names. OpenVINO runs ONNX files too.

        Raises WeightsError for a file that cannot be used, CondetrError for a runtime that does not run it.
        """
        runtime = runtime or next(name for name, suffix in FORMATS.items() if suffix == file.suffix.lower())
        if runtime == "torch" or (runtime == "onnx" and file.suffix.lower() != ".onnx"):
            other = "onnx or openvino" if file.suffix.lower() == ".onnx" else "openvino"
            raise CondetrError(f"{file}: not run by {runtime}. Choose {other}")
        if precision != "fp32" and runtime == "onnx":
            raise CondetrError(f"{file}: {FP32_ONLY}")
        opened = OnnxRuntime(file) if runtime == "onnx" else OpenVinoRuntime(file, precision)
        facts = opened.facts
        return cls(opened, facts.config, facts.categories, facts.thresholds)


def just_written(file: Path, runtime: str | None = None) -> Exported:
    """A file that `write` has just written, as `Exported.load` loads it. Raises CondetrError if its runtime refuses it,
    for example because torch translated an operation wrongly."""
    try:
        return Exported.load(file, runtime)
    except WeightsError as error:
        text = str(error).removeprefix(f"{file}: ")
        reason = text[text.find("(") + 1 : text.rfind(")")]
        raise CondetrError(f"export: no runtime executes the exported model ({reason}). {INSTEAD}") from None


def is_exported(weights: object) -> bool:
    """Whether a path names an exported file, by its suffix. A folder with such a name is a folder of weights."""
    if not isinstance(weights, str | os.PathLike):
        return False
    path = with_home(os.fsdecode(weights))
    return path.suffix.lower() in FORMATS.values() and not is_folder(path)


def executes_file(weights: object, runtime: str | None) -> bool:
    """Whether an exported file is executed, on the CPU: the one that is named, or one that the runtime needs of
    weights."""
    return is_exported(weights) or runtime not in (None, "torch")


def refuse_exported(weights: object) -> None:
    """Raises CondetrError for an exported file, by its suffix, where attention maps are needed."""
    if is_exported(weights):
        raise CondetrError(f"{weights}: {NO_ATTENTION}")


def write(weights: Weights, file: Path, format: str = "onnx", precision: str = "fp32") -> None:
    """Write an exported file. OpenVINO's format has two files: `file`, and one with the suffix .bin beside it.

    Raises CondetrError if an extra is missing, WeightsError for a detector whose predictions depend on its batch.
    """
    graph = graph_of(weights)
    facts = facts_of(weights, graph.ragged, precision)
    if format == "onnx":
        write_onnx(graph, facts, file)
    else:
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            plain = Path(folder) / "model.onnx"
            write_onnx(graph, replace(facts, precision="fp32"), plain)
            write_openvino(plain, facts, file)


def graph_of(weights: Weights) -> ExportedGraph:
    if not weights.detector.backbone.exact:
        raise WeightsError(
            "export: with model.backbone.padding=published, an image's detections depend on the other images of its "
            "batch, so no file can repeat them. Set model.backbone.padding to exact in config.json, and evaluate again"
        )
    return ExportedGraph(
        weights.detector, build_scoring(weights.config.model.scoring), weights.categories.real, _limit(weights)
    )


def facts_of(weights: Weights, ragged: bool, precision: str) -> FileFacts:
    return FileFacts(
        package_version(), hash_of(weights), weights.config, weights.categories, weights.thresholds, precision,
        _limit(weights), ragged,
    )  # fmt: skip


def _limit(weights: Weights) -> int:
    return most_of_view(weights.config.model.queries)


def hash_of(weights: Weights) -> str:
    """SHA-256 over the names, types, shapes and values of all tensors, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.detector.state_dict().items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def original_of(weights: Weights) -> Runtime:
    """The detector as it was trained, which an exported file is compared with."""
    scoring = build_scoring(weights.config.model.scoring)
    return DetectorRuntime(TorchRuntime.plain(weights.detector.eval()), scoring, torch.device("cpu"))


def cached(weights: Weights, runtime: str, anew: bool = False) -> Path:
    """The ONNX file of weights for a runtime in the user's cache, written and compared with the weights on first use,
    or `anew`.

    Its name is a hash of the weights and of all that belongs to them. Processes that need the same file wait for the
    one that writes it. Raises CondetrError if the runtime is not installed, or if its detections are not those of the
    weights.
    """
    LIBRARIES[runtime]()
    file = exports_folder() / f"{_key(weights, runtime)}.onnx"
    try:
        if file.is_file() and not anew:
            return file
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.with_suffix(".lock")).acquire()
    except OSError as error:
        raise CondetrError(
            f"{file.parent}: cannot be written ({error.strerror}). Set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    with lock:
        for left in file.parent.glob(f".{file.name}.*"):  # by a process that was killed
            left.unlink(missing_ok=True)
        if anew or not file.is_file():
            logger.info("exporting the weights for %s, once: kept in %s", runtime, file.parent)
            with replacing(file, ".part.onnx") as part:
                write(weights, part)
                _check(weights, part, runtime)
    return file


def load_cached(weights: Weights, runtime: str, precision: str) -> Exported:
    """The cached file of weights, loaded. A file that cannot be loaded is written again."""
    if runtime == "onnx" and precision != "fp32":
        raise CondetrError(f"precision {precision}: {FP32_ONLY}")
    file = cached(weights, runtime)
    try:
        return Exported.load(file, runtime, precision)
    except WeightsError:
        logger.info("%s: damaged, so it is written again", file)
    return Exported.load(cached(weights, runtime, anew=True), runtime, precision)


def exports_folder() -> Path:
    """The user's folder for exported files. Raises CondetrError where there is no home folder."""
    folder = cache_folder("exported")
    if folder is None:
        raise CondetrError("no home folder to keep exported files in. Set XDG_CACHE_HOME to a folder")
    return folder


def _key(weights: Weights, runtime: str) -> str:
    categories = weights.categories
    rest = [weights.config.model_dump(mode="json"), categories.ids, categories.names, weights.thresholds]
    text = json.dumps([FORMAT, package_version(), torch.__version__, runtime, hash_of(weights), _limit(weights), rest])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _check(weights: Weights, file: Path, name: str) -> None:
    prepare = build_prepare(weights.config.data)
    images = {name: prepare.scale(image) for name, image in example_images().items()}
    sizes = [(image.shape[1], image.shape[0]) for image in images.values()]
    limit = _limit(weights)
    whole, found = (
        runtime.detect(list(images.values()), sizes, weights.categories, most)
        for runtime, most in ((original_of(weights), None), (just_written(file, name).runtime, limit))
    )
    differences = [
        difference_from_whole(name, a, b, limit, EXACT) for name, a, b in zip(images, whole, found, strict=True)
    ]
    if not all(one.within(EXACT) for one in differences):
        raise CondetrError(
            f"the exported model differs from its weights: {worst(differences)[0]}. Use the runtime torch"
        )
