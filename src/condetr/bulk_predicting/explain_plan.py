"""What a run would do and where, without doing it: nothing is written, and nothing is predicted."""

from typing import Any

from ..plural import counted
from ..reports.terminal import printable
from . import cluster
from .bulk import Request, cluster_workers, local_tasks
from .plan import Plan, shard_size_for


def explain_plan(request: Request) -> list[tuple[str, str]]:
    """Pairs of a name and a value, one for each line. Raises CondetrError if the run would."""
    plan = Plan.load(request.out)
    if plan is None:
        images = sum(1 for _ in request.sources.images())
        size, done, finished = shard_size_for(images), 0, 0
        shards = -(-images // size)
    else:
        plan.check(request.settings, request.sources.images)
        counts = plan.finished()
        images, size, shards = plan.images, plan.shard_size, plan.shards
        done, finished = sum(one.rows for one in counts.values()), len(counts)
    lines = [
        ("images", f"{images:,}, {done:,} of them done, in {counted(shards, 'shard')} of {size}"),
        ("weights", f"{request.task.weights} ({request.settings['weights'][:12]})"),
        ("keeps", _kept(request.settings)),
        *_where(request, shards - finished),
        ("writes", f"{request.out}/shard-000000.parquet" + f" to shard-{shards - 1:06d}.parquet" * (shards > 1)),
    ]
    return [(what, printable(value)) for what, value in [*lines, *(("note", note) for note in request.sources.notes)]]


def _kept(settings: dict[str, Any]) -> str:
    threshold = settings["threshold"]
    least = "the threshold of each class" if isinstance(threshold, list) else f"{threshold:g}"
    classes = "of all classes" if settings["classes"] is None else f"of {', '.join(settings['classes'])}"
    one = ", one class for each box" if settings["one_class_per_box"] else ""
    apart = "" if settings["nms"] is None else f", non-maximum suppression at IoU {settings['nms']:g}"
    most = settings["max_detections"]
    limit = "any number" if most is None else f"at most {most}"
    tiles = f"; tiles of {settings['tiles']}" if settings["tiles"] else ""
    return f"scores from {least}, {classes}, {limit} of an image{one}{apart}{tiles}"


def _where(request: Request, shards: int) -> list[tuple[str, str]]:
    how = f"{request.settings['runtime']}, {request.settings['precision']}, batches of {request.task.batch}"
    if request.address is None:
        tasks = local_tasks(request)
        devices = ", ".join(sorted({str(task.device) for task in tasks}))
        busy = min(len(tasks), shards)
        processes = f"{counted(busy, 'process')} with {counted(tasks[0].threads, 'thread')}"
        return [("runs on", f"this machine: {processes}, {devices}, {how}")]
    with cluster.connected(request.address) as ray:
        machines = cluster.resources(ray)
        workers, gpu = cluster_workers(request, machines)
    each = "a GPU" if gpu else "a CPU"
    where = f"the Ray cluster {request.address}: {counted(min(workers, shards), 'worker')}, {each} each, {how}"
    return [("runs on", where), *(("machine", f"{name}: {cpus} CPUs, {gpus} GPUs") for name, cpus, gpus in machines)]
