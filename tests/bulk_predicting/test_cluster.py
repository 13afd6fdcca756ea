"""The rows of a Ray cluster are those of this machine, and Ray is left as it was found."""

import os
import signal
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from condetr.bulk_predicting import bulk as verb
from condetr.bulk_predicting.bulk import bulk, cluster_workers
from condetr.bulk_predicting.cluster import RayWorker, connected, resources
from condetr.bulk_predicting.images import local_image
from condetr.bulk_predicting.run import predicted
from condetr.bulk_predicting.workers import WorkerDied
from condetr.errors import CondetrError
from tests.bulk_predicting.small import Here, contents, write_images, write_weights

# not imported while tests are collected: it adds the packages that it brings to the path of the process
pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")]


class Worker(Here):
    calls: list = []  # noqa: RUF012


def request(folder: Path, **options):
    return verb.requested(
        [folder / "images"], folder / "weights", folder / "out",
        **{"threshold": 0.005, "classes": None, "max_detections": 100, "one_class_per_box": False, "tiling": None,
           "nms": None, "batch": 4, "workers": None, "device": None, "precision": "fp32", "runtime": None,
           "address": "local", **options},
    )  # fmt: skip


def test_a_cluster_gives_the_rows_of_this_machine_and_replaces_dead_workers(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(verb, "LocalWorker", Worker)
    write_images(tmp_path / "images", 30)
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG")
    write_weights(tmp_path / "weights")
    bulk(tmp_path / "images", tmp_path / "weights", tmp_path / "here", threshold=0.005, workers=1)
    before = signal.getsignal(signal.SIGTERM)
    with connected("local") as ray:
        assert signal.getsignal(signal.SIGTERM) == before
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        found = bulk(
            tmp_path / "images", tmp_path / "weights", tmp_path / "out", threshold=0.005, workers=1, address="local"
        )
        assert (found.images, found.failed) == (31, 1)
        assert contents(tmp_path / "out") == contents(tmp_path / "here")
        assert ray.is_initialized()
        with pytest.raises(CondetrError, match="workers 4000: the cluster has"):
            bulk(tmp_path / "images", tmp_path / "weights", tmp_path / "x", workers=4000, address="local")
        assert len(resources(ray)) == 1

        task = request(tmp_path).task
        images = [local_image(str(path), 0) for path in sorted((tmp_path / "images").iterdir())[:8]]
        worker = RayWorker(ray, task, gpu=False)
        content = worker.predict(images)
        assert content == contents(tmp_path / "out")["shard-000000.parquet"]
        ray.kill(worker.actor)
        with pytest.raises(WorkerDied):
            worker.predict(images)
        assert predicted(worker, images) == content
        worker.close()
        write_weights(tmp_path / "weights", seed=1)
        with pytest.raises(CondetrError, match="a worker process found other weights"):
            RayWorker(ray, task, gpu=False).predict(images)
    assert not ray.is_initialized()


def test_workers_take_a_gpu_each_where_there_are_some(tmp_path: Path):
    write_images(tmp_path / "images", 1)
    write_weights(tmp_path / "weights")
    machines = [("a", 8, 2), ("b", 4, 0)]
    assert cluster_workers(request(tmp_path), machines) == (2, True)
    assert cluster_workers(request(tmp_path, device="cpu"), machines) == (12, False)
    asked = request(tmp_path, workers=3)
    assert cluster_workers(replace(asked, task=replace(asked.task, runtime="onnx")), machines) == (3, False)
    with pytest.raises(CondetrError, match="workers 3: the cluster has 2 GPUs, one for each worker"):
        cluster_workers(request(tmp_path, workers=3), machines)


def test_no_cluster_at_an_address_is_one_line(tmp_path: Path):
    with (
        pytest.raises(CondetrError, match=r"no Ray cluster at the `address` 127\.0\.0\.1:1 "),
        connected("127.0.0.1:1"),
    ):
        pass
