"""1,000 requests at once, one in twenty hostile: right detections or 429, little memory, and a server that goes on."""

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest

from condetr.checkpoint import load
from condetr.predicting.predictor import Predictor
from tests.serving.hostile import HOSTILE, exchange, post, status_of
from tests.serving.served import picture
from tests.serving.test_command import process

REQUESTS, CLIENTS, ONE_IN = 1000, 150, 20
IMAGES = [picture(i, (60 + 10 * i, 120)) for i in range(8)]
MEGABYTES = 8  # of a request
MOST_MEMORY = 200 + 4 * MEGABYTES  # MiB above the idle process; the second part are the bodies that may wait


def peak_memory(number: int) -> int:
    """The largest memory of a process so far, in MiB."""
    status = Path(f"/proc/{number}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]


async def detections(port: int, image: bytes) -> list:
    """Of a client that tries again when it is told to."""
    while True:
        reply = await exchange(port, post(image))
        if (status := status_of(reply)) == 200:
            return json.loads(reply.partition(b"\r\n\r\n")[2])["images"][0]["detections"]
        assert status == 429, reply
        await asyncio.sleep(min(3, int(re.search(rb"(?i)retry-after: (\d+)", reply)[1])))  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of the server is read from /proc")
def test_a_thousand_requests_one_in_twenty_hostile(tmp_path: Path):
    with process(tmp_path, "--max-megabytes", str(MEGABYTES), "--timeout", "20") as (server, client):
        predictor = Predictor(load(tmp_path / "birds"))
        expected = [predictor(image, threshold=0.0).to_dict()["detections"] for image in IMAGES]
        for image in IMAGES:  # the first time, kernels for its shape are made
            client.predict(image)
        idle = peak_memory(server.pid)
        problems: list[str] = []

        async def everyone() -> None:
            free = asyncio.Semaphore(CLIENTS)

            async def one(number: int) -> None:
                async with free:
                    if number % ONE_IN:
                        assert await detections(client.port, IMAGES[number % 8]) == expected[number % 8]
                        return
                name, act, allowed = HOSTILE[number // ONE_IN % len(HOSTILE)]  # beside the others, however slow
                reply = await act(client.port)
                if status_of(reply) not in allowed or b"Traceback" in reply:
                    problems.append(f"{name}: {reply[:300]!r}")

            async with asyncio.TaskGroup() as group:
                for number in range(REQUESTS):
                    group.create_task(one(number))

        asyncio.run(everyone())
        assert not problems, "\n".join(problems)
        assert peak_memory(server.pid) <= idle + MOST_MEMORY
        assert client("GET", "/v2/health/ready").json == {"ready": True}
        assert client.metric("condetr_queue_images") == client.metric("condetr_held_bytes") == 0
        text = client("GET", "/metrics").content.decode()
        assert 'status="500"' not in text
        assert 'status="503"' not in text

        async def accepted_then_stopped() -> list[bytes]:
            before = client.metric('condetr_requests_total{route="/predict",status="200"}')
            replies = [asyncio.create_task(exchange(client.port, post(IMAGES[i % 8]))) for i in range(40)]

            def accepted() -> bool:
                done = client.metric('condetr_requests_total{route="/predict",status="200"}') - before
                return done + client.metric("condetr_queue_images") >= 40

            while not await asyncio.to_thread(accepted):
                pass
            server.send_signal(signal.SIGTERM)
            return await asyncio.gather(*replies)

        for i, reply in enumerate(asyncio.run(accepted_then_stopped())):
            assert status_of(reply) == 200
            assert json.loads(reply.partition(b"\r\n\r\n")[2])["images"][0]["detections"] == expected[i % 8]
        output, errors = server.communicate(timeout=90)
        assert (server.returncode, output, "Traceback" in errors) == (0, "stopped\n", False), errors
