"""Predict any number of images, each exactly once, on several workers, and continue a run that was killed."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..arguments import check_characters, check_flags, check_progress, names_of, one_of, path_of, whole_number
from ..decoding import MAX_DETECTIONS
from ..engine.device import check_device
from ..engine.lock import locked
from ..engine.processors import cores
from ..errors import CondetrError, WeightsError
from ..extras import imported
from ..files import check_writable
from ..predicting.execution import PRECISIONS, Precision
from ..predicting.exported import RUNTIMES, executes_file, is_exported
from ..predicting.predictor import Classes
from ..predicting.selection import Nms, Threshold
from ..predicting.tiling import Tiling
from ..predicting.with_hash import load_with_hash
from . import cluster
from .plan import Plan, remove_leftovers
from .rows import Counts
from .run import run
from .sources import Sources
from .task import Task
from .workers import LocalWorker, Worker

Progress = Callable[[int, int], None]  # finished images, and all; the first call counts those of earlier runs
BATCH = 4


@dataclass(frozen=True, slots=True)
class BulkRun:
    """A finished run: the folder with its Parquet files, the number of images, the number that `failed`, whose rows
    have an error, and `notes` on the sources."""

    folder: Path
    images: int
    failed: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is asked to do, after all arguments have been checked. Its rows depend on `settings`."""

    sources: Sources
    out: Path
    task: Task
    settings: dict[str, Any]
    workers: int | None
    address: str | None


def bulk(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    weights: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    threshold: Threshold = None,
    classes: Classes = None,
    max_detections: int | None = None,
    one_class_per_box: bool = False,
    tiling: Tiling | None = None,
    nms: Nms = None,
    batch: int = BATCH,
    workers: int | None = None,
    device: str | None = None,
    precision: Precision = "fp32",
    runtime: str | None = None,
    address: str | None = None,
    progress: Progress | None = None,
) -> BulkRun:
    """Predict any number of images with several processes, into Parquet files with one row for each image.

    The same call continues a run that was interrupted or killed: finished shards are not repeated, and each image
    has exactly one row. The rows do not depend on `workers`. `docs/bulk.md` describes their columns.

    Args:
        sources: folders, globs, images, Parquet manifests (a column `path` or `image`), http(s) addresses, and
            addresses of object stores (`s3://bucket/photos/`), one or several.
        weights: a folder of weights, a hub id or an exported file; on a cluster, each machine must find it.
        out: a new folder for the results, or that of the run to continue.
        threshold: the confidence threshold, as for `Predictor`.
        classes: names of the classes to keep.
        max_detections: of an image; by default 100, and with tiles no limit.
        one_class_per_box: keep the best class of each box only.
        tiling: the tiles of large images; None: no tiles.
        nms: non-maximum suppression, as for `Predictor`.
        batch: images that go through the detector together.
        workers: processes; by default one for each processor core, or for each GPU.
        device: as for `Predictor.load`.
        precision: fp32 or bf16.
        runtime: torch, onnx or openvino.
        address: a Ray cluster (`auto`, `host:6379`); without it the workers are processes of this machine.
        progress: called with the number of finished images and of all images.

    Raises CondetrError for sources, weights or settings that differ from those of the run in `out`.
    """
    check_progress(progress)
    request = requested(
        sources, weights, out, threshold=threshold, classes=classes, max_detections=max_detections,
        one_class_per_box=one_class_per_box, tiling=tiling, nms=nms, batch=batch, workers=workers, device=device,
        precision=precision, runtime=runtime, address=address,
    )  # fmt: skip
    check_writable(request.out)
    with locked(request.out):
        remove_leftovers(request.out)
        plan = agreed(request)
        finished = plan.finished()
        done = sum(counts.rows for counts in finished.values())
        if progress is not None:
            progress(done, plan.images)

        def add(number: int, counts: Counts) -> None:
            nonlocal done
            finished[number] = counts
            done += counts.rows
            if progress is not None:
                progress(done, plan.images)

        if len(finished) < plan.shards:
            with started(request, plan.shards - len(finished)) as team:
                run(plan, plan.read(skip=set(finished)), team, add)
    failed = sum(counts.failed for counts in finished.values())
    return BulkRun(request.out, plan.images, failed, tuple(request.sources.notes))


def requested(
    sources: Any, weights: Any, out: Any, *, threshold: Threshold, classes: Classes, max_detections: int | None,
    one_class_per_box: bool, tiling: Tiling | None, nms: Nms, batch: int, workers: int | None, device: str | None,
    precision: Precision, runtime: str | None, address: str | None,
) -> Request:  # fmt: skip
    """Check all arguments; this loads the weights. Raises CondetrError."""
    for library in ("pyarrow", *(("ray",) if address is not None else ())):
        imported(library, "bulk")
    several = isinstance(sources, Iterable) and not isinstance(sources, str | os.PathLike)
    given = list(sources) if several else [sources]
    names = names_of([os.fspath(one) if isinstance(one, os.PathLike) else one for one in given], "sources")
    if not names:
        raise CondetrError("sources: none given. Name folders, globs, images or Parquet manifests")
    for name in names:
        check_characters(name, "sources")
    one_of(precision, "precision", PRECISIONS)
    check_flags(one_class_per_box=one_class_per_box)
    if runtime is not None:
        one_of(runtime, "runtime", RUNTIMES)
    for name, value in (("batch", batch), ("workers", workers)):
        if value is not None:
            whole_number(value, name, 1)
    out = path_of(out, "out")
    Plan.check_folder(out)
    reachable = Sources(names, out)
    if Plan.load(out) is None:
        reachable.check()
    if device is not None and address is None:
        check_device(device)
    source = os.fspath(path_of(weights, "weights", WeightsError))
    source = os.path.abspath(source) if os.path.exists(source) else source
    predictor, hash = load_with_hash(source, "cpu", runtime, precision, tiling, nms)
    wanted = None if classes is None else tuple(names_of(classes, "classes"))
    task = Task(
        source, hash, device, runtime, precision, threshold, wanted, max_detections,
        bool(one_class_per_box), batch, tuple(names), 1, "none" if predictor.nms is None else predictor.nms,
        *((tiling.tile, tiling.overlap) if tiling is not None else ()),
    )  # fmt: skip
    checked = task.selection(predictor)
    settings = {
        "weights": hash,
        "categories": [list(pair) for pair in zip(predictor.categories.ids, predictor.categories.names)],
        "threshold": list(checked.min_score) if isinstance(checked.min_score, tuple) else checked.min_score,
        "classes": None if task.classes is None else sorted(set(task.classes)),
        "max_detections": max_detections or (None if tiling is not None else MAX_DETECTIONS),
        "tiles": None if tiling is None else str(tiling),
        "one_class_per_box": task.one_class_per_box,
        "nms": predictor.nms,
        "precision": precision,
        "runtime": runtime or (Path(source).suffix.lstrip(".") if is_exported(source) else "torch"),
    }
    return Request(reachable, out, task, settings, workers, address)


def agreed(request: Request) -> Plan:
    """The plan in the folder, or a new one. Raises CondetrError if it is the plan of another run."""
    plan = Plan.load(request.out)
    if plan is None:
        return Plan.make(request.out, request.settings, request.sources.images())
    plan.check(request.settings, request.sources.images)
    return plan


@contextmanager
def started(request: Request, shards: int) -> Iterator[list[Worker]]:
    """The workers of a run, not more than there are shards to predict."""
    if request.address is None:
        tasks = local_tasks(request)[:shards]
        yield [LocalWorker(task) for task in tasks]
        return
    with cluster.connected(request.address) as ray:
        workers, gpu = cluster_workers(request, cluster.resources(ray))
        task = replace(request.task, device=request.task.device or ("cuda" if gpu else "cpu"))
        yield [cluster.RayWorker(ray, task, gpu) for _ in range(min(workers, shards))]


def local_tasks(request: Request) -> list[Task]:
    """The task of each worker on this machine: on the GPUs in turn, or on the CPU with one thread each.

    The number of threads changes the last bits of a result, so it must not depend on the number of workers.
    """
    task = request.task
    device = "cpu" if executes_file(task.weights, task.runtime) else check_device(task.device)
    gpus = torch.cuda.device_count() if device == "cuda" else 0
    workers = request.workers or (gpus or 1 if device != "cpu" else cores())
    return [replace(task, device=f"cuda:{number % gpus}" if gpus else device) for number in range(workers)]


def cluster_workers(request: Request, machines: list[tuple[str, int, int]]) -> tuple[int, bool]:
    """The number of workers on a cluster, and whether each has a GPU. Raises CondetrError if `workers` is more than
    fit."""
    task = request.task
    gpus = sum(gpu for _, _, gpu in machines)
    usable = not executes_file(task.weights, task.runtime)
    gpu = gpus > 0 and usable and (task.device is None or task.device.startswith("cuda"))
    most = gpus if gpu else sum(cpu for _, cpu, _ in machines)
    workers = request.workers or most
    if not 1 <= workers <= most:
        what = "GPUs" if gpu else "CPUs"
        raise CondetrError(f"workers {workers}: the cluster has {most} {what}, one for each worker")
    return workers, gpu
