"""Images of different clients share batches; a full queue refuses at once, and a client that leaves is dropped."""

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from condetr.detections import Detections
from condetr.predicting.batching import Scaled
from condetr.serving import connection, serve
from condetr.serving.batcher import Batcher
from condetr.serving.limits import Limits
from condetr.serving.models import Model
from tests.serving.served import Client, Held, model, multipart, picture, serving

TINY = model()


def wait_until(condition) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited for 10 s")


def test_waiting_images_share_a_batch_and_the_detections_are_equal():
    held = Held.of(TINY)
    images = [picture(i) for i in range(9)]
    with serving(held, max_batch=4) as client, ThreadPoolExecutor(9) as pool:
        replies = [pool.submit(client.predict, image) for image in images]
        assert held.entered.wait(10)
        wait_until(lambda: client.metric("condetr_queue_images") == 9)
        time.sleep(0.3)  # until the images are decoded
        held.go.set()
        for image, reply in zip(images, replies):
            expected = TINY.predictor(image, threshold=0.0).to_dict()["detections"]
            assert reply.result().json["images"][0]["detections"] == expected
        assert client.metric("condetr_batch_images_sum") == 9
    assert max(held.seen) == 4
    assert len(held.seen) <= 5


class Together(Model):
    """A model that predicts two batches at once, or none."""

    barrier = threading.Barrier(2)

    def detect(self, limit: int | None, scaled: list[Scaled]) -> list[Detections]:
        self.barrier.wait(20)
        return super().detect(limit, scaled)


def test_images_are_predicted_at_the_same_time_and_the_detections_are_equal():
    images = [picture(i, (40 + i, 60)) for i in range(12)]
    two = Together(TINY.name, TINY.hash, TINY.predictor)
    with serving(two, max_batch=1, parallel=2) as client, ThreadPoolExecutor(12) as pool:
        for image, reply in zip(images, pool.map(client.predict, images)):
            expected = TINY.predictor(image, threshold=0.0).to_dict()["detections"]
            assert reply.json["images"][0]["detections"] == expected
        assert client.metric("condetr_batch_images_sum") == 12


def test_a_batch_waits_for_others_no_longer_than_it_may():
    held = Held.of(TINY)
    held.go.set()
    with serving(held, max_batch=2, max_wait=0.5) as client, ThreadPoolExecutor(2) as pool:
        list(pool.map(client.predict, [picture(1), picture(2)]))
        assert held.seen == [2]
        started = time.monotonic()
        client.predict(picture(3))
        assert time.monotonic() - started > 0.45
    assert held.seen == [2, 1]


def test_a_full_queue_refuses_at_once_with_retry_after():
    held = Held.of(TINY)
    with serving(held, limits=Limits(queue=3)) as client, ThreadPoolExecutor(3) as pool:
        accepted = [pool.submit(client.predict, picture(i)) for i in range(3)]
        wait_until(lambda: client.metric("condetr_queue_images") == 3)
        started = time.monotonic()
        reply = client.predict(picture(9))
        assert time.monotonic() - started < 5
        assert (reply.status, reply.json["error"][:17]) == (429, "the queue is full")
        assert int(reply.headers["retry-after"]) >= 1
        body, kind = multipart(*[("a.png", picture(0))] * 2)
        assert client("POST", "/predict", body, Content_Type=kind).status == 429
        held.go.set()
        assert [reply.result().status for reply in accepted] == [200] * 3
        assert client.predict(picture(9)).status == 200


def test_the_work_of_a_client_that_leaves_is_dropped():
    held = Held.of(TINY)
    with serving(held, max_batch=1) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.predict, picture(0))
        assert held.entered.wait(10)
        leaving = http.client.HTTPConnection("127.0.0.1", client.port)
        leaving.request("POST", "/predict", picture(1))
        wait_until(lambda: client.metric("condetr_queue_images") == 2)
        leaving.close()
        wait_until(lambda: client.metric("condetr_dropped_images_total") == 1)
        assert client.metric("condetr_queue_images") == 1
        held.go.set()
        assert first.result().status == 200
        assert client.predict(picture(2)).status == 200
        assert client.metric('condetr_images_total{model="tiny"}') == 2


def test_a_prediction_that_takes_too_long_is_given_up():
    held = Held.of(TINY)
    with serving(held, limits=Limits(seconds=0.3)) as client:
        reply = client.predict(picture(0))
        assert (reply.status, "retry-after" in reply.headers) == (503, True)
        held.go.set()


def test_what_was_accepted_is_finished_when_the_server_stops():
    held = Held.of(TINY)
    with ThreadPoolExecutor(3) as pool:
        with serving(held, max_batch=1) as client:
            replies = [pool.submit(client.predict, picture(i)) for i in range(3)]
            wait_until(lambda: client.metric("condetr_queue_images") == 3)
            threading.Timer(0.5, held.go.set).start()
        assert [reply.result().status for reply in replies] == [200] * 3


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""), (b"GET /v2 HTTP/1.1\r\nHost: a", b""), (b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
        (b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", b"404"),
        (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", b"408"),
    ],
    ids=["connected", "half a header", "kept alive", "half a refused body", "half a body"],
)  # fmt: skip
def test_a_connection_without_accepted_work_does_not_hold_up_the_end(sent: bytes, status: bytes, monkeypatch):
    monkeypatch.setattr(connection, "LINGER_SECONDS", 20.0)
    monkeypatch.setattr(connection, "STOPPING_SECONDS", 0.2)
    with serving(TINY, limits=Limits(seconds=1.0)) as client:
        held = socket.create_connection(("127.0.0.1", client.port), 10)
        held.sendall(sent)
        response = held.recv(12) if status in (b"200", b"404") else b""
        time.sleep(0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    with held:
        assert (response or held.recv(12)).removeprefix(b"HTTP/1.1 ") == status


def test_a_failing_batch_fails_only_the_image_that_causes_it():
    def run(key: str, items: list[int]) -> list[int]:
        if 2 in items:
            raise ValueError("two")
        return [10 * item for item in items]

    go = threading.Event()
    batcher = Batcher(
        run, lambda key, items: list(range(min(3, len(items)))), lambda key: 3, 5.0, lambda *seen: go.set(), threads=1
    )
    futures = [batcher.submit("a", item) for item in (1, 2, 3)]
    assert [futures[0].result(10), futures[2].result(10)] == [10, 30]
    assert isinstance(futures[1].exception(10), ValueError)
    batcher.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_batcher_of_which_a_thread_has_ended_is_broken(threads):
    def choose(key: str, items: list[int]) -> list[int]:
        raise ValueError("a mistake in the program")

    batcher = Batcher(lambda key, items: items, choose, lambda key: 1, 0.0, lambda *seen: None, threads)
    assert (batcher.alive, batcher.broken) == (True, False)
    batcher.submit("a", 1)
    wait_until(lambda: batcher.broken)
    assert not batcher.alive
    batcher.close()


def test_several_threads_run_as_many_batches_at_once_and_each_item_once():
    together, seen = threading.Barrier(3), []

    def run(key: str, items: list[int]) -> list[int]:
        together.wait(10)  # only three batches at once pass
        return [10 * item for item in items]

    batcher = Batcher(
        run, lambda key, items: [*range(min(2, len(items)))], lambda key: 2, 9.0, lambda *each: seen.append(each[1]), 3
    )
    futures = [batcher.submit("a", item) for item in range(12)]
    assert [future.result(10) for future in futures] == [10 * item for item in range(12)]
    batcher.close()
    assert seen == [2] * 6


def test_a_batch_that_is_not_full_is_run_also_while_other_threads_wait():
    batcher = Batcher(lambda key, items: items, lambda key, items: [0], lambda key: 2, 0.05, lambda *seen: None, 4)
    for item in range(5):  # each waits for another one, which does not come
        assert batcher.submit("a", item).result(10) == item
    futures = [batcher.submit(str(item), item) for item in range(20)]  # of as many keys
    assert [future.result(10) for future in futures] == [*range(20)]
    batcher.close()


class OnFailedGpu(Model):
    def detect(self, limit: int | None, scaled: list[Scaled]) -> list[Detections]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_a_server_whose_gpu_has_failed_is_neither_ready_nor_live():
    with serving(OnFailedGpu(TINY.name, TINY.hash, TINY.predictor)) as client:
        assert client("GET", "/v2/health/live").status == 200
        assert client.predict(picture(0)).status == 500
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/tiny/ready"):
            assert client("GET", path).status == 503, path


def test_a_connection_refused_for_their_number_gets_503(monkeypatch):
    monkeypatch.setattr(serve, "MOST_CONNECTIONS", 2)
    with serving(TINY) as client:
        held = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(2)]
        time.sleep(0.2)
        try:
            assert Client(client.port).raw(b"").startswith(b"HTTP/1.1 503")
        finally:
            for one in held:
                one.close()
